"""Distributional losses: the softmax of similarity over the other image must lie on the true pixel.

p(u) = softmax over cells of score(d_a, D_b[u]) / temperature. Either its divergence from a Gaussian round the
truth (Florence 2020, thesis; S3K), or the distance of its mean from the truth (seed 001, eq. 5).
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.answers import mixture_window, nearest_answer
from samepoint.correspondence.partition import log_partition
from samepoint.correspondence.soft import soft_match
from samepoint.correspondence.targets import expected_score
from samepoint.objectives.reduction import masked_mean, point_error
from samepoint.types import DescriptorMap


def gaussian_divergence(
    queries: Float[Tensor, "b n d"],
    target: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    *,
    temperature: float,
    sigma: float,
    negatives: Float[Tensor, "m d"] | None = None,
    alternatives: Float[Tensor, "b n k 2"] | None = None,
) -> dict[str, Tensor]:
    """KL(q || p) to a Gaussian q of `sigma` pixels round `uv`, p over the cells of `target`.

    `negatives` are descriptors that can be no match (other images of the batch, say): they join the
    denominator of p. `sigma` below half a cell aliases: the Gaussian then falls between the cells.
    `alternatives` are other right answers (NaN where fewer): q is then the even mixture of Gaussians round all.
    Source: Florence 2020 (thesis, distributional loss); seed 001 names the KL version after eq. 5.
    """
    indices, weights = mixture_window(uv, alternatives, target, sigma)
    log_z = log_partition(queries, target, temperature, extra=negatives)
    score = expected_score(queries, target, indices, weights)
    negative_entropy = (weights * weights.clamp(min=1e-12).log()).sum(-1)
    loss = masked_mean(log_z - score / temperature + negative_entropy, valid)
    return {"loss": loss, "kl": loss.detach()}


def expectation_error(
    queries: Float[Tensor, "b n d"],
    target: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    *,
    temperature: float,
    alternatives: Float[Tensor, "b n k 2"] | None = None,
) -> dict[str, Tensor]:
    """Distance of the distribution's mean from the truth, in cells (seed 001, eq. 5; there a sum, here a mean).

    A flat distribution has its mean in the image centre and a small error there: start from a network that
    already matches, or with `gaussian_divergence`. With `alternatives` (other right answers, NaN where fewer) the
    nearest right answer counts: the middle of several is none of them.
    """
    found = soft_match(queries, target, temperature)
    true = nearest_answer(found.mean, uv, alternatives)
    loss = masked_mean(point_error(found.mean, true, uv.new_tensor(target.cells.stride)), valid)
    return {"loss": loss, "expectation_error_cells": loss.detach()}
