"""Pinhole cameras (OpenCV axes: x right, y down, z forward), and lens distortion removed at the border.

A camera matrix is 3x3 with last row (0, 0, 1); its upper-left 2x2 part may be any invertible matrix, so the
matrix of a rotated image (`samepoint.geometry.warps.warp_intrinsics`) is one too.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor


def project(
    intrinsics: Float[Tensor, "*#b 3 3"], xyz: Float[Tensor, "*#b n 3"]
) -> tuple[Float[Tensor, "*b n 2"], Float[Tensor, "*b n"]]:
    """Pixels and depths (metres along the optical axis) of points in the camera frame.

    The pixels of points with depth <= 0 mean nothing: look at the depth before using them.
    """
    matrix, offset = _parts(intrinsics)
    xyz_ = xyz.to(matrix.dtype)
    z = xyz_[..., 2:]
    safe = torch.where(z.abs() < 1e-9, torch.full_like(z, 1e-9), z)
    uv = (xyz_[..., :2] / safe) @ matrix.transpose(-1, -2) + offset
    return uv.to(xyz.dtype), xyz[..., 2].expand(uv.shape[:-1])


def rays(intrinsics: Float[Tensor, "*#b 3 3"], uv: Float[Tensor, "*#b n 2"]) -> Float[Tensor, "*b n 3"]:
    """Directions in the camera frame with z = 1 (not unit length) of the rays through pixels."""
    matrix, offset = _parts(intrinsics)
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    inverse = torch.stack((d, -b, -c, a), dim=-1).unflatten(-1, (2, 2)) / (a * d - b * c)[..., None, None]
    xy = (uv.to(matrix.dtype) - offset) @ inverse.transpose(-1, -2)
    return torch.cat((xy, torch.ones_like(xy[..., :1])), dim=-1).to(uv.dtype)


def unproject(
    intrinsics: Float[Tensor, "*#b 3 3"], uv: Float[Tensor, "*#b n 2"], z: Float[Tensor, "*#b n"]
) -> Float[Tensor, "*b n 3"]:
    """Points in the camera frame at depth z (metres along the optical axis); inverse of `project`."""
    return rays(intrinsics, uv) * z[..., None]


def _parts(intrinsics: Float[Tensor, "*b 3 3"]) -> tuple[Tensor, Tensor]:
    """The 2x2 matrix and the offset, in at least single precision."""
    k = intrinsics.to(torch.promote_types(intrinsics.dtype, torch.float32))
    return k[..., :2, :2], k[..., None, :2, 2]


def undistort_image(
    image: Shaped[np.ndarray, "h w *c"],
    intrinsics: Float[Tensor, "3 3"],
    distortion: Float[Tensor, " 5"],
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Shaped[np.ndarray, "h w *c"]:
    """The image of a pinhole camera with the same matrix; 0 where the lens saw nothing.

    `distortion` is OpenCV's and ROS's plumb bob: k1 k2 p1 p2 k3. Depth and labels need mode "nearest".
    """
    k = _numpy(intrinsics)
    size = (image.shape[1], image.shape[0])
    map_u, map_v = cv2.initUndistortRectifyMap(k, _numpy(distortion), np.eye(3), k, size, cv2.CV_32FC1)
    flag = cv2.INTER_NEAREST if mode == "nearest" else cv2.INTER_LINEAR
    return cv2.remap(image, map_u, map_v, flag, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))


def undistort_points(
    uv: Float[Tensor, "n 2"], intrinsics: Float[Tensor, "3 3"], distortion: Float[Tensor, " 5"]
) -> Float[Tensor, "n 2"]:
    """Where pixels of the distorted image lie in the pinhole image. No gradient. See `undistort_image`."""
    if len(uv) == 0:
        return uv.clone()
    k = _numpy(intrinsics)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
    straight = cv2.undistortPointsIter(_numpy(uv)[:, None], k, _numpy(distortion), np.eye(3), k, stop)
    return torch.from_numpy(straight[:, 0]).to(uv)


def distort_points(
    uv: Float[Tensor, "n 2"], intrinsics: Float[Tensor, "3 3"], distortion: Float[Tensor, " 5"]
) -> Float[Tensor, "n 2"]:
    """Where pixels of the pinhole image lie in the distorted image; inverse of `undistort_points`."""
    if len(uv) == 0:
        return uv.clone()
    k, zero = _numpy(intrinsics), np.zeros(3)
    directions = _numpy(rays(intrinsics.double(), uv.double()))
    bent, _ = cv2.projectPoints(directions, zero, zero, k, _numpy(distortion))
    return torch.from_numpy(bent[:, 0]).to(uv)


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64).numpy()
