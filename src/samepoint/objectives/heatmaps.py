"""The loss of heatmaps with a known or an agreed place (S3K, seed 003, sections 3.1 and 3.2)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.targets import gaussian_cells
from samepoint.objectives.reduction import masked_mean
from samepoint.types import CellMap


def heatmap_divergence(
    logits: Float[Tensor, "b n h w"],
    cells: CellMap,
    uv: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    sigma: float,
) -> Float[Tensor, ""]:
    """KL(Gaussian at `uv`, of width `sigma` || softmax of the heatmap), both in pixels, mean over the valid heatmaps.

    0 where they are equal. The text sums over cameras and keypoints; the mean is the same but for the number of
    labels, which the learning rate would otherwise have to follow. No valid one gives zero and still back-propagates.
    """
    if not bool(valid.any()):
        return logits.sum() * 0
    working = logits.to(torch.promote_types(logits.dtype, torch.float32)).flatten(2)
    index, weight = gaussian_cells(uv, cells, (logits.shape[2], logits.shape[3]), sigma)
    inside = weight > 0
    entropy = (weight * torch.where(inside, weight, 1.0).log()).sum(-1)
    expected = (weight * working.gather(2, index)).sum(-1)
    return masked_mean(entropy + working.logsumexp(-1) - expected, valid)
