"""Hard matching: the best pixel of the whole image for each query, exactly, without a full-size map.

Branch and bound over quads (squares of four cells). The score inside a quad is that of the interpolated
descriptor, up(D) = sum_i w_i D_i with bilinear weights w. Its norm at every pixel does not depend on the query and
is known beforehand (module `quads`). Hence with s_i the score of the query at corner i (cosine: q . D_i), over the
pixels of the quad

    Euclidean: score <= max_i s_i + max drop,   drop = sum_i w_i ||D_i||^2 - ||up(D)||^2
    cosine:    score <= max_i s_i * max 1 / ||up(D)||  (if positive),   and  <= ||q|| always.

The quads with the best corners are evaluated first, at all their pixels; then all quads whose bound is above the
score found. The result is the argmax over all pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.correspondence.affinity import check_queries, full_precision, query_blocks, working_dtype
from samepoint.correspondence.quads import Quads, make_quads, with_border
from samepoint.correspondence.scores import move_to_centre, score_maps, scores_at
from samepoint.geometry.pixels import resize_pixels
from samepoint.types import DescriptorMap, Size

FIRST_QUADS = 8
"""How many quads per query are evaluated before the bounds of the others are compared."""

CHUNK_PIXELS = 1 << 20
"""How many pixels are evaluated at once."""


@dataclass(frozen=True)
class HardMatch:
    """The best pixel for each query, and its score (cosine, or minus the squared distance)."""

    uv: Float[Tensor, "b n 2"]
    score: Float[Tensor, "b n"]


@torch.no_grad()
def hard_match(queries: Float[Tensor, "b n d"], map: DescriptorMap, *, size: Size | None = None) -> HardMatch:
    """The pixel of highest score among all pixels of the image (or of the image resized to `size`).

    Equal to the argmax of `score_maps`; of pixels with equal scores any may be returned. `uv` are whole
    numbers, in pixels of `size`; at least float32; no gradient. Memory: n x h x w at the map's resolution at
    most, cut into blocks, and one number a pixel of `size`. Slow only for maps whose neighbouring cells are
    unrelated (nothing can be bounded).
    """
    check_queries(queries, map)
    dtype = working_dtype(queries, map.values)
    size = size or map.image_size
    with full_precision(queries.device):
        queries, values = move_to_centre(queries.to(dtype), map, dtype)
        values = with_border(values)
        quads = make_quads(values, map, size)
        cells = values.flatten(2)
        score = queries.new_empty(queries.shape[:2])
        pixel = torch.zeros(queries.shape[:2], dtype=torch.long, device=queries.device)
        for images, rows in query_blocks(len(queries), queries.shape[1], cells.shape[2]):
            block = queries[images, rows]
            products = (block @ cells[images]).unflatten(2, values.shape[2:])
            found = _search(products, torch.linalg.vector_norm(block, dim=-1), quads.of(images))
            score[images, rows], pixel[images, rows] = found
    uv = torch.stack((pixel % size[1], pixel // size[1]), dim=-1).to(dtype)
    return HardMatch(uv, score)


@torch.no_grad()
def hard_match_reference(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, size: Size | None = None
) -> HardMatch:
    """The plain twin of `hard_match`: the argmax of the full-size score maps."""
    scores = score_maps(queries, map, size)
    best, pixel = scores.flatten(2).max(-1)
    width = scores.shape[3]
    return HardMatch(torch.stack((pixel % width, pixel // width), dim=-1).to(scores.dtype), best)


@torch.no_grad()
def refine_subpixel(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    *,
    size: Size | None = None,
    steps: int = 7,
) -> HardMatch:
    """The local maximum of the interpolated score within a pixel of `uv` per axis, to 2^-`steps` pixel.

    Compass search: of the position and its eight neighbours at distance 1/2, 1/4, ... the best is kept. It
    never returns a worse score than that at `uv`. It says where the *interpolated* score peaks: with cells
    of several pixels that is no measure of accuracy. Pixels of `size` (None: the image); no gradient.
    """
    size = size or map.image_size
    uv = uv.to(working_dtype(queries, map.values, uv))
    axis = torch.tensor((0.0, -1.0, 1.0), dtype=uv.dtype, device=uv.device)
    compass = torch.cartesian_prod(axis, axis)
    score = scores_at(queries, map, resize_pixels(uv, size, map.image_size)[:, :, None])[..., 0]
    for step in range(1, steps + 1):
        around = uv[:, :, None] + compass / 2**step
        scores = scores_at(queries, map, resize_pixels(around, size, map.image_size))
        best, index = scores.max(-1)
        moved = around.gather(2, index[..., None, None].expand(-1, -1, 1, 2))[:, :, 0]
        uv = torch.where((best > score)[..., None], moved, uv)
        score = torch.maximum(best, score)
    return HardMatch(uv, score)


def _search(
    products: Float[Tensor, "b n h w"], lengths: Float[Tensor, "b n"], quads: Quads
) -> tuple[Float[Tensor, "b n"], Int[Tensor, "b n"]]:
    """Best score and pixel (row-major index) of each query, from its dot products with the cells."""
    batch, n = lengths.shape
    bound, corner = (maps.flatten(0, 1).flatten(1) for maps in quads.bound(products, lengths))
    flat, lengths = products.flatten(0, 1).flatten(1), lengths.flatten()
    query = torch.arange(batch * n, device=bound.device)
    first = corner.topk(min(FIRST_QUADS, bound.shape[1]), dim=1).indices
    best = torch.full_like(lengths, -torch.inf)
    pixel = torch.zeros_like(query)
    rows = query[:, None].expand_as(first).flatten()
    promising = bound.gather(1, first).flatten() > -torch.inf
    seeds = rows[promising], first.flatten()[promising]
    best, pixel = _evaluate(best, pixel, flat, lengths, quads, seeds)
    bound.scatter_(1, first, -torch.inf)
    rows, places = (bound > best[:, None]).nonzero(as_tuple=True)
    chunk = max(1, CHUNK_PIXELS // quads.pixels)
    if len(rows) > chunk:
        order = bound[rows, places].argsort(descending=True)
        rows, places = rows[order], places[order]
    for start in range(0, len(rows), chunk):
        some, where = rows[start : start + chunk], places[start : start + chunk]
        if start:
            promising = bound[some, where] > best[some]
            some, where = some[promising], where[promising]
        best, pixel = _evaluate(best, pixel, flat, lengths, quads, (some, where))
    return best.view(batch, n), pixel.view(batch, n)


def _evaluate(
    best: Float[Tensor, " n"],
    pixel: Int[Tensor, " n"],
    products: Float[Tensor, "n m"],
    lengths: Float[Tensor, " n"],
    quads: Quads,
    candidates: tuple[Int[Tensor, " k"], Int[Tensor, " k"]],
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """`best` and `pixel` improved by the pixels of candidate quads (query, quad)."""
    query, place = candidates
    width = quads.own.shape[2]
    corner = place // (width - 1) * width + place % (width - 1)
    around = torch.stack((corner, corner + 1, corner + width, corner + width + 1), dim=1)
    image = query // (len(best) // len(quads.own))
    score, where = quads.best_pixel(products[query[:, None], around], lengths[query], image, place)
    highest = best.scatter_reduce(0, query, score, "amax")
    winner = where.masked_fill(score < highest[query], torch.iinfo(torch.long).max)
    first = torch.full_like(pixel, torch.iinfo(torch.long).max).scatter_reduce(0, query, winner, "amin")
    return highest, torch.where(highest > best, first, pixel)
