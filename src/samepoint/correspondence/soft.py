"""Soft matching: the spatial distribution softmax(score / temperature) over a map's cells, by its moments.

Expectations under that softmax are attention (seed 001, eqs. 1 to 4 and 8; seed 000; seed 002): queries as Q,
cells as K, and [payload, x, y, x^2, y^2] as V. One tensor [cells, payload, x, y, x^2, y^2] serves as K and as V,
with zeros in Q for all but the cells: half the memory, and K and V of one head size, without which torch does not
take its fused kernel. Positions are centred and scaled to [-1, 1] and all is done in at least single
precision: in half precision E[x^2] - E[x]^2 would have nothing left.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.affinity import (
    Affinity,
    affinity,
    flat_cells,
    full_precision,
    query_blocks,
    working_dtype,
)
from samepoint.correspondence.partition import log_partition
from samepoint.correspondence.scores import cell_scores
from samepoint.geometry.pixels import pixel_grid, pixels_from_cells
from samepoint.types import CellMap, DescriptorMap, Size, SpatialDistribution


def soft_match(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    temperature: float | Float[Tensor, ""],
    *,
    payload: Float[Tensor, "b p h w"] | Literal["descriptor"] | None = None,
    with_log_partition: bool = False,
    with_mode: bool = False,
) -> SpatialDistribution:
    """Mean and variance (pixels, pixels squared) of softmax(score / temperature) over the cells of `map`.

    Queries of cosine maps must have unit norm already. `payload` is a map of the same cells whose expectation
    is wanted; "descriptor" is the map itself (its expectation is not renormalised). `with_mode` adds the
    centre of the most probable cell (no gradient). Differentiable in queries, map and payload; results are in
    single precision or more. The variance has an error of about 1e-7 of the map's squared half width.
    """
    size = (map.values.shape[2], map.values.shape[3])
    with full_precision(queries.device):
        terms = affinity(queries, map, temperature)
        itself = isinstance(payload, str) and map.metric == "cosine"  # the keys are the descriptors
        carried = _payload_rows(None if itself else payload, map)
        position = _scaled_positions(size, terms.keys).expand(len(terms.keys), -1, -1)
        expected = _attend(terms.queries, (terms.keys, carried, position, position.square()))
        cells, carried, mean, square = expected.split((terms.keys.shape[2], carried.shape[2], 2, 2), dim=-1)
        variance = (square - mean.square()).clamp(min=0)
        return SpatialDistribution(
            mean=_unscale(mean, size, map.cells),
            variance=variance * (_half(size, mean) * mean.new_tensor(map.cells.stride)).square(),
            mode=_mode(terms, size, map.cells) if with_mode else None,
            log_partition=log_partition(queries, map, temperature) if with_log_partition else None,
            payload=cells if itself else None if payload is None else carried,
        )


def soft_match_logits(
    logits: Float[Tensor, "b n h w"],
    cells: CellMap,
    payload: Float[Tensor, "b p h w"] | None = None,
    *,
    own: Float[Tensor, "b n h w"] | None = None,
) -> SpatialDistribution:
    """softmax(logits) of each heatmap of a keypoint network: mean, variance, mode, log-partition, payload.

    Mean and mode in pixels of the image that `cells` refers to; differentiable but for the mode. The variance
    is taken about the mean, from the two marginals; single precision or more. `own` holds a map for each heatmap
    (its depth, say), whose expectation is the payload's last column.
    """
    with full_precision(logits.device):
        batch, n, height, width = logits.shape
        logits = logits.to(working_dtype(logits))
        flat = logits.flatten(2)
        probability = flat.softmax(-1)
        best = flat.argmax(-1, keepdim=True)
        log_partition = flat.gather(-1, best) - probability.gather(-1, best).log()
        probability = probability.view(batch, n, height, width)
        grid = pixels_from_cells(pixel_grid((height, width), logits.device, logits.dtype), cells)
        u, v = grid[0, :, 0], grid[:, 0, 1]
        in_u, in_v = probability.sum(2), probability.sum(3)
        mean = torch.stack((in_u @ u, in_v @ v), dim=-1)
        variance_u = (in_u * (u - mean[..., :1]).square()).sum(-1)
        variance_v = (in_v * (v - mean[..., 1:]).square()).sum(-1)
        expected = []
        if payload is not None:
            expected.append(probability.flatten(2) @ payload.to(logits.dtype).flatten(2).transpose(1, 2))
        if own is not None:
            expected.append((probability * own.to(logits.dtype)).flatten(2).sum(-1, keepdim=True))
        return SpatialDistribution(
            mean=mean,
            variance=torch.stack((variance_u, variance_v), dim=-1),
            mode=grid.flatten(0, 1)[best[..., 0]],
            log_partition=log_partition[..., 0],
            payload=torch.cat(expected, dim=-1) if expected else None,
        )


def soft_match_reference(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    temperature: float | Float[Tensor, ""],
    payload: Float[Tensor, "b p h w"] | Literal["descriptor"] | None = None,
) -> SpatialDistribution:
    """The plain twin of `soft_match`: all scores, explicit softmax. Holds several tensors of n x h x w."""
    carried = map.values if isinstance(payload, str) else payload
    return soft_match_logits(cell_scores(queries, map) / temperature, map.cells, carried)


def _payload_rows(
    payload: Float[Tensor, "b p h w"] | Literal["descriptor"] | None, map: DescriptorMap
) -> Float[Tensor, "b m p"]:
    if payload is None:
        return flat_cells(map)[..., :0]
    if isinstance(payload, str):
        return flat_cells(map)
    if payload.shape[2:] != map.values.shape[2:]:
        raise ValueError(
            f"the payload has cells {tuple(payload.shape[2:])}, the map {tuple(map.values.shape[2:])}"
        )
    return payload.flatten(2).transpose(1, 2)


def _attend(
    queries: Float[Tensor, "b n e"], columns: tuple[Float[Tensor, "b m _"], ...]
) -> Float[Tensor, "b n f"]:
    """softmax(queries . columns[0]) @ columns, all side by side, with torch's fused attention."""
    batch, n, width = queries.shape
    wide = sum(column.shape[2] for column in columns)
    if batch == 0 or n == 0:
        return queries.new_zeros(batch, n, wide)
    dtype = working_dtype(queries, *columns)
    head = -(-wide // 8) * 8
    filling = columns[0].new_zeros(()).expand(batch, columns[0].shape[1], head - wide)
    cells = torch.cat([column.to(dtype) for column in (*columns, filling)], dim=-1)[:, None]
    padded = F.pad(queries.to(dtype), (0, head - width))[:, None]
    return F.scaled_dot_product_attention(padded, cells, cells, scale=1.0)[:, 0, :, :wide]


def _half(size: Size, like: Tensor) -> Float[Tensor, " 2"]:
    """Half the number of cell steps across the map, (u, v); 1 for a single cell."""
    return like.new_tensor((max((size[1] - 1) / 2, 1.0), max((size[0] - 1) / 2, 1.0)))


def _scaled_positions(size: Size, like: Tensor) -> Float[Tensor, "m 2"]:
    """(column, row) of every cell, moved and scaled to [-1, 1]."""
    grid = pixel_grid(size, like.device, like.dtype).flatten(0, 1)
    return (grid - grid[-1] / 2) / _half(size, like)


def _unscale(position: Float[Tensor, "b n 2"], size: Size, cells: CellMap) -> Float[Tensor, "b n 2"]:
    centre = position.new_tensor(((size[1] - 1) / 2, (size[0] - 1) / 2))
    return pixels_from_cells(position * _half(size, position) + centre, cells)


@torch.no_grad()
def _mode(terms: Affinity, size: Size, cells: CellMap) -> Float[Tensor, "b n 2"]:
    """Pixel of the most probable cell's centre."""
    batch, n, _ = terms.queries.shape
    best = torch.zeros((batch, n), dtype=torch.long, device=terms.queries.device)
    for images, rows in query_blocks(batch, n, terms.keys.shape[1]):
        best[images, rows] = (terms.queries[images, rows] @ terms.keys[images].transpose(1, 2)).argmax(-1)
    cell = torch.stack((best % size[1], best // size[1]), dim=-1)
    return pixels_from_cells(cell.to(terms.queries.dtype), cells)
