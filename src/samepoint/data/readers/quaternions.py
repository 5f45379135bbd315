"""Unit quaternions, as side files print them, to rotation matrices. Nothing behind the readers uses them."""

from __future__ import annotations

import numpy as np
import roma
import torch
from jaxtyping import Float64

from samepoint.data.checks import numbers
from samepoint.errors import DataError

TOLERANCE = 1e-2
"""How far the length of a printed quaternion may be from one."""


def rotation_from_quaternion(wxyz: object, where: object) -> Float64[np.ndarray, "3 3"]:
    """The rotation matrix of the unit quaternion w, x, y, z (w the scalar part; q and -q are the same).

    Rounding is taken out by normalising. DataError, naming `where`, unless there are four numbers of length one
    within 0.01: a longer or shorter one was damaged, or is not a quaternion.
    """
    q = numbers(wxyz, 4, where)
    length = float(np.linalg.norm(q))
    if not abs(length - 1) <= TOLERANCE:  # also true of NaN
        what = f"the quaternion {q.tolist()} has the length {length:.4g}, not 1"
        raise DataError(what, where=where, mend="give a unit quaternion")
    xyzw = torch.from_numpy(q[[1, 2, 3, 0]] / length)
    return roma.unitquat_to_rotmat(xyzw).numpy()
