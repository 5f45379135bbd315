"""Squares of four neighbouring cells ("quads"), in which hard matching searches: bounds and exact scores.

Maps get a border of repeated cells first (`with_border`), so that every pixel lies in a quad. Where the stride is a
whole number of pixels, all quads then have their pixels at the same places, and what is computed for all of them is
one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.correspondence.affinity import MIN_NORM
from samepoint.correspondence.upsampling import cell_norms, gram_maps, places_of_pixels
from samepoint.types import DescriptorMap, Metric, Size

ROUNDING = 1e-5
"""Bounds are raised by this, relative to the lengths involved, so that rounding cannot hide the maximum."""


SAME_PLACE = 1e-6
"""Weights that differ by less are equal: a millionth of a cell."""


@dataclass(frozen=True)
class QuadPixels:
    """The pixels of each quad along one axis: index in the image, and weight of the second cell.

    Quads with fewer pixels than k repeat their last one; `used` is false for quads without any. `alike`: all rows of
    `weight` are equal.
    """

    index: Int[Tensor, "q k"]
    weight: Float[Tensor, "q k"]
    used: Float[Tensor, " q"]
    alike: bool


@dataclass(frozen=True)
class Quads:
    """All quads of a batch of maps, row by row, and what is known of the pixels in them before there is a query.

    `scale` is per pixel (k x l a quad): for the cosine 1 / ||up(D)||, for Euclidean descriptors ||up(D)||^2. `low`
    and `high` bound a quad: for the cosine the smallest and largest `scale`; for Euclidean descriptors `high` is the
    most by which interpolation lowers the squared norm, and `low` is not used. `own` are squared norms of the cells.
    """

    metric: Metric
    own: Float[Tensor, "b h w"]
    scale: Float[Tensor, "b q kl"]
    low: Float[Tensor, "b r c"]
    high: Float[Tensor, "b r c"]
    down: QuadPixels
    right: QuadPixels
    width: int

    @property
    def pixels(self) -> int:
        """The most pixels a quad has."""
        return self.scale.shape[2]

    def of(self, images: slice) -> Quads:
        """The quads of some images of the batch."""
        return replace(
            self, **{name: getattr(self, name)[images] for name in ("own", "scale", "low", "high")}
        )

    def bound(
        self, products: Float[Tensor, "b n h w"], lengths: Float[Tensor, "b n"]
    ) -> tuple[Float[Tensor, "b n r c"], Float[Tensor, "b n r c"]]:
        """Upper bound of the score over each quad's pixels (module `hard`), and the best of its corners (up to a
        constant): where to look first. Both -inf where a quad has no pixel.

        `products`: dot products of queries and cells; `lengths`: ||q||."""
        length = lengths[..., None, None]
        if self.metric == "cosine":
            corner = _largest_corner(products)
            bound = torch.maximum(corner * self.high[:, None], corner * self.low[:, None])
            bound = torch.minimum(bound, length).add_(ROUNDING * length)
        else:
            corner = _largest_corner(2 * products - self.own[:, None])
            bound = corner + self.high[:, None]
            bound += ROUNDING * self.own.amax() - (1 - ROUNDING) * length.square()
        unused = (self.down.used[:, None] * self.right.used) == 0
        return bound.masked_fill_(unused, -torch.inf), corner.masked_fill_(unused, -torch.inf)

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
        if self.down.alike and self.right.alike:
            along = [_linear(axis.weight[:1])[0] for axis in (self.down, self.right)]
            score = corners @ _outer(*along)
        else:
            f, g = self.right.weight[column], self.down.weight[row]
            top = torch.lerp(corners[:, 0:1], corners[:, 1:2], f)
            bottom = torch.lerp(corners[:, 2:3], corners[:, 3:4], f)
            score = torch.lerp(top[:, None], bottom[:, None], g[..., None]).flatten(1)
        scale = self.scale.flatten(0, 1)[images * self.scale.shape[1] + places]
        if self.metric == "cosine":
            score *= scale
        else:
            score.mul_(2).sub_(scale).sub_(lengths.square()[:, None]).clamp_(max=0)
        best, index = score.max(-1)
        across = self.right.index.shape[1]
        v, u = self.down.index[row, index // across], self.right.index[column, index % across]
        return best, v * self.width + u


def with_border(values: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h2 w2"]:
    """The map with its outermost cells repeated once round it."""
    return F.pad(values, (1, 1, 1, 1), mode="replicate")


def make_quads(values: Float[Tensor, "b d h w"], map: DescriptorMap, size: Size) -> Quads:
    """The quads of `values` (`map`'s, or those moved to another origin, `with_border`), searched at the pixels of
    `size`."""
    down, right = quad_pixels(map, size, values.dtype)
    gram = gram_maps(values)
    own = cell_norms(gram)
    alike = down.alike and right.alike
    norm = _spread(gram, _bernstein(down.weight), _bernstein(right.weight), alike)
    if map.metric == "cosine":
        scale = norm.clamp_(min=MIN_NORM**2).rsqrt_()
        low, high = scale.aminmax(dim=-1)
    else:
        scale, high = norm, (_interpolated(own, down, right) - norm).amax(-1).clamp_(min=0)
        low = high
    return Quads(
        metric=map.metric,
        own=own,
        scale=scale.flatten(1, 2),
        low=low,
        high=high,
        down=down,
        right=right,
        width=size[1],
    )


def _spread(
    control: Float[Tensor, "b i j r c"],
    down: Float[Tensor, "r i k"],
    right: Float[Tensor, "c j l"],
    alike: bool,
) -> Float[Tensor, "b r c kl"]:
    """sum over i and j of control[i, j] down[i] right[j], at the k x l pixels of every quad; `alike`: all quads have
    the weights of the first."""
    if alike:
        return control.flatten(1, 2).permute(0, 2, 3, 1) @ _outer(down[0], right[0])
    lines = torch.einsum("bijrc,cjl->bircl", control, right)
    return torch.einsum("bircl,rik->brckl", lines, down).flatten(3)


def _outer(down: Float[Tensor, "i k"], right: Float[Tensor, "j l"]) -> Float[Tensor, "ij kl"]:
    """Weights of pixel (k, l) for the control (i, j)."""
    return (down[:, None, :, None] * right[None, :, None]).flatten(2).flatten(0, 1)


def _interpolated(
    cells: Float[Tensor, "b h w"], down: QuadPixels, right: QuadPixels
) -> Float[Tensor, "b r c kl"]:
    """Values of the cells, bilinear at the pixels of every quad."""
    corners = torch.stack((cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]), dim=1)
    alike = down.alike and right.alike
    return _spread(corners.unflatten(1, (2, 2)), _linear(down.weight), _linear(right.weight), alike)


def _largest_corner(cells: Float[Tensor, "b n h w"]) -> Float[Tensor, "b n r c"]:
    rows = torch.maximum(cells[..., :-1, :], cells[..., 1:, :])
    return torch.maximum(rows[..., :-1], rows[..., 1:])


def _bernstein(t: Float[Tensor, "q k"]) -> Float[Tensor, "q 3 k"]:
    return torch.stack(((1 - t).square(), 2 * t * (1 - t), t.square()), dim=1)


def _linear(t: Float[Tensor, "q k"]) -> Float[Tensor, "q 2 k"]:
    return torch.stack((1 - t, t), dim=1)


def quad_pixels(map: DescriptorMap, size: Size, dtype: torch.dtype) -> tuple[QuadPixels, QuadPixels]:
    """Rows and columns of an image of `size` (it shows what `map.image_size` shows) by the quads they lie in."""
    down, right = places_of_pixels(map, size)
    return (
        _by_quad(down + 1, map.values.shape[2] + 1, dtype),
        _by_quad(right + 1, map.values.shape[3] + 1, dtype),
    )


def _by_quad(place: Float[Tensor, " p"], quads: int, dtype: torch.dtype) -> QuadPixels:
    """Pixels at `place` (in cells, from the border's first) grouped by the quad they lie in.

    In the border both cells of a quad are equal: one of its pixels will do, and any weight.
    """
    place = place.clamp(0, quads)
    first = place.floor().clamp(max=quads - 1).long()
    kept = (first > 0) & (first < quads - 1)
    kept[0] = True
    kept[1:] |= (first[1:] != first[:-1]) & (quads > 2)  # of a lone cell all pixels are alike
    pixel = kept.nonzero()[:, 0]
    count = torch.bincount(first[pixel], minlength=quads)
    start = count.cumsum(0) - count
    within = torch.arange(int(count.max()), device=place.device).minimum((count - 1).clamp(min=0)[:, None])
    index = pixel[(start[:, None] + within).clamp(max=len(pixel) - 1)]
    weight = place[index] - first[index]
    weight[0] = weight[-1] = weight[quads // 2]
    alike = bool((weight - weight[:1]).abs().max() < SAME_PLACE)
    return QuadPixels(index, weight.to(dtype), (count > 0).to(dtype), alike)
