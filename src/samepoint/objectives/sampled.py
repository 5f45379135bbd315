"""Losses on sampled descriptors alone: NT-Xent and triplet, the alternatives to the pixelwise contrastive loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.affinity import full_precision, working_dtype
from samepoint.correspondence.answers import distance_to_answers
from samepoint.objectives.contrastive import NonMatches
from samepoint.objectives.reduction import masked_mean


def nt_xent(
    a: Float[Tensor, "b n d"],
    b: Float[Tensor, "b n d"],
    uv_a: Float[Tensor, "b n 2"],
    uv_b: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    *,
    temperature: float,
    exclusion: float,
    alternatives_a: Float[Tensor, "b n k 2"] | None = None,
    alternatives_b: Float[Tensor, "b n m 2"] | None = None,
) -> dict[str, Tensor]:
    """Normalised temperature-scaled cross entropy over the 2 n descriptors of each pair (Adrian et al. 2022).

    Every descriptor must pick its match among all others; cosine similarity, whatever the network's metric.
    Two points nearer than `exclusion` pixels in A or in B are no negatives of each other: a second sample of
    the same point, or its neighbour, would be pushed away from it. Nor are two points of which one is so near to a
    symmetric copy of the other (`alternatives_*`, NaN where fewer). Zero where no row is valid.
    """
    with full_precision(a.device):
        every = F.normalize(torch.cat((a, b), dim=1).to(working_dtype(a, b)), dim=-1)
        logits = every @ every.transpose(1, 2) / temperature
    near = _near(uv_a, alternatives_a, exclusion) | _near(uv_b, alternatives_b, exclusion)
    excluded = near | ~valid[:, None, :]
    n = a.shape[1]
    itself = torch.eye(n, dtype=torch.bool, device=a.device)
    # within an image never oneself; across the images always one's match
    within, across = excluded | itself, excluded & ~itself
    mask = torch.cat((torch.cat((within, across), 2), torch.cat((across, within), 2)), 1)
    partner = torch.arange(2 * n, device=a.device).roll(n)
    own = logits.gather(2, partner.expand(len(a), -1)[..., None])[..., 0]
    rows = logits.masked_fill(mask, -torch.inf).logsumexp(-1) - own
    loss = masked_mean(rows, torch.cat((valid, valid), 1))
    return {"loss": loss, "nt_xent": loss.detach()}


def _near(
    uv: Float[Tensor, "b n 2"], alternatives: Float[Tensor, "b n k 2"] | None, exclusion: float
) -> Bool[Tensor, "b n n"]:
    """Which points are nearer than `exclusion` pixels to one another, or to a copy of one another."""
    near = distance_to_answers(uv, uv, alternatives) < exclusion
    return near if alternatives is None else near | near.transpose(1, 2)


def triplet(
    anchors: Float[Tensor, "b n d"],
    positives: Float[Tensor, "b n d"],
    non_matches: NonMatches,
    valid: Bool[Tensor, "b n"],
) -> dict[str, Tensor]:
    """mean of max(0, ||a - p||^2 - ||a - n||^2 + margin) over the valid triplets of every anchor.

    The reference code of Dense Object Nets clamps each dimension by itself, which is another quantity.
    """
    dtype = working_dtype(anchors, positives, non_matches.descriptors)
    near = (anchors.to(dtype) - positives).square().sum(-1)
    far = (anchors.unsqueeze(2).to(dtype) - non_matches.descriptors).square().sum(-1)
    terms = (near[..., None] - far + non_matches.margin).clamp(min=0)
    used = non_matches.valid & valid[..., None]
    loss = masked_mean(terms, used)
    hard = ((terms > 0) & used).sum() / used.sum().clamp(min=1)
    return {"loss": loss, "hard_fraction": hard.detach()}
