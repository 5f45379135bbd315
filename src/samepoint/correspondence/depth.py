"""Reading depth images at sub-pixel positions. Depth is metres; 0, negative and NaN mean unknown."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.geometry.pixels import nearest_pixel


def depth_at(
    depth: Float[Tensor, "*b h w"], uv: Float[Tensor, "*b n 2"], radius: int = 0, edge: float = 0.01
) -> Float[Tensor, "*b n"]:
    """Depth at pixels in metres, never blended over an edge; NaN where unknown.

    Where the four pixels around uv are known and differ by less than the fraction `edge` of their depth, they
    are interpolated (linearly in inverse depth, which is exact on planes). Elsewhere it is the depth of the
    pixel that holds uv, or, if that is unknown, of the nearest known one at most `radius` pixels away per
    axis. Positions outside the image read its border.
    """
    window, offset = depth_window(depth, uv, radius)
    unknown = torch.isnan(window)
    distance = torch.where(unknown, torch.inf, offset.square().sum(-1))
    nearest = window.gather(-1, distance.argmin(-1, keepdim=True))[..., 0]
    corners, weights = depth_corners(depth, uv)
    low, high = corners.amin(-1), corners.amax(-1)
    smooth = high - low <= edge * low
    blended = 1 / (weights / torch.where(smooth[..., None], corners, 1.0)).sum(-1)
    return torch.where(smooth, blended, nearest)


def depth_window(
    depth: Float[Tensor, "*b h w"], uv: Float[Tensor, "*b n 2"], radius: int
) -> tuple[Float[Tensor, "*b n k"], Float[Tensor, "*b n k 2"]]:
    """The k = (2 radius + 1)^2 depths around each position, NaN where unknown or outside, rows first.

    Also the offsets (u, v) of their pixels from uv.
    """
    size = (depth.shape[-2], depth.shape[-1])
    row, column = nearest_pixel(uv, size)
    step = torch.arange(-radius, radius + 1, device=uv.device)
    dv, du = (grid.flatten() for grid in torch.meshgrid(step, step, indexing="ij"))
    rows, columns = row[..., None] + dv, column[..., None] + du
    inside = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
    values = _read(depth, rows.clamp(0, size[0] - 1), columns.clamp(0, size[1] - 1))
    offset = torch.stack((columns, rows), dim=-1) - uv.unsqueeze(-2)
    return torch.where(inside, values, torch.nan), offset


def known(depth: Float[Tensor, "*b"]) -> Bool[Tensor, "*b"]:
    """Where a depth is a measurement: finite and above 0."""
    return (depth > 0) & torch.isfinite(depth)


def depth_corners(
    depth: Float[Tensor, "*b h w"], uv: Float[Tensor, "*b n 2"]
) -> tuple[Float[Tensor, "*b n 4"], Float[Tensor, "*b n 4"]]:
    """Depths of the four pixels around uv "*b n 4" (NaN where unknown) and their bilinear weights."""
    size = (depth.shape[-2], depth.shape[-1])
    limit = uv.new_tensor((size[1] - 1, size[0] - 1))
    inside = torch.minimum(torch.nan_to_num(uv).clamp_min(0), limit)
    low = torch.minimum(inside.floor(), (limit - 1).clamp_min(0))
    (a, b), (column, row) = (inside - low).unbind(-1), low.long().unbind(-1)
    right, below = (column + 1).clamp(max=size[1] - 1), (row + 1).clamp(max=size[0] - 1)
    rows, columns = torch.stack((row, row, below, below), -1), torch.stack((column, right, column, right), -1)
    weights = torch.stack(((1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b), dim=-1)
    return _read(depth, rows, columns), weights


def _read(depth: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values at integer pixels "*b n k"; unknown becomes NaN."""
    flat = (rows * depth.shape[-1] + columns).flatten(-2)
    values = depth.flatten(-2).gather(-1, flat).unflatten(-1, rows.shape[-2:])
    return torch.where(known(values), values, torch.nan)
