"""Depth images of another size than their colour image, of a camera with the same centre and axes (ScanNet)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from samepoint.types import Size


def registered(
    depth: Shaped[np.ndarray, "h w"],
    depth_intrinsics: Float[Tensor, "3 3"],
    intrinsics: Float[Tensor, "3 3"],
    size: Size,
) -> Shaped[np.ndarray, "h2 w2"]:
    """Depth along the axis for each pixel of an image of `size` (height, width) and `intrinsics`: that of the nearest
    pixel of the depth image on the same ray, 0 where its ray is not in the depth image. Pixels at centres.
    """
    from_image = depth_intrinsics.double().numpy() @ np.linalg.inv(intrinsics.double().numpy())
    columns = np.rint(from_image[0, 0] * np.arange(size[1]) + from_image[0, 2]).astype(np.int64)
    rows = np.rint(from_image[1, 1] * np.arange(size[0]) + from_image[1, 2]).astype(np.int64)
    seen = [(index >= 0) & (index < limit) for index, limit in zip((rows, columns), depth.shape)]
    found = depth[rows.clip(0, depth.shape[0] - 1)[:, None], columns.clip(0, depth.shape[1] - 1)[None]]
    return np.where(seen[0][:, None] & seen[1][None], found, np.zeros(1, depth.dtype))
