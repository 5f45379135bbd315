"""LabelFusion's camera poses: lines of the posegraph, found by the times of the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool

from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.readers.pose_times import TimedPoses, nearest
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.errors import DataError
from samepoint.text import read_lines, read_text

MICRO = 1e-6
NEAR = 0.05
"""Seconds within which a pose is that of an image."""


def image_times(images: Sequence[Path], *, needed: bool) -> list[float | None]:
    """Seconds, from NUMBER_utime.txt (microseconds); None where the file is missing, unless `needed`."""
    return [_seconds(image, needed) for image in images]


def _seconds(image: Path, needed: bool) -> float | None:
    path = image.with_name(image.name.replace("_rgb.png", "_utime.txt"))
    if not path.exists() and not needed:
        return None
    if not path.exists():
        mend = "restore it: it finds the image's pose"
        raise DataError("this file does not exist", where=path, mend=mend)
    text = read_text(path)
    try:
        return int(text) * MICRO
    except ValueError as error:
        raise DataError("is not a time", where=path, mend="write whole microseconds") from error


def read_posegraph(path: Path, times: Sequence[float | None]) -> TimedPoses:
    """The poses of the posegraph. DataError if none is near any of the images' `times`."""
    graph = _posegraph(path)
    if not has_pose(times, graph).any():
        mend = "it counts seconds, and images/*_utime.txt microseconds, of the same clock"
        raise DataError("has no pose near the time of any image", where=path, mend=mend)
    return graph


def has_pose(times: Sequence[float | None], graph: TimedPoses) -> Bool[np.ndarray, " n"]:
    """Whether a pose is near each time."""
    wanted = np.array([math.nan if time is None else time for time in times])
    return nearest(wanted, graph.times, NEAR) >= 0


def _posegraph(path: Path) -> TimedPoses:
    lines = read_lines(path)
    stamps: list[float] = []
    matrices: list[np.ndarray] = []
    names: list[str] = []
    for k, line in enumerate(lines):
        if not line.strip():
            continue
        where = f"{path}, line {k + 1}"
        try:
            time, x, y, z, qx, qy, qz, qw = map(float, line.replace(",", " ").split())
        except ValueError as error:
            raise DataError("is not a pose", where=where, mend="write seconds x y z qx qy qz qw") from error
        matrices.append(matrix_from(rotation_from_quaternion([qw, qx, qy, qz], where), [x, y, z], 1.0, where))
        stamps.append(time)
        names.append(where)
    if not stamps or not np.isfinite(stamps).all():
        what = "holds no poses" if not stamps else "has a time that is not finite"
        raise DataError(what, where=path, mend="restore it, or remove it: the images then have no poses")
    order = np.argsort(stamps, kind="stable")
    poses = torch.stack(checked_poses(matrices, names))[torch.from_numpy(order)]
    return TimedPoses(np.array(stamps)[order], poses, path)
