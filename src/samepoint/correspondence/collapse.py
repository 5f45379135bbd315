"""Whether keypoints that teach themselves still are what was labelled: a self-supervised loss is content with any
point on which all views agree, the object's centre or a spot on the table (seed 003, appendix C)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SUSPECT = 0.5
"""A share below which keypoints count as collapsed: half the size, or half the way, of what is labelled."""


def spread(xyz: Float[Tensor, "m n 3"]) -> Float[Tensor, ""]:
    """Mean distance between two keypoints of one moment, metres, without NaN rows. NaN where there is no pair."""
    distance = (xyz[:, :, None] - xyz[:, None]).norm(dim=-1)
    pairs = torch.triu_indices(xyz.shape[1], xyz.shape[1], offset=1, device=xyz.device)
    return distance[:, pairs[0], pairs[1]].nanmean()


def travel(xyz: Float[Tensor, "m n 3"]) -> Float[Tensor, ""]:
    """Mean distance of a keypoint from its own mean over the moments, metres. NaN where nothing is known."""
    return (xyz - xyz.nanmean(0)).norm(dim=-1).nanmean()


def shares(found: Float[Tensor, "m n 3"], labelled: Float[Tensor, "k n 3"]) -> dict[str, Tensor]:
    """`spread` and `travel` of what is found, as shares of those of the labels: about 1 for the same object in like
    places, near 0 where the keypoints have gone to one place of the object, or to one place of the world. 1 where the
    labels have none (a single keypoint, a single moment)."""
    out = {}
    for name, measure in (("spread", spread), ("travel", travel)):
        true = measure(labelled)
        share = measure(found.to(labelled)) / true.clamp(min=1e-9)
        out[name] = torch.where(true > 1e-6, torch.nan_to_num(share, nan=0.0), torch.ones_like(share))
    return out
