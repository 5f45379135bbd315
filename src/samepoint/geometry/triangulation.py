"""The 3-D point nearest to several rays: S3K's differentiable triangulation (arXiv 2009.14711)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.geometry.cameras import rays


def triangulate_rays(
    origins: Float[Tensor, "*b c 3"],
    directions: Float[Tensor, "*b c 3"],
    weights: Float[Tensor, "*b c"] | None = None,
) -> Float[Tensor, "*b 3"]:
    """The point that minimises the weighted sum of squared distances to c rays (taken as lines), metres.

    p = (sum w (I - d d^T))^-1 sum w (I - d d^T) o, with d of unit length: the normal equations of the text's
    "sum of squared distances to the rays", whose formula is lost. Differentiable in everything.
    NaN, with zero gradient, where the rays leave the point open: fewer than two with weight, or all nearly
    parallel (two rays at less than about 0.1 degrees). It does not ask whether the point lies in front.
    """
    working = torch.promote_types(origins.dtype, torch.float32)
    o, d = origins.to(working), torch.nn.functional.normalize(directions.to(working), dim=-1)
    w = torch.ones_like(o[..., 0]) if weights is None else weights.to(working)
    eye = torch.eye(3, dtype=working, device=o.device)
    middle = o.detach().mean(dim=-2, keepdim=True)
    across = w[..., None, None] * (eye - d[..., :, None] * d[..., None, :])
    normal, right = across.sum(-3), (across @ (o - middle)[..., None]).sum(-3)
    open_ = _undetermined(normal.detach())[..., None]
    safe = torch.where(open_[..., None], eye, normal)
    point = torch.linalg.solve(safe, torch.where(open_[..., None], 0.0, right))[..., 0] + middle[..., 0, :]
    return torch.where(open_, torch.nan, point).to(origins.dtype)


def triangulate_pixels(
    uv: Float[Tensor, "*b c n 2"],
    intrinsics: Float[Tensor, "*#b c 3 3"],
    world_from_camera: Float[Tensor, "*#b c 4 4"],
    weights: Float[Tensor, "*b c n"] | None = None,
) -> Float[Tensor, "*b n 3"]:
    """World points seen at pixels uv of c calibrated cameras; see `triangulate_rays`. Weight 0: not seen."""
    directions = rays(intrinsics, uv) @ world_from_camera[..., :3, :3].transpose(-1, -2)
    origins = world_from_camera[..., None, :3, 3].expand(directions.shape)
    per_point = None if weights is None else weights.transpose(-1, -2)
    return triangulate_rays(origins.transpose(-2, -3), directions.transpose(-2, -3), per_point)


def _undetermined(normal: Float[Tensor, "*b 3 3"]) -> Tensor:
    """Where the smallest eigenvalue is below 1e-6 of the largest."""
    finite = torch.isfinite(normal).all(-1).all(-1)
    eigenvalues = torch.linalg.eigvalsh(torch.where(finite[..., None, None], normal, 0.0))
    return ~finite | (eigenvalues[..., 0] <= 1e-6 * eigenvalues[..., 2])
