"""TUM RGB-D sequences.

    rgb.txt            time rgb/1305031102.175304.png
    depth.txt          time depth/1305031102.160407.png
    groundtruth.txt    time tx ty tz qx qy qz qw
    intrinsics.json    ours, for cameras other than TUM's

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. Times in seconds. Each colour image gets the pose and
the depth image nearest in time, within 0.02 s; a depth image is used once. Poses are camera-to-world, metres, OpenCV
axes; a line with NaN or a quaternion of zeros means that the pose was lost. Depth: 5000 units a metre along the
optical axis, registered to colour, 0 unknown.

The files hold no intrinsics. TUM published a calibration of each of its three colour cameras (from a pixel's centre,
with OpenCV's distortion; freiburg3 is straightened already): taken by the "freiburg1", "freiburg2" or "freiburg3" in
the folder's name, or at the head of rgb.txt. (TUM's advice for quick use, 525 525 319.5 239.5 for all without lens,
has the principal point up to 16 pixels elsewhere.) Other cameras: intrinsics.json {"fx", "fy", "cx", "cy"} and, if
need be, "width", "height", "distortion" [k1, k2, p1, p2, k3] and "depth_unit_m".
NOT read: accelerometer.txt, bags, poses between two entries, who moves: sequences with people walking are scans too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.readers.camera_numbers import check_image
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.data.readers.tum.cameras import camera_of
from samepoint.data.readers.tum.lists import WITHIN, floats, nearest, pairs, read_list
from samepoint.data.recording import Dataset, DepthFile, Moment, Recording, View
from samepoint.errors import DataError
from samepoint.text import named_file, read_text

COLOUR, DEPTH, POSES = "rgb.txt", "depth.txt", "groundtruth.txt"


def is_tum(root: Path) -> bool:
    """Whether a folder has a list of colour images beside one of depth images or poses."""
    return (root / COLOUR).is_file() and any((root / name).is_file() for name in (DEPTH, POSES))


def read_tum(source: Path) -> Dataset:
    """Reads one sequence as a recording of mode "scan", a moment for each colour image, with its time.

    depth.txt and groundtruth.txt may be missing, also entries for single images. DataError for lists that are damaged
    or whose times do not meet, for images that are not there, and for a camera that is not known.
    """
    root = Path(source)
    if not (root / COLOUR).is_file():
        raise DataError(f"has no {COLOUR}", where=root, mend="give the folder of one sequence")
    times, named = read_list(root / COLOUR, 2)
    images = [_file(root, name, COLOUR) for (name,) in named]
    head = read_text(root / COLOUR)[:1000]
    camera = camera_of(root, head)
    check_image(images[0], *camera.size, root)
    depths = _depths(root, times, camera.metres_per_unit)
    poses = _poses(root, times)
    moments = tuple(
        Moment(
            (View("cam0", images[i], camera.intrinsics, poses[i], depths[i], lens=camera.lens),), float(time)
        )
        for i, time in enumerate(times)
    )
    return Dataset(root, (Recording(root.absolute().name, "scan", moments),))


def _depths(root: Path, times: np.ndarray, metres_per_unit: float) -> list[DepthFile | None]:
    if not (root / DEPTH).exists():
        return [None] * len(times)
    measured, named = read_list(root / DEPTH, 2)
    found = _met(pairs(times, measured), root / DEPTH)
    return [None if i < 0 else DepthFile(_file(root, named[i][0], DEPTH), metres_per_unit) for i in found]


def _poses(root: Path, times: np.ndarray) -> list[Float[Tensor, "4 4"] | None]:
    path = root / POSES
    if not path.exists():
        return [None] * len(times)
    measured, fields = read_list(path, 8)
    values = np.stack([floats(f, f"{path}, time {t:.4f}") for t, f in zip(measured, fields, strict=True)])
    known = np.isfinite(values).all(1) & values[:, 3:].any(1)
    if not known.any():
        raise DataError("holds no pose", where=path, mend="remove it, or write it again")
    measured, values = measured[known], values[known]
    found = _met(nearest(times, measured), path)
    used = sorted({int(i) for i in found if i >= 0})
    names = [f"{path}, time {measured[i]:.4f}" for i in used]
    checked = checked_poses([_matrix(values[i], w) for i, w in zip(used, names, strict=True)], names)
    by_entry = dict(zip(used, checked, strict=True))
    return [by_entry.get(int(i)) for i in found]


def _matrix(values: np.ndarray, where: str) -> np.ndarray:
    x, y, z, w = values[3:]
    return matrix_from(rotation_from_quaternion([w, x, y, z], where), values[:3], 1.0, where)


def _met(found: np.ndarray, path: Path) -> np.ndarray:
    if (found < 0).all():
        what = f"no time in it is within {WITHIN} s of a colour image"
        raise DataError(what, where=path, mend=f"give the times of {COLOUR}'s clock, in seconds")
    return found


def _file(root: Path, name: str, listed: str) -> Path:
    path = named_file(root, name)
    if path is None or not path.is_file():
        raise DataError(f"names {name}, which is not there", where=root / listed, mend="restore it")
    return path
