"""TUM RGB-D sequences.

    rgb.txt            time rgb/1305031102.175304.png
    depth.txt          time depth/1305031102.160407.png
    groundtruth.txt    time tx ty tz qx qy qz qw
    associations.txt   time rgb/... time depth/...        in place of rgb.txt and depth.txt, in either order
    intrinsics.json    ours, for cameras other than TUM's

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. Times in seconds. Each colour image gets the pose and
the depth image nearest in time, within 0.02 s, or a pose between two entries (`PoseTiming`); a depth image is used
once. How many images lack one and how far away in time the others' are is said in the notes. Poses are
camera-to-world, metres, OpenCV axes; a line with NaN or a quaternion of zeros means that the pose was lost. Depth:
5000 units a metre along the optical axis, registered to colour, 0 unknown.

The files hold no intrinsics. TUM published a calibration of each of its three colour cameras (from a pixel's centre,
with OpenCV's distortion; freiburg3 is straightened already): taken by the "freiburg1", "freiburg2" or "freiburg3" in
the folder's name, or at the head of rgb.txt. (TUM's advice for quick use, 525 525 319.5 239.5 for all without lens,
has the principal point up to 16 pixels elsewhere.) Other cameras: intrinsics.json {"fx", "fy", "cx", "cy"} and, if
need be, "width", "height", "distortion" [k1, k2, p1, p2, k3] and "depth_unit_m".
ICL-NUIM has this form too, with associations.txt and livingRoom0.gt.freiburg: its numbers are of frames, no seconds,
and its camera's y axis points up (fy is published as -480): write fy positive and import with `axes` "left-handed".
NOT read: accelerometer.txt, bags, who moves: sequences with people walking are scans too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.leftovers import noted
from samepoint.data.readers.camera_numbers import check_image
from samepoint.data.readers.pose_times import PoseTiming, TimedPoses, distance_note, nearest, poses_at
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.data.readers.tum.cameras import camera_of
from samepoint.data.readers.tum.lists import (
    WITHIN,
    TumLists,
    floats,
    pairs,
    poses_file,
    read_list,
    read_lists,
)
from samepoint.data.recording import Dataset, DepthFile, Moment, Recording, View
from samepoint.errors import DataError
from samepoint.text import named_file


def read_tum(source: Path, timing: PoseTiming | None = None) -> Dataset:
    """Reads one sequence as a recording of mode "scan", a moment for each colour image, with its time.

    depth.txt and groundtruth.txt may be missing, also entries for single images. `timing` says how poses are found.
    DataError for lists that are damaged
    or whose times do not meet, for images that are not there, and for a camera that is not known.
    """
    root = Path(source)
    lists = read_lists(root)
    images = [_file(root, name, lists.colour.where) for name in lists.colour.names]
    camera = camera_of(root, lists.head)
    check_image(images[0], *camera.size, root)
    times = lists.colour.times
    depths, far = _depths(root, lists, camera.metres_per_unit)
    poses, notes = _poses(root, times, timing or PoseTiming())
    moments = tuple(
        Moment(
            (View("cam0", images[i], camera.intrinsics, poses[i], depths[i], lens=camera.lens),),
            None if lists.counted else float(time),
        )
        for i, time in enumerate(times)
    )
    dataset = Dataset(root, (Recording(root.absolute().name, "scan", moments),))
    reasons = {root / "depth": f"not in the list, or no colour image has one within {WITHIN:g} s"}
    read = [path for path in (poses_file(root),) if path is not None]
    return noted(dataset, also=read, notes=[*far, *notes], reasons=reasons)


def _depths(root: Path, lists: TumLists, metres_per_unit: float) -> tuple[list[DepthFile | None], list[str]]:
    """The depth of each colour image, and what is to be said of them."""
    times, depth = lists.colour.times, lists.depth
    if depth is None:
        return [None] * len(times), []
    found = np.arange(len(times)) if lists.paired else pairs(times, depth.times)
    if (found < 0).all():
        raise _do_not_meet(depth.where)
    files = [
        None if i < 0 else DepthFile(_file(root, depth.names[i], depth.where), metres_per_unit)
        for i in found.tolist()
    ]
    away = np.abs(depth.times[found] - times)[found >= 0]
    note = distance_note(depth.where.name, "depth image", found, away, WITHIN)
    return files, [note] if note else []


def _poses(
    root: Path, times: Float64[np.ndarray, " n"], timing: PoseTiming
) -> tuple[list[Float[Tensor, "4 4"] | None], list[str]]:
    path = poses_file(root)
    if path is None:
        return [None] * len(times), []
    measured, fields = read_list(path, 8)
    values = np.stack([floats(f, f"{path}, time {t:.4f}") for t, f in zip(measured, fields, strict=True)])
    known = np.isfinite(values).all(1) & values[:, 3:].any(1)
    if not known.any():
        raise DataError("holds no pose", where=path, mend="remove it, or write it again")
    measured, values = measured[known], values[known]
    if (nearest(times, measured, WITHIN) < 0).all() and not timing.interpolate_poses:
        raise _do_not_meet(path)
    names = [f"{path}, time {time:.4f}" for time in measured]
    checked = checked_poses([_matrix(v, w) for v, w in zip(values, names, strict=True)], names)
    poses, notes = poses_at(list(times), TimedPoses(measured, torch.stack(checked), path), WITHIN, timing)
    if all(pose is None for pose in poses):
        raise _do_not_meet(path)
    return poses, notes


def _matrix(values: np.ndarray, where: str) -> np.ndarray:
    x, y, z, w = values[3:]
    return matrix_from(rotation_from_quaternion([w, x, y, z], where), values[:3], 1.0, where)


def _do_not_meet(path: Path) -> DataError:
    what = f"no time in it is within {WITHIN} s of a colour image"
    return DataError(what, where=path, mend="give the times of the colour images' clock, in seconds")


def _file(root: Path, name: str, listed: Path) -> Path:
    path = named_file(root, name)
    if path is None or not path.is_file():
        raise DataError(f"names {name}, which is not there", where=listed, mend="restore it")
    return path
