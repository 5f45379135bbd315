"""What a reader refuses, as findings.

A reader stops at the first pose that is no rigid motion, at intrinsics declared for another size, at a mask of
another size. Here such a refusal becomes the finding of the check it belongs to; of poses, all are looked at. Any
other refusal is an error: the data set cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Footage
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.reading import matching
from samepoint.text import read_numbers

ROTATIONS = "rotations"
REFUSALS = (
    (r"mirrored|orthonormal|last row of the pose|not finite", ROTATIONS),
    (r"^is for (\d+x\d+ images|images \S+ pixels)", "intrinsics"),
    (r"camera matrix", "intrinsics"),
    (r"^the mask is \d+x\d+", "masks"),
    (r"^the depth is \d+x\d+", "depth values"),
    (r"^depth_unit_m is", "depth unit"),
)
"""A pattern of `DataError.what` and the check whose fault it is."""
TOLERANCE = 0.01


def refused(error: DataError, root: Path) -> Finding | None:
    """The fault that made a reader refuse `root`; None if it is none of those the doctor looks for."""
    check = next((check for pattern, check in REFUSALS if re.search(pattern, error.what)), None)
    if check is None:
        return None
    if check == ROTATIONS:
        found = rotations_of_files(root)
        if found is not None:
            return found
    where = "" if error.where is None else f"{_short(error.where, root)}: "
    return Finding(check, "fault", f"{where}{error.what}", error.mend)


def check_rotations(footage: Footage) -> Finding:
    """Of poses that were read, which readers have checked already."""
    rotations = [v.world_from_camera[:3, :3] for v in footage.views if v.world_from_camera is not None]
    if not rotations:
        return Finding(ROTATIONS, "not applicable", "there are no camera poses")
    determinants = np.linalg.det(np.stack([r.double().numpy() for r in rotations]))
    worst = float(np.abs(determinants - 1).max())
    return Finding(ROTATIONS, "right", f"{len(rotations)} poses, determinants within {worst:.1g} of 1")


def rotations_of_files(root: Path) -> Finding | None:
    """The poses that lie in a frames folder or a BOP data set, read without a reader."""
    named = [(name, matrix) for name, matrix in _raw(root) if matrix is not None]
    if not named:
        return None
    with np.errstate(invalid="ignore"):
        determinants = np.array([np.linalg.det(matrix) for _, matrix in named])
        products = np.stack([matrix @ matrix.T for _, matrix in named])
    finite = np.isfinite(determinants)
    mirrored = finite & (determinants < 0)
    skewed = finite & ~mirrored & (np.abs(products - np.eye(3)).max((1, 2)) > TOLERANCE)
    kinds = (
        (mirrored, "mirrored", "flip one axis: frames are right-handed, with x right, y down, z forward"),
        (skewed, "not orthonormal", "give rotations without scale or shear"),
        (~finite, "not finite", "leave these views out"),
    )
    for wrong, what, mend in kinds:
        if wrong.any():
            names = tuple(name for (name, _), bad in zip(named, wrong) if bad)
            median = "" if what == "not finite" else f" (determinant {np.median(determinants[wrong]):.4g})"
            return Finding(
                ROTATIONS, "fault", f"{len(names)} of {len(named)} poses are {what}{median}", mend, names
            )
    return None


def _raw(root: Path) -> Iterator[tuple[str, np.ndarray | None]]:
    """Names and 3x3 parts."""
    for path in matching(root / "pose", "*.txt"):
        yield path.name, _pose(path)
    for pattern in ("scene_camera.json", "*/scene_camera.json", "*/*/scene_camera.json"):
        for path in matching(root, pattern):
            for number, entry in _entries(path):
                values = entry.get("cam_R_w2c")
                yield f"{path.parent.relative_to(root).as_posix()}/{number}", _matrix(values, 9)


def _entries(path: Path) -> Iterator[tuple[str, dict]]:
    try:
        content = read_json(path)
    except DataError:
        return
    for number, entry in content.items() if isinstance(content, dict) else ():
        if isinstance(entry, dict):
            yield number, entry


def _pose(path: Path) -> np.ndarray | None:
    try:
        return read_numbers(path, 16).reshape(4, 4)[:3, :3]
    except DataError:
        return None


def _matrix(values: object, count: int) -> np.ndarray | None:
    try:
        array = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        return None
    if array.size != count:
        return None
    return array.reshape(4, 4)[:3, :3] if count == 16 else array.reshape(3, 3)


def _short(where: object, root: Path) -> str:
    path = Path(str(where))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(where)
