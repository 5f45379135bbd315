"""Scores of queries against cells as plain dot products, so that matching is attention for every metric.

cosine:     score = q . D                  (q has unit norm already; nothing is normalised here)
euclidean:  score = -||q - D||^2 = [2q, -1] . [D, ||D||^2] - ||q||^2

In both cases score / temperature = `queries . keys + bias` with the three tensors of `Affinity`. Euclidean
descriptors are first moved to the centre of the map's cells (distances do not change), so that the expansion
does not cancel in single precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.errors import ModelError
from samepoint.types import DescriptorMap, Metric

MIN_NORM = 1e-3
"""An interpolated descriptor shorter than this has no direction; it is divided by this, not by its norm."""

BLOCK_ELEMENTS = 1 << 22
"""How many scores a chunked pass holds at once by default (16 MiB in single precision)."""


@dataclass(frozen=True)
class Affinity:
    """score / temperature of query n and cell m is `queries[n] . keys[m] + bias[n]`; at least float32."""

    queries: Float[Tensor, "b n e"]
    keys: Float[Tensor, "b m e"]
    bias: Float[Tensor, "b n"]


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """The common dtype, but never below single precision."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def full_precision(device: torch.device) -> torch.autocast:
    """A context in which autocast does not turn matrix products into half precision."""
    return torch.autocast(device_type=device.type, enabled=False)


def unit(vectors: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
    """Vectors divided by max(norm, MIN_NORM)."""
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp(min=MIN_NORM)


def flat_cells(map: DescriptorMap) -> Float[Tensor, "b m d"]:
    """The map's descriptors, one row a cell, cells in row-major order."""
    return map.values.flatten(2).transpose(1, 2)


def affinity(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, temperature: float | Float[Tensor, ""] = 1.0
) -> Affinity:
    """Queries and cells of `map` as augmented vectors (module docstring). Differentiable in all arguments."""
    check_queries(queries, map)
    if isinstance(temperature, float) and not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    dtype = working_dtype(queries, map.values)
    queries, cells = queries.to(dtype), flat_cells(map).to(dtype)
    centre = metric_centre(cells, map.metric)
    augmented, bias = augmented_queries(queries, map.metric, centre)
    return Affinity(augmented / temperature, augmented_keys(cells, map.metric, centre), bias / temperature)


def check_queries(queries: Float[Tensor, "b n d"], map: DescriptorMap) -> None:
    """Queries and map must come from the same network: same batch, same number of dimensions."""
    if queries.shape[2] != map.values.shape[1]:
        raise ModelError(
            f"the queries have {queries.shape[2]} dimensions and the map's descriptors {map.values.shape[1]}",
            mend="use descriptors of the network that made the map",
        )
    if queries.shape[0] != map.values.shape[0]:
        raise ValueError(f"{queries.shape[0]} sets of queries for {map.values.shape[0]} images")


def metric_centre(cells: Float[Tensor, "b m d"], metric: Metric) -> Float[Tensor, " d"] | None:
    """The point Euclidean descriptors are measured from; None for cosine."""
    return None if metric == "cosine" else cells.detach().flatten(0, 1).mean(0)


def augmented_queries(
    queries: Float[Tensor, "b n d"], metric: Metric, centre: Float[Tensor, " d"] | None
) -> tuple[Float[Tensor, "b n e"], Float[Tensor, "b n"]]:
    """The query side of the dot product and the bias, at temperature 1."""
    if metric == "cosine" or centre is None:
        return queries, queries.new_zeros(queries.shape[:2])
    moved = queries - centre
    return torch.cat((2 * moved, -torch.ones_like(moved[..., :1])), dim=-1), -moved.square().sum(-1)


def augmented_keys(
    keys: Float[Tensor, "*b m d"], metric: Metric, centre: Float[Tensor, " d"] | None
) -> Float[Tensor, "*b m e"]:
    """The cell side of the dot product."""
    if metric == "cosine" or centre is None:
        return keys
    moved = keys - centre
    return torch.cat((moved, moved.square().sum(-1, keepdim=True)), dim=-1)


def query_blocks(batch: int, n: int, m: int, chunk: int | None = None) -> Iterator[tuple[slice, slice]]:
    """Slices of images and queries so that a block of scores (images x queries x m) stays small.

    `chunk` queries of one image at a time; None: about `BLOCK_ELEMENTS` scores, several images if they fit.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, not {chunk}")
    rows = chunk or max(1, BLOCK_ELEMENTS // max(m, 1))
    queries = max(1, min(n, rows))
    images = 1 if chunk else max(1, rows // queries)
    for i in range(0, batch, images):
        for j in range(0, n, queries):
            yield slice(i, i + images), slice(j, j + queries)
