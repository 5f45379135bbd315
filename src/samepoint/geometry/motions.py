"""Rigid motions as 4x4 matrices `target_from_source`, in metres and radians."""

from __future__ import annotations

import functools

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.errors import DataError


def rigid(rotation: Float[Tensor, "*b 3 3"], translation: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4 4"]:
    """The 4x4 matrix of a rotation and a translation."""
    last = rotation.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(*translation.shape[:-1], 1, 4)
    return torch.cat((torch.cat((rotation, translation[..., None]), dim=-1), last), dim=-2)


def transform(
    target_from_source: Float[Tensor, "*#b 4 4"], xyz: Float[Tensor, "*#b n 3"]
) -> Float[Tensor, "*b n 3"]:
    """Points of the source frame in the target frame (metres)."""
    rotation, translation = target_from_source[..., :3, :3], target_from_source[..., None, :3, 3]
    return xyz @ rotation.transpose(-1, -2) + translation


def invert(target_from_source: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    """`source_from_target`, by the transposed rotation: exact for rigid motions only (`check_rigid`)."""
    rotation = target_from_source[..., :3, :3].transpose(-1, -2)
    return rigid(rotation, -(rotation @ target_from_source[..., :3, 3:])[..., 0])


def compose(*motions: Float[Tensor, "*_ 4 4"]) -> Float[Tensor, "*_ 4 4"]:
    """The product c_from_a = compose(c_from_b, b_from_a); adjacent names match. Leading sizes broadcast."""
    return functools.reduce(torch.matmul, motions)


def rotation_angle(motion: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b"]:
    """Angle of the rotation in [0, pi] radians, accurate at both ends (atan2 of its sine and cosine)."""
    r = motion[..., :3, :3]
    axis = (r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1])
    sine = torch.linalg.vector_norm(torch.stack(axis, dim=-1), dim=-1)
    return torch.atan2(sine, r.diagonal(dim1=-2, dim2=-1).sum(-1) - 1)


def exp(twist: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 4 4"]:
    """Exponential map of se(3): (x, y, z metres; rotation vector radians), smooth at zero."""
    v, omega = twist[..., :3], twist[..., 3:]
    cross = _cross_matrix(omega)
    near, angle, square = _safe_angle(omega)
    first = torch.where(near, 0.5 - square / 24, 2 * torch.sin(angle / 2) ** 2 / angle**2)
    second = torch.where(near, 1 / 6 - square / 120, (angle - torch.sin(angle)) / angle**3)
    translation = v + _apply(cross, first[..., None] * v + second[..., None] * _apply(cross, v))
    return rigid(roma.rotvec_to_rotmat(omega), translation)


def log(motion: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 6"]:
    """Inverse of `exp`, for rotation angles up to pi. Mixes metres and radians: weigh them before a norm."""
    omega = roma.rotmat_to_rotvec(motion[..., :3, :3])
    translation, cross = motion[..., :3, 3], _cross_matrix(omega)
    near, angle, square = _safe_angle(omega)
    half = angle / 2
    second = torch.where(near, 1 / 12 + square / 720, (1 - half / torch.tan(half)) / angle**2)
    once = _apply(cross, translation)
    return torch.cat((translation - once / 2 + second[..., None] * _apply(cross, once), omega), dim=-1)


def check_rigid(
    motion: Float[Tensor, "*b 4 4"], where: object = None, tolerance: float = 1e-3
) -> Float[Tensor, "*b 4 4"]:
    """Return `motion` if it is rigid.

    Raises DataError if it holds NaN or infinity, has another last row than (0, 0, 0, 1), or if its 3x3 part
    is scaled, mirrored (determinant -1) or otherwise not orthonormal within `tolerance`.
    """
    if not torch.isfinite(motion).all():
        raise DataError("the pose has values that are not finite", where=where, mend="leave this view out")
    m = motion.detach().cpu().double()
    if ((m[..., 3, :] - m.new_tensor((0.0, 0.0, 0.0, 1.0))).abs() > tolerance).any():
        raise DataError(
            "the last row of the pose is not 0 0 0 1",
            where=where,
            mend="write poses as row-major 4x4 matrices",
        )
    r = m[..., :3, :3]
    scale = torch.linalg.det(r)
    if (scale < -tolerance).any():
        raise DataError(
            "the rotation of the pose is mirrored (determinant below 0)",
            where=where,
            mend="flip one axis; frames are right-handed with OpenCV's axes (x right, y down, z forward)",
        )
    deviation = (r @ r.transpose(-1, -2) - torch.eye(3, dtype=r.dtype)).abs()
    if deviation.numel() and deviation.max() > tolerance:
        worst = float(scale.flatten()[(scale.flatten() - 1).abs().argmax()])
        raise DataError(
            f"the rotation of the pose is not orthonormal (determinant {worst:.4g})",
            where=where,
            mend="give a rotation without scale or shear",
        )
    return motion


def _cross_matrix(omega: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    x, y, z = omega.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack((o, -z, y, z, o, -x, -y, x, o), dim=-1).unflatten(-1, (3, 3))


def _apply(matrix: Float[Tensor, "*b 3 3"], vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    return (matrix @ vector[..., None])[..., 0]


def _safe_angle(omega: Float[Tensor, "*b 3"]) -> tuple[Tensor, Tensor, Tensor]:
    """Whether the angle is so small that series are used, an angle that is safe to divide by, its square."""
    square = (omega * omega).sum(-1)
    near = square < (1e-2 if omega.dtype == torch.float64 else 1e-1) ** 2
    return near, torch.where(near, torch.ones_like(square), square).sqrt(), square
