"""Scores of queries at the cells of a map and at every pixel of its image."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.affinity import affinity, full_precision
from samepoint.types import DescriptorMap


def cell_scores(queries: Float[Tensor, "b n d"], map: DescriptorMap) -> Float[Tensor, "b n h w"]:
    """Score of every query at every cell: q . D for cosine, -||q - D||^2 for Euclidean."""
    with full_precision(queries.device):
        terms = affinity(queries, map)
        scores = terms.queries @ terms.keys.transpose(1, 2) + terms.bias[..., None]
    return scores.unflatten(2, map.values.shape[2:])
