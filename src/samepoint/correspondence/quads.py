"""Squares of four neighbouring cells ("quads"), in which hard matching searches: bounds and exact scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.correspondence.affinity import MIN_NORM
from samepoint.correspondence.upsampling import Axis, cell_norms, gram_maps, pixel_axes
from samepoint.types import DescriptorMap, Metric, Size

ROUNDING = 1e-5
"""Bounds are raised by this, relative to the lengths involved, so that rounding cannot hide the maximum."""


@dataclass(frozen=True)
class QuadPixels:
    """The pixels of each quad along one axis: index in the image, and weight of the second cell.

    Quads with fewer pixels than k repeat their last one; `used` is false for quads without any.
    """

    index: Int[Tensor, "q k"]
    weight: Float[Tensor, "q k"]
    used: Float[Tensor, " q"]


@dataclass(frozen=True)
class Quads:
    """All quads of a batch of maps. `gram` holds the nine numbers of `gram_maps` per quad (q = r * c quads).

    `smallest` and `largest` are the smallest and largest squared norm of the corners, `slack` the most by
    which interpolation can lower the squared norm (module `hard`).
    """

    metric: Metric
    gram: Float[Tensor, "b q 9"]
    own: Float[Tensor, "b h w"]
    smallest: Float[Tensor, "b r c"]
    largest: Float[Tensor, "b r c"]
    slack: Float[Tensor, "b r c"]
    down: QuadPixels
    right: QuadPixels
    width: int

    @property
    def pixels(self) -> int:
        """The most pixels a quad has."""
        return self.down.index.shape[1] * self.right.index.shape[1]

    def of(self, images: slice) -> Quads:
        """The quads of some images of the batch."""
        names = ("gram", "own", "smallest", "largest", "slack")
        return replace(self, **{name: getattr(self, name)[images] for name in names})

    def bound(
        self, products: Float[Tensor, "b n h w"], lengths: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b n r c"]:
        """No pixel of the quad scores more than this. `products`: q . D at the cells; `lengths`: ||q||."""
        length = lengths[..., None, None]
        if self.metric == "cosine":
            corner = _largest_corner(products)
            shortest = (self.smallest - self.slack).clamp(min=MIN_NORM**2).rsqrt()[:, None]
            longest = self.largest.clamp(min=MIN_NORM**2).rsqrt()[:, None]
            bound = torch.minimum(torch.maximum(corner * shortest, corner * longest), length)
            bound += ROUNDING * length
        else:
            bound = _largest_corner(2 * products - self.own[:, None]) + self.slack[:, None]
            bound += ROUNDING * self.own.amax() - (1 - ROUNDING) * length.square()
        unused = (self.down.used[:, None] * self.right.used) == 0
        return bound.masked_fill_(unused, -torch.inf)

    def best_pixel(
        self,
        corners: Float[Tensor, "k 4"],
        lengths: Float[Tensor, " k"],
        images: Int[Tensor, " k"],
        places: Int[Tensor, " k"],
    ) -> tuple[Float[Tensor, " k"], Int[Tensor, " k"]]:
        """Score and row-major index of the best pixel inside quad `places[k]` of image `images[k]`.

        `corners` are the query's dot products with D00, D01, D10, D11.
        """
        columns = len(self.right.used)
        row, column = places // columns, places % columns
        f, g = self.right.weight[column], self.down.weight[row]
        top = torch.lerp(corners[:, 0:1], corners[:, 1:2], f)
        bottom = torch.lerp(corners[:, 2:3], corners[:, 3:4], f)
        product = torch.lerp(top[:, None], bottom[:, None], g[..., None])
        lines = self.gram[images, places].unflatten(1, (3, 3)) @ _bernstein(f)
        norm = _bernstein(g).transpose(1, 2) @ lines
        if self.metric == "cosine":
            score = product.mul_(norm.clamp_(min=MIN_NORM**2).rsqrt_())
        else:
            score = product.mul_(2).sub_(norm).sub_(lengths.square()[:, None, None]).clamp_(max=0)
        best, index = score.flatten(1).max(-1)
        v = self.down.index[row].gather(1, (index // f.shape[1])[:, None])
        u = self.right.index[column].gather(1, (index % f.shape[1])[:, None])
        return best, (v * self.width + u)[:, 0]


def make_quads(values: Float[Tensor, "b d h w"], map: DescriptorMap, size: Size) -> Quads:
    """The quads of `values` (at least 2 x 2 cells, placed like `map`), searched at the pixels of `size`."""
    down, right = pixel_axes(map, size)
    gram = gram_maps(values)
    own = cell_norms(gram)
    corners = (own[:, :-1, :-1], own[:, :-1, 1:], own[:, 1:, :-1], own[:, 1:, 1:])
    stacked = torch.stack(corners)
    return Quads(
        metric=map.metric,
        gram=gram.flatten(3).flatten(1, 2).transpose(1, 2).contiguous(),
        own=own,
        smallest=stacked.amin(0),
        largest=stacked.amax(0),
        slack=_slack(gram),
        down=_quad_pixels(down, values.shape[2] - 1, values.dtype),
        right=_quad_pixels(right, values.shape[3] - 1, values.dtype),
        width=size[1],
    )


def _slack(gram: Float[Tensor, "b 3 3 r c"]) -> Float[Tensor, "b r c"]:
    """max(V / 4, H / 4, (V + H) / 8 + X / 16): the most that sum_{i<j} w_i w_j ||D_i - D_j||^2 can be."""
    d00, d01, d10, d11 = gram[:, 0, 0], gram[:, 0, 2], gram[:, 2, 0], gram[:, 2, 2]
    vertical = torch.maximum(d00 + d10 - 2 * gram[:, 1, 0], d01 + d11 - 2 * gram[:, 1, 2])
    horizontal = torch.maximum(d00 + d01 - 2 * gram[:, 0, 1], d10 + d11 - 2 * gram[:, 2, 1])
    diagonals = d00 + d01 + d10 + d11 - 4 * gram[:, 1, 1]
    middle = (vertical + horizontal) / 8 + diagonals / 16
    return torch.maximum(middle, torch.maximum(vertical, horizontal) / 4).clamp(min=0)


def _largest_corner(cells: Float[Tensor, "b n h w"]) -> Float[Tensor, "b n r c"]:
    rows = torch.maximum(cells[..., :-1, :], cells[..., 1:, :])
    return torch.maximum(rows[..., :-1], rows[..., 1:])


def _bernstein(t: Float[Tensor, "q k"]) -> Float[Tensor, "q 3 k"]:
    return torch.stack(((1 - t).square(), 2 * t * (1 - t), t.square()), dim=1)


def _quad_pixels(axis: Axis, quads: int, dtype: torch.dtype) -> QuadPixels:
    """Pixels grouped by quad; of pixels with equal descriptors (beyond the border) only the first is kept."""
    same = torch.zeros_like(axis.first, dtype=torch.bool)
    same[1:] = (axis.first[1:] == axis.first[:-1]) & (axis.weight[1:] == axis.weight[:-1])
    kept = (~same).nonzero()[:, 0]
    count = torch.bincount(axis.first[kept], minlength=quads)
    start = count.cumsum(0) - count
    place = torch.arange(int(count.max()), device=kept.device).minimum((count - 1).clamp(min=0)[:, None])
    index = kept[(start[:, None] + place).clamp(max=len(kept) - 1)]
    return QuadPixels(index, axis.weight[index].to(dtype), (count > 0).to(dtype))
