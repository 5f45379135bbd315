"""Scores of queries at the cells of a map, at given pixels, and at every pixel of its image.

Between cells the score is that of the *interpolated* descriptor, renormalised for the cosine (module
`upsampling`): cosine = up(q . D) / ||up(D)||, Euclidean = -(||q||^2 - 2 up(q . D) + ||up(D)||^2). The
interpolated dot product alone has its maxima at cell centres and never between them.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.affinity import (
    MIN_NORM,
    affinity,
    check_queries,
    flat_cells,
    full_precision,
    metric_centre,
    working_dtype,
)
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.upsampling import at_least_two, gram_maps, pixel_axes, squared_norm
from samepoint.types import DescriptorMap, Size


def cell_scores(queries: Float[Tensor, "b n d"], map: DescriptorMap) -> Float[Tensor, "b n h w"]:
    """Score of every query at every cell: q . D for cosine, -||q - D||^2 for Euclidean; at least float32."""
    with full_precision(queries.device):
        terms = affinity(queries, map)
        scores = terms.queries @ terms.keys.transpose(1, 2) + terms.bias[..., None]
    return scores.unflatten(2, map.values.shape[2:])


def scores_at(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, uv: Float[Tensor, "b n k 2"]
) -> Float[Tensor, "b n k"]:
    """Score of query n at its own k pixels: the definition, by `sample_descriptors`; at least float32."""
    check_queries(queries, map)
    dtype = working_dtype(queries, map.values)
    wide = DescriptorMap(map.values.to(dtype), map.cells, map.image_size, map.metric)
    found = sample_descriptors(wide, uv.flatten(1, 2)).unflatten(1, uv.shape[1:3])
    own = queries.to(dtype)[:, :, None]
    return (own * found).sum(-1) if map.metric == "cosine" else -(own - found).square().sum(-1)


def score_maps(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, size: Size | None = None
) -> Float[Tensor, "b n H W"]:
    """Score of the interpolated (cosine: renormalised) descriptor at every pixel of the image.

    `size` asks for the pixels of the image resized to it. Equal to `scores_at` everywhere, without a
    descriptor image. Differentiable; at least float32. Holds n x H x W numbers: to find maxima use
    `hard_match`, for heat maps pass a small `size`.
    """
    check_queries(queries, map)
    dtype = working_dtype(queries, map.values)
    with full_precision(queries.device):
        queries, values = move_to_centre(queries.to(dtype), map, dtype)
        values = at_least_two(values)
        down, right = pixel_axes(map, size or map.image_size)
        low = (queries @ values.flatten(2)).unflatten(2, values.shape[2:])
        products = down.blend(right.blend(low).transpose(2, 3)).transpose(2, 3)
        norm = squared_norm(gram_maps(values), down, right)[:, None]
        if map.metric == "cosine":
            return products / norm.clamp(min=MIN_NORM**2).sqrt()
        own = queries.square().sum(-1)[..., None, None]
        return (2 * products - norm - own).clamp(max=0)


def move_to_centre(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, dtype: torch.dtype
) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b d h w"]]:
    """Queries and the map's values; Euclidean ones moved to the centre of the cells."""
    values = map.values.to(dtype)
    centre = metric_centre(flat_cells(map).to(dtype), map.metric)
    if centre is None:
        return queries, values
    return queries - centre, values - centre[:, None, None]
