"""Numbers that readers take from files: checked, in metres, with an error that names the entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.errors import DataError
from samepoint.geometry.motions import check_rigid

TOLERANCE = 1e-2
"""How far a rotation in a file may be from orthonormal: printed numbers are rounded."""


def checked_poses(matrices: Sequence[np.ndarray], names: Sequence[object]) -> list[Float[Tensor, "4 4"]]:
    """float32 poses from 4x4 float64 arrays. DataError naming the first that is not a rigid motion."""
    if not matrices:
        return []
    stacked = torch.from_numpy(np.stack(matrices))
    try:
        check_rigid(stacked, None, TOLERANCE)
    except DataError:
        for motion, name in zip(stacked, names, strict=True):
            check_rigid(motion, name, TOLERANCE)
    return list(stacked.float().unbind(0))


def matrix_from(rotation: object, translation: object, scale: float, where: object) -> np.ndarray:
    """A 4x4 float64 matrix from nine (row by row) and three numbers, the latter times `scale`."""
    matrix = np.eye(4)
    matrix[:3, :3] = numbers(rotation, 9, where).reshape(3, 3)
    matrix[:3, 3] = numbers(translation, 3, where) * scale
    return matrix


def intrinsics_from(values: object, where: object) -> Float[Tensor, "3 3"]:
    """A float32 camera matrix from nine numbers; focal lengths are positive, the last row is 0 0 1."""
    matrix = numbers(values, 9, where).reshape(3, 3)
    if np.isfinite(matrix).all() and matrix[0, 0] * matrix[1, 1] != 0 and np.allclose(matrix[2], (0, 0, 1)):
        _check_signs(float(matrix[0, 0]), float(matrix[1, 1]), where)
    fine = np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0
    if not fine or not np.allclose(matrix[2], (0, 0, 1)):
        mend = "write fx 0 cx 0 fy cy 0 0 1 in pixels"
        raise DataError(f"the camera matrix {matrix.ravel().tolist()} is not one", where=where, mend=mend)
    return torch.from_numpy(matrix).float()


def _check_signs(fx: float, fy: float, where: object) -> None:
    """DataError for a camera whose axes are turned or mirrored by the signs of its focal lengths: its poses would
    have to be read otherwise too, and the numbers do not tell whether they were written so."""
    if fx > 0 and fy > 0:
        return
    if fx < 0 and fy < 0:
        what, mend = "both focal lengths are negative: x points left and y up", "with --axes turned (RLBench)"
    elif fy < 0:
        what, mend = f"fy is {fy:g}: y points up", "with --axes left-handed (ICL-NUIM, Unity) or opengl"
    else:
        what, mend = f"fx is {fx:g}: x points left, or z backward", "with --axes opengl"
    fixed = f"write it positive; if the poses are of such a camera too, import {mend}"
    raise DataError(what, where=where, mend=fixed)


def numbers(values: object, count: int, where: object) -> np.ndarray:
    """`count` float64 numbers, or a DataError."""
    try:
        array = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        array = np.empty(0)
    if len(array) != count:
        raise DataError(
            f"expected {count} numbers, found {values!r}", where=where, mend="write the file again"
        )
    return array
