"""Means over the rows that count. No valid row gives zero, and still back-propagates."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def masked_mean(values: Float[Tensor, "*b"], valid: Bool[Tensor, "*b"]) -> Float[Tensor, ""]:
    """Mean of `values` where `valid`; invalid entries may be NaN or infinite and carry no gradient."""
    return values.masked_fill(~valid, 0.0).sum() / valid.sum().clamp(min=1)
