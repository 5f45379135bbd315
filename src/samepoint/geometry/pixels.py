"""The pixel convention. No other file adds or subtracts half a pixel.

A pixel is uv = (u right, v down), with integer values at pixel centres, so an image of size (h, w) covers
-0.5 <= u < w - 0.5 and -0.5 <= v < h - 0.5, and u = 0 or v = 0 are pixels like any other. Resizing keeps the
image's edges in place: u' = (u + 0.5) * scale - 0.5. A low-resolution map has its own `CellMap`.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.types import CellMap, Size


def pixel_grid(
    size: Size, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "h w 2"]:
    """uv of every pixel centre: `grid[v, u] == (u, v)`."""
    v, u = torch.meshgrid(
        torch.arange(size[0], device=device, dtype=dtype),
        torch.arange(size[1], device=device, dtype=dtype),
        indexing="ij",
    )
    return torch.stack((u, v), dim=-1)


def pixels_of(mask: Bool[Tensor, "h w"]) -> Float[Tensor, "n 2"]:
    """uv of the pixels where a mask is true, row by row."""
    return mask.nonzero().flip(-1).float()


def in_frame(uv: Float[Tensor, "*b 2"], size: Size | Int[Tensor, "*#b 2"]) -> Bool[Tensor, "*b"]:
    """Whether each pixel lies on the image's area (NaN does not). `size`: (height, width) of all, or of each."""
    u, v = uv.unbind(-1)
    height, width = size if isinstance(size, tuple) else size.unbind(-1)
    return (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)


def nearest_pixel(uv: Float[Tensor, "*b 2"], size: Size) -> tuple[Tensor, Tensor]:
    """Integer (row, column) of the pixel that holds uv, clamped to the image; NaN gives pixel 0.

    Half-way cases go to the right and down, so `in_frame` pixels are never moved by the clamp.
    """
    column, row = torch.nan_to_num(uv + 0.5, nan=0.0).floor().unbind(-1)
    return row.clamp(0, size[0] - 1).long(), column.clamp(0, size[1] - 1).long()


def grid_from_pixels(uv: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """Normalised coordinates for `torch.nn.functional.grid_sample(..., align_corners=False)`."""
    return (2 * uv + 1) / uv.new_tensor((size[1], size[0])) - 1


def pixels_from_grid(grid: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """Inverse of `grid_from_pixels`."""
    return ((grid + 1) * grid.new_tensor((size[1], size[0])) - 1) / 2


def sample(
    values: Float[Tensor, "b c h w"],
    uv: Float[Tensor, "b n 2"],
    mode: Literal["bilinear", "nearest"] = "bilinear",
    padding: Literal["border", "zeros"] = "border",
) -> Float[Tensor, "b n c"]:
    """Values at sub-pixel positions, in the dtype of `values`; differentiable in both (bilinear).

    Beyond the outermost pixel centres "border" repeats the edge and "zeros" fades to zero over one pixel.
    Positions are computed in at least single precision, whatever the dtype of `values`.
    """
    batch, channels, height, width = values.shape
    if uv.shape[1] == 0 or batch == 0:
        return values.new_zeros(batch, uv.shape[1], channels)
    working = torch.promote_types(torch.promote_types(values.dtype, uv.dtype), torch.float32)
    grid = grid_from_pixels(uv.to(working), (height, width))
    sampled = F.grid_sample(
        values.to(working), grid[:, None], mode=mode, padding_mode=padding, align_corners=False
    )
    return sampled[:, :, 0].transpose(1, 2).to(values.dtype)


def resize_pixels(uv: Float[Tensor, "*b 2"], from_size: Size, to_size: Size) -> Float[Tensor, "*b 2"]:
    """Where pixels go when an image is resized (edges stay in place)."""
    scale = uv.new_tensor((to_size[1] / from_size[1], to_size[0] / from_size[0]))
    return (uv + 0.5) * scale - 0.5


def resize_intrinsics(
    intrinsics: Float[Tensor, "*b 3 3"], from_size: Size, to_size: Size
) -> Float[Tensor, "*b 3 3"]:
    """The camera matrix of the resized image."""
    return intrinsics.new_tensor(resize_matrix(from_size, to_size)) @ intrinsics


def resize_matrix(from_size: Size, to_size: Size) -> list[list[float]]:
    """`resize_pixels` as a 3x3 matrix on homogeneous pixels."""
    su, sv = to_size[1] / from_size[1], to_size[0] / from_size[0]
    return [[su, 0.0, 0.5 * su - 0.5], [0.0, sv, 0.5 * sv - 0.5], [0.0, 0.0, 1.0]]


def cells_from_pixels(uv: Float[Tensor, "*b 2"], cells: CellMap) -> Float[Tensor, "*b 2"]:
    """Cell coordinates (column, row) as floats; integers at cell centres."""
    return (uv - uv.new_tensor(cells.offset)) / uv.new_tensor(cells.stride)


def pixels_from_cells(cell: Float[Tensor, "*b 2"], cells: CellMap) -> Float[Tensor, "*b 2"]:
    """Pixels of cell coordinates (column, row); inverse of `cells_from_pixels`."""
    return cell * cell.new_tensor(cells.stride) + cell.new_tensor(cells.offset)


def cell_centres(
    cells: CellMap,
    map_size: Size,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "h w 2"]:
    """Pixels of the centres of all cells of a map of `map_size`."""
    return pixels_from_cells(pixel_grid(map_size, device, dtype), cells)
