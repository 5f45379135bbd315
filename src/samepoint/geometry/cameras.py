"""Pinhole cameras (OpenCV axes: x right, y down, z forward). Lens distortion is removed on import (`lenses`).

A camera matrix is 3x3 with last row (0, 0, 1); its upper-left 2x2 part may be any invertible matrix, so the
matrix of a rotated image (`samepoint.geometry.warps.warp_intrinsics`) is one too.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.geometry.precision import doubled


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


def focal_length(intrinsics: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Pixels a radian at the principal point, the geometric mean of all directions."""
    k = doubled(intrinsics[..., :2, :2].detach())
    determinant = k[..., 0, 0] * k[..., 1, 1] - k[..., 0, 1] * k[..., 1, 0]
    return determinant.abs().sqrt().to(intrinsics.dtype)


def _parts(intrinsics: Float[Tensor, "*b 3 3"]) -> tuple[Tensor, Tensor]:
    """The 2x2 matrix and the offset, in at least single precision."""
    k = intrinsics.to(torch.promote_types(intrinsics.dtype, torch.float32))
    return k[..., :2, :2], k[..., None, :2, 2]
