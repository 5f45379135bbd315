"""Gaussian targets of distributional losses, restricted to the few cells that carry their weight.

KL(q || p) = sum q log q + log Z - sum q score / temperature, with the Gaussian q and p = softmax(score / T).
`log_partition` gives the middle term and `expected_score` the last: no tensor of queries x cells exists.
"""

from __future__ import annotations

from math import ceil

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.correspondence.affinity import affinity, full_precision
from samepoint.geometry.pixels import cells_from_pixels, pixels_from_cells
from samepoint.types import CellMap, DescriptorMap, Size


def gaussian_window(
    uv: Float[Tensor, "b n 2"], map: DescriptorMap, sigma: float, radius: int | None = None
) -> tuple[Int[Tensor, "b n k"], Float[Tensor, "b n k"]]:
    """`gaussian_cells` for the cells of a descriptor map."""
    return gaussian_cells(uv, map.cells, (map.values.shape[2], map.values.shape[3]), sigma, radius)


def gaussian_cells(
    uv: Float[Tensor, "b n 2"], cells: CellMap, map_size: Size, sigma: float, radius: int | None = None
) -> tuple[Int[Tensor, "b n k"], Float[Tensor, "b n k"]]:
    """Cells round `uv` (row-major indices) and their weights in a Gaussian of `sigma` pixels; sums are 1.

    The Gaussian is evaluated at cell centres, within `radius` cells of the nearest one; None takes 3 sigma,
    which leaves out less than 0.6 % of its weight. It is cut off at the map's border and the rest scaled to
    sum 1 (places outside the map have index 0 and weight 0), so a point outside the map pulls to the border.
    With `sigma` below half a cell the target is nearly one cell and moves in steps. NaN counts as pixel 0:
    mask such points. Single precision or more.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, not {sigma}")
    uv = torch.nan_to_num(uv.to(torch.promote_types(uv.dtype, torch.float32)))
    limit = uv.new_tensor((map_size[1] - 1, map_size[0] - 1))
    nearest = cells_from_pixels(uv.detach(), cells).round().clamp(min=torch.zeros_like(limit), max=limit)
    place = nearest[:, :, None] + _window_offsets(cells, sigma, radius).to(uv)
    distance = (pixels_from_cells(place, cells) - uv[:, :, None]).square().sum(-1)
    inside = ((place >= 0) & (place <= limit)).all(-1)
    exponent = (-0.5 * distance / sigma**2).masked_fill(~inside, -torch.inf)
    index = (place[..., 1] * map_size[1] + place[..., 0]).long()
    return index.masked_fill(~inside, 0), exponent.softmax(-1)


def _window_offsets(cells: CellMap, sigma: float, radius: int | None) -> Float[Tensor, "k 2"]:
    """(column, row) offsets of the window; cells left out are at least 3 sigma away if `radius` is None."""
    reach = [radius if radius is not None else max(1, ceil(3 * sigma / s - 0.5)) for s in cells.stride]
    columns, rows = (torch.arange(-r, r + 1, dtype=torch.float32) for r in reach)
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((column, row), dim=-1).flatten(0, 1)


def expected_score(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    indices: Int[Tensor, "b n k"],
    weights: Float[Tensor, "b n k"],
) -> Float[Tensor, "b n"]:
    """sum_k weights[k] * score(q, D[indices[k]]): cosine q . D, or -||q - D||^2. Temperature 1.

    Memory is of order n * (k + d). Differentiable in queries, map and weights; single precision or more.
    """
    with full_precision(queries.device):
        terms = affinity(queries, map)
        batch, n, k = indices.shape
        cells = terms.keys.shape[1]
        first = torch.arange(batch, device=indices.device)[:, None, None] * cells
        weights = weights.to(terms.keys.dtype)
        if indices.numel() == 0:
            return terms.bias * 0
        expected = F.embedding_bag(
            (indices + first).view(-1, k),
            terms.keys.flatten(0, 1),
            per_sample_weights=weights.reshape(-1, k),
            mode="sum",
        ).view(batch, n, -1)
        return (terms.queries * expected).sum(-1) + terms.bias * weights.sum(-1)
