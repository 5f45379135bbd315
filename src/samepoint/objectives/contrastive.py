"""The pixelwise contrastive loss of Dense Object Nets (Florence et al. 2018; seed 002), in both its forms.

The reference code and the printed equation differ: the code hinges the norm and squares the hinge,
max(0, M - ||d||)^2; the papers print max(0, M - ||d||^2). Both are here, by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.objectives.reduction import masked_mean

HingeForm = Literal["norm-squared", "squared-norm"]
"""norm-squared: max(0, M - ||d||)^2, as the reference code does. squared-norm: max(0, M - ||d||^2), as printed."""


@dataclass(frozen=True)
class NonMatches:
    """Descriptors that must differ from their anchor's, k for each of n anchors, with their margin."""

    descriptors: Float[Tensor, "b n k d"]
    valid: Bool[Tensor, "b n k"]
    margin: float = 0.5


def hinge(
    anchors: Float[Tensor, "b n d"], non_matches: NonMatches, form: HingeForm, distance_scale: float = 1.0
) -> Float[Tensor, "b n k"]:
    """The hinge term of each non-match; zero where it is further away than the margin or not valid."""
    squared = (anchors.unsqueeze(2) - non_matches.descriptors).square().sum(-1)
    if form == "squared-norm":
        terms = (non_matches.margin - distance_scale * squared).clamp(min=0)
    else:
        # The square root has no gradient at zero: equal descriptors then push along no direction.
        norm = squared.clamp(min=1e-12).sqrt()
        terms = (non_matches.margin - distance_scale * norm).clamp(min=0).square()
    return terms.masked_fill(~non_matches.valid, 0.0)


def pixelwise_contrastive(
    anchors: Float[Tensor, "b n d"],
    positives: Float[Tensor, "b n d"],
    valid: Bool[Tensor, "b n"],
    non_matches: Sequence[NonMatches],
    *,
    form: HingeForm = "norm-squared",
    scale_by_hard_negatives: bool = True,
    unmatched: Bool[Tensor, "b n"] | None = None,
    distance_scale: float = 1.0,
) -> dict[str, Tensor]:
    """Matches pulled together, non-matches pushed beyond their margin (seed 002, the loss of paper 1).

    loss = mean ||d_a - d_b||^2 + sum of hinges / denominator. The denominator is the number of non-matches
    inside their margin over all groups together (hard-negative scaling: one joint denominator, as in the
    reference code), or the number of all valid ones. Without any valid row the loss is zero.

    `unmatched` anchors have non-matches and no match (pairs of different objects). `distance_scale` multiplies
    the squared distance of matches and the distance that is hinged: 1 / sqrt(D) in seed 004's code.
    """
    match = masked_mean(distance_scale * (anchors - positives).square().sum(-1), valid)
    rows = valid if unmatched is None else valid | unmatched
    total = anchors.sum() * 0.0
    hard = count = valid.new_zeros((), dtype=torch.long)
    for group in non_matches:
        used = NonMatches(group.descriptors, group.valid & rows.unsqueeze(-1), group.margin)
        terms = hinge(anchors, used, form, distance_scale)
        total = total + terms.sum()
        hard = hard + (terms > 0).sum()
        count = count + used.valid.sum()
    denominator = hard if scale_by_hard_negatives else count
    non_match = total / denominator.clamp(min=1)
    return {
        "loss": match + non_match,
        "match": match.detach(),
        "non_match": non_match.detach(),
        "hard_fraction": hard / count.clamp(min=1),
    }
