"""LabelFusion's camera poses: lines of the posegraph, found by the times of the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, matrix_from
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


def nearest_poses(path: Path, times: Sequence[float | None]) -> list[Float[Tensor, "4 4"] | None]:
    """The pose nearest to each time in the posegraph, None where none is near."""
    stamps, poses = _posegraph(path)
    wanted = np.array([math.nan if time is None else time for time in times])
    after = np.searchsorted(stamps, wanted).clip(max=len(stamps) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(np.abs(stamps[after] - wanted) < np.abs(stamps[before] - wanted), after, before)
    near = np.abs(stamps[nearest] - wanted) <= NEAR
    if not near.any():
        mend = "it counts seconds, and images/*_utime.txt microseconds, of the same clock"
        raise DataError("has no pose near the time of any image", where=path, mend=mend)
    return [poses[int(k)] if fits else None for k, fits in zip(nearest, near, strict=True)]


def _posegraph(path: Path) -> tuple[np.ndarray, Float[Tensor, "n 4 4"]]:
    """Seconds, ascending, and poses."""
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
    return np.array(stamps)[order], poses
