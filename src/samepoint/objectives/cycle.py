"""The Cycle-Correspondence Loss (seed 001, eqs. 6 to 9): from A by way of any other image B back to a copy of A.

A and its copy A-hat are augmented differently, by known warps, so it is known where a point of A lies in
A-hat; B needs no annotation. Whether a point of A is in B at all is judged by how concentrated both
distributions are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.soft import soft_match
from samepoint.objectives.reduction import masked_mean, point_error
from samepoint.types import DescriptorMap, SpatialDistribution

Unit = Literal["cells", "pixels", "width"]
"""Of positions and their spread in 1 / (1 + X): cells of the map, image pixels, or the image's width."""


@dataclass(frozen=True)
class CycleWeights:
    """Which points of A count, and how much. X is the sum of the variances of both matchings, both axes.

    Of each image's points the fraction `quantile` with the smallest X is kept; `by_variance` weighs each by
    1 / (1 + X). The paper does not state the `unit` of positions and X.
    """

    quantile: float = 0.35
    by_variance: bool = True
    unit: Unit = "cells"


def cycle_correspondence(
    queries: Float[Tensor, "b n d"],
    other: DescriptorMap,
    copy: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    *,
    temperature: float,
    weights: CycleWeights = CycleWeights(),
) -> dict[str, Tensor]:
    """Descriptors of A matched in `other` (B), what was found there matched in `copy` (A-hat): it must be `uv`.

    `uv` are pixels of A-hat, true by the known warp. The descriptor found in B is the expectation under the
    matching (eq. 8), renormalised for the cosine; the error (eq. 7) is the distance of the mean of the second
    matching; the variances carry no gradient. A mean over the points kept, where eq. 9 has a sum.
    """
    there = soft_match(queries, other, temperature, payload="descriptor")
    back = soft_match(expected_descriptor(there, other), copy, temperature)
    scale = unit_size(copy, weights.unit, uv)
    error = point_error(back.mean, uv, scale)
    with torch.no_grad():
        spread = (there.variance / unit_size(other, weights.unit, uv).square()).sum(-1)
        spread = spread + (back.variance / scale.square()).sum(-1)
        kept = most_certain(spread, valid, weights.quantile)
        weight = 1 / (1 + spread) if weights.by_variance else torch.ones_like(spread)
    loss = masked_mean(weight * error, kept)
    return {
        "loss": loss,
        "cycle_error": masked_mean(error.detach(), kept),
        "spread": masked_mean(spread, kept),
        "weight": masked_mean(weight, kept),
    }


def expected_descriptor(found: SpatialDistribution, map: DescriptorMap) -> Float[Tensor, "b n d"]:
    """The expectation of the map's descriptors (eq. 8), of unit norm where the map's are."""
    assert found.payload is not None
    return F.normalize(found.payload, dim=-1) if map.metric == "cosine" else found.payload


def most_certain(
    spread: Float[Tensor, "b n"], valid: Bool[Tensor, "b n"], quantile: float
) -> Bool[Tensor, "b n"]:
    """Of each image's valid points the fraction `quantile` with the smallest spread, at least one of them."""
    if not 0 < quantile <= 1:
        raise ValueError(f"the quantile is {quantile}, not in (0, 1]")
    order = spread.masked_fill(~valid, torch.inf).argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    number = (quantile * valid.sum(1, keepdim=True)).ceil()
    return valid & (rank < number)


def unit_size(map: DescriptorMap, unit: Unit, like: Tensor) -> Float[Tensor, " 2"]:
    """How many pixels one unit has, (u, v)."""
    if unit == "cells":
        return like.new_tensor(map.cells.stride)
    return like.new_full((2,), 1.0 if unit == "pixels" else float(map.image_size[1]))
