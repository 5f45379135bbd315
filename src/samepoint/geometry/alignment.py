"""The rigid motion that best maps one set of points onto another (Kabsch; orthogonal Procrustes)."""

from __future__ import annotations

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.geometry.motions import rigid, transform


def kabsch(
    x: Float[Tensor, "*b n 3"], y: Float[Tensor, "*b n 3"], weights: Float[Tensor, "*b n"] | None = None
) -> Float[Tensor, "*b 4 4"]:
    """`y_from_x` that minimises sum of weights * ||y_from_x x - y||^2, never a reflection.

    Differentiable. The covariance is brought to unit size first, so that the damped derivative of the
    Procrustes solution is the same for objects of a millimetre and of a metre. Fewer than three points, or
    points on a line, leave a rotation free: one of the solutions is returned. With no weight at all it is a
    rotation about the origin. Raises nothing; look at `residual`.
    """
    working = torch.promote_types(x.dtype, torch.float32)
    a, b = x.to(working), y.to(working)
    w = torch.ones_like(a[..., 0]) if weights is None else weights.to(working)
    w = (w / w.sum(-1, keepdim=True).clamp_min(torch.finfo(working).tiny))[..., None]
    centre_a, centre_b = (w * a).sum(-2), (w * b).sum(-2)
    covariance = ((b - centre_b[..., None, :]) * w).transpose(-1, -2) @ (a - centre_a[..., None, :])
    size = torch.linalg.matrix_norm(covariance.detach(), keepdim=True)
    unit = covariance / size.clamp_min(torch.finfo(working).tiny)
    rotation: Tensor = roma.special_procrustes(unit)  # type: ignore[assignment]
    translation = centre_b - (rotation @ centre_a[..., None])[..., 0]
    return rigid(rotation, translation).to(x.dtype)


def residual(
    y_from_x: Float[Tensor, "*#b 4 4"], x: Float[Tensor, "*#b n 3"], y: Float[Tensor, "*#b n 3"]
) -> Float[Tensor, "*b n"]:
    """Distance in metres that the motion leaves between each pair of points."""
    return torch.linalg.vector_norm(transform(y_from_x, x) - y, dim=-1)
