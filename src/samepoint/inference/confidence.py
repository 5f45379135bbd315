"""From how well a descriptor fits and how alone its peak stands to a confidence in [0, 1].

    confidence = sigmoid(score_weight * similarity + mass_weight * log(mass / (1 - mass)) + bias)

`similarity` tells whether anything in the image looks like the point at all, `mass` (the probability near
the best place) whether other places look the same. The three numbers are fitted by `fit_calibration` to
points whose truth is known (logistic regression, Platt 1999); then the confidence is the probability that
the hit is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.types import Metric

LOGIT_LIMIT = 8.0
RIDGE = 0.1
STEPS = 100


@dataclass(frozen=True)
class Calibration:
    """The three numbers. `points` is how many points they were fitted to; 0 for the uncalibrated default,
    whose confidence only sorts hits."""

    score_weight: float = 10.0
    mass_weight: float = 1.0
    bias: float = -6.0
    points: int = 0

    def confidence(
        self, score: Float[Tensor, "*b"], mass: Float[Tensor, "*b"], metric: Metric
    ) -> Float[Tensor, "*b"]:
        """Confidence of hits with these scores (cosine or minus squared distance) and masses."""
        weights = torch.tensor((self.score_weight, self.mass_weight, self.bias), dtype=torch.float64)
        confidence = torch.sigmoid(features(score.cpu(), mass.cpu(), metric) @ weights)  # few: on the CPU
        return confidence.to(score.dtype).to(score.device)


def similarity(score: Float[Tensor, "*b"], metric: Metric) -> Float[Tensor, "*b"]:
    """At most 1: the cosine itself, or 2 exp(-4 d^2) - 1 for a Euclidean distance d (d = 0.5, the usual
    margin of the contrastive loss, gives -0.26)."""
    return score if metric == "cosine" else 2 * torch.exp(4 * score) - 1


def features(score: Float[Tensor, "*b"], mass: Float[Tensor, "*b"], metric: Metric) -> Float[Tensor, "*b 3"]:
    """(similarity, log-odds of the mass, 1) in double precision."""
    log_odds = torch.logit(mass.double(), eps=1e-6).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    alike = similarity(score.double(), metric)
    return torch.stack((alike, log_odds, torch.ones_like(alike)), dim=-1)


def fit_calibration(
    score: Float[Tensor, " n"], mass: Float[Tensor, " n"], correct: Bool[Tensor, " n"], metric: Metric
) -> Calibration:
    """The calibration that makes the confidence the probability of `correct`.

    `correct` is false for a hit in the wrong place and for one on an image without the point. Logistic
    regression by Newton's method, drawn weakly towards the default so that a handful of points, or points
    that are all right or all wrong, still give finite numbers; weights are kept at or above 0. No points
    give the default.
    """
    default = Calibration()
    prior = torch.tensor((default.score_weight, default.mass_weight, default.bias), dtype=torch.float64)
    x, y = features(score.cpu(), mass.cpu(), metric), correct.cpu().double()
    if len(y) == 0:
        return default
    free = torch.ones(3, dtype=torch.bool)
    weights = _newton(x, y, prior, free)
    while bool((weights[:2] < 0).any()):  # drop the feature that would count against a better hit
        free[:2] &= weights[:2] >= 0
        weights = _newton(x, y, torch.where(free, prior, 0.0), free)
    a, b, c = weights.tolist()
    return Calibration(a, b, c, len(y))


def _newton(
    x: Float[Tensor, "n 3"], y: Float[Tensor, " n"], prior: Float[Tensor, " 3"], free: Bool[Tensor, " 3"]
) -> Float[Tensor, " 3"]:
    """Minimum of the negative log-likelihood + RIDGE / 2 |weights - prior|^2; weights that are not free
    stay 0."""
    weights = prior.clone()
    x = x * free

    def loss(w: Tensor) -> Tensor:
        logits = x @ w
        return (torch.nn.functional.softplus(logits) - y * logits).sum() + RIDGE / 2 * (
            w - prior
        ).square().sum()

    for _ in range(STEPS):
        p = torch.sigmoid(x @ weights)
        gradient = x.T @ (p - y) + RIDGE * (weights - prior)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * torch.eye(3, dtype=x.dtype)
        step = torch.linalg.solve(hessian, gradient)
        size = 1.0
        while float(loss(weights - size * step)) > float(loss(weights)) and size > 1e-6:
            size /= 2
        weights = weights - size * step
        if float(step.abs().max()) < 1e-10:
            break
    return weights * free
