"""The depth at a pixel of a depth image, and the 3-D point there."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.errors import DataError
from samepoint.geometry.cameras import unproject
from samepoint.geometry.pixels import nearest_pixel, pixel_grid
from samepoint.types import Size

RADIUS = 3.0


def depth_tensor(depth: np.ndarray | Tensor, size: Size) -> Float[Tensor, "h w"]:
    """A depth image in metres as a float32 tensor. DataError unless it is a float image of the given size."""
    found = torch.as_tensor(depth).detach().cpu() if _is_float(depth) else None
    if found is None:
        kind = getattr(depth, "dtype", type(depth).__name__)
        raise DataError(
            f"depth of type {kind} is not float", mend="give metres as floats (millimetres / 1000)"
        )
    if tuple(found.shape) != tuple(size):
        raise DataError(
            f"depth of shape {tuple(found.shape)} does not fit an image of {size[0]} x {size[1]}",
            mend="give the depth registered to the colour image, at its size",
        )
    return found.float()


def camera_matrix(matrix: object) -> Float[Tensor, "3 3"]:
    """The 3x3 camera matrix in double precision. DataError unless it can be one."""
    try:
        k = torch.as_tensor(np.asarray(matrix, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(
            "K is not a 3 x 3 matrix of numbers", mend="give [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        ) from error
    if (
        tuple(k.shape) != (3, 3)
        or not bool(torch.isfinite(k).all())
        or not torch.equal(k[2], k.new_tensor((0, 0, 1)))
        or not abs(float(k[0, 0] * k[1, 1] - k[0, 1] * k[1, 0])) > 0
    ):
        raise DataError(
            f"K is not a camera matrix: {k.tolist()}", mend="give [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        )
    return k


def depth_at(depth: Float[Tensor, "h w"], uv: tuple[float, float], radius: float = RADIUS) -> float | None:
    """Depth in metres of the valid pixel nearest to `uv` within `radius` pixels, or None.

    Valid is finite and above 0. Nearest, not averaged: an average over an object's edge lies on no surface.
    """
    size = (depth.shape[0], depth.shape[1])
    row, column = (int(x) for x in nearest_pixel(torch.tensor(uv, dtype=torch.float64), size))
    reach = int(radius) + 1
    rows = slice(max(0, row - reach), row + reach + 1)
    columns = slice(max(0, column - reach), column + reach + 1)
    window = depth[rows, columns]
    grid = pixel_grid(size, dtype=torch.float64)[rows, columns]
    distance = (grid - torch.tensor(uv, dtype=torch.float64)).norm(dim=-1)
    distance[~(torch.isfinite(window) & (window > 0))] = torch.inf
    nearest = int(distance.argmin())
    if float(distance.flatten()[nearest]) > radius:
        return None
    return float(window.flatten()[nearest])


def point_at(
    depth: Float[Tensor, "h w"], intrinsics: Float[Tensor, "3 3"], uv: tuple[float, float]
) -> tuple[float, float, float] | None:
    """The point (x, y, z) in metres, camera frame, seen at `uv`, or None where the depth is unknown."""
    z = depth_at(depth, uv)
    if z is None:
        return None
    pixel = intrinsics.new_tensor([uv])
    x, y, z = unproject(intrinsics, pixel, intrinsics.new_tensor([z]))[0].tolist()
    return x, y, z


def _is_float(depth: object) -> bool:
    if isinstance(depth, np.ndarray):
        return bool(np.issubdtype(depth.dtype, np.floating))
    return isinstance(depth, Tensor) and depth.is_floating_point()
