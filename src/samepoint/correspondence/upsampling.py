"""Bilinear interpolation of a low-resolution map, and the exact norm of the interpolated descriptor.

Interpolation is linear, so q . up(D) = up(q . D): scores are interpolated, never descriptors. The squared
norm of an interpolated descriptor is no interpolation of squared norms, but it is known from the products of
neighbouring cells. With f, g the position of a pixel inside the square of four cells ("quad") and
phi(t) = [(1 - t)^2, 2 t (1 - t), t^2],

    ||up(D)||^2 = phi(g)^T A phi(f),     A = [[ D00.D00,  D00.D01,                      D01.D01 ],
                                             [ D00.D10,  (D00.D11 + D01.D10) / 2,      D01.D11 ],
                                             [ D10.D10,  D10.D11,                      D11.D11 ]]

where Drc is the corner in row r, column c. These Gram maps are low-resolution and do not depend on the query.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.geometry.pixels import cells_from_pixels, resize_pixels
from samepoint.geometry.precision import double_of
from samepoint.types import DescriptorMap, Size

STRIP_ELEMENTS = 1 << 19
"""How many numbers of a map the Gram maps take at once: small temporary tensors are cheaper than large."""


@dataclass(frozen=True)
class Axis:
    """How the pixels of an axis lie between cells: (1 - weight) * cell[first] + weight * cell[first + 1]."""

    first: Int[Tensor, " p"]
    weight: Float[Tensor, " p"]

    def blend(self, maps: Float[Tensor, "*b c q"]) -> Float[Tensor, "*b c p"]:
        """Interpolates along the last axis."""
        return torch.lerp(maps[..., self.first], maps[..., self.first + 1], self.weight.to(maps.dtype))

    def bernstein(self) -> Float[Tensor, "3 p"]:
        """phi(weight) of the module docstring for each pixel."""
        t = self.weight
        return torch.stack(((1 - t).square(), 2 * t * (1 - t), t.square()))


def pixel_axes(map: DescriptorMap, size: Size) -> tuple[Axis, Axis]:
    """Rows and columns of an image of `size` (it shows what `map.image_size` shows) against the map's cells.

    Pixels beyond the outermost cell centres have weight exactly 0 or 1: the border repeats.
    """
    axes = []
    for place, cells in zip(places_of_pixels(map, size), map.values.shape[2:], strict=True):
        place = place.clamp(0, cells - 1)
        first = place.floor().clamp(max=max(cells - 2, 0))
        axes.append(Axis(first.long(), place - first))
    return axes[0], axes[1]


def places_of_pixels(map: DescriptorMap, size: Size) -> tuple[Float[Tensor, " h"], Float[Tensor, " w"]]:
    """Where the rows and columns of an image of `size` lie, in cells of the map, as precise as the device can."""
    device = map.values.device
    dtype = double_of(device)
    down = torch.zeros(size[0], 2, dtype=dtype, device=device)
    right = torch.zeros(size[1], 2, dtype=dtype, device=device)
    down[:, 1] = torch.arange(size[0], device=device)
    right[:, 0] = torch.arange(size[1], device=device)
    cells = [cells_from_pixels(resize_pixels(uv, size, map.image_size), map.cells) for uv in (down, right)]
    return cells[0][:, 1], cells[1][:, 0]


def at_least_two(values: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h2 w2"]:
    """The map with a lone row or column repeated, so that there is a quad to interpolate in."""
    repeat = (0, int(values.shape[3] == 1), 0, int(values.shape[2] == 1))
    return F.pad(values, repeat, mode="replicate") if any(repeat) else values


def gram_maps(values: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 3 r c"]:
    """A of the module docstring for every quad of a map of at least 2 x 2 cells (r = h-1, c = w-1)."""
    batch, dim, height, width = values.shape
    rows = max(1, STRIP_ELEMENTS // max(1, batch * dim * width))
    strips = [_gram_strip(values[:, :, r : r + rows + 1]) for r in range(0, height - 1, rows)]
    return torch.cat(strips, dim=3)


def _gram_strip(values: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 3 r c"]:
    top, bottom = values[:, :, :-1], values[:, :, 1:]
    own = (values * values).sum(1)
    right = (values[..., :-1] * values[..., 1:]).sum(1)
    lower = (top * bottom).sum(1)
    cross = ((top[..., :-1] * bottom[..., 1:]).sum(1) + (top[..., 1:] * bottom[..., :-1]).sum(1)) / 2
    rows = (
        torch.stack((own[:, :-1, :-1], right[:, :-1], own[:, :-1, 1:]), dim=1),
        torch.stack((lower[..., :-1], cross, lower[..., 1:]), dim=1),
        torch.stack((own[:, 1:, :-1], right[:, 1:], own[:, 1:, 1:]), dim=1),
    )
    return torch.stack(rows, dim=1)


def cell_norms(gram: Float[Tensor, "b 3 3 r c"]) -> Float[Tensor, "b h w"]:
    """||D||^2 of every cell, read from the Gram maps."""
    upper = torch.cat((gram[:, 0, 0], gram[:, 0, 2, :, -1:]), dim=2)
    last = torch.cat((gram[:, 2, 0, -1:], gram[:, 2, 2, -1:, -1:]), dim=2)
    return torch.cat((upper, last), dim=1)


def squared_norm(gram: Float[Tensor, "b 3 3 r c"], down: Axis, right: Axis) -> Float[Tensor, "b H W"]:
    """||up(D)||^2 at every pixel."""
    along = gram[..., right.first] * right.bernstein()[:, None].to(gram.dtype)
    lines = along.sum(2)
    return (lines[:, :, down.first] * down.bernstein()[..., None].to(gram.dtype)).sum(1)
