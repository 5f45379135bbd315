"""Distances between points, and means over the rows that count.

No valid row gives zero, and still back-propagates.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def masked_mean(values: Float[Tensor, "*b"], valid: Bool[Tensor, "*b"]) -> Float[Tensor, ""]:
    """Mean of `values` where `valid`; invalid entries may be NaN or infinite and carry no gradient."""
    return values.masked_fill(~valid, 0.0).sum() / valid.sum().clamp(min=1)


def point_error(
    found: Float[Tensor, "b n 2"], true: Float[Tensor, "b n 2"], unit: Float[Tensor, " 2"]
) -> Float[Tensor, "b n"]:
    """Euclidean distances of pixels in units of `unit` pixels (u, v); the gradient is finite where it is zero."""
    return ((found - true) / unit).square().sum(-1).clamp(min=1e-12).sqrt()
