"""Registered RGB-D frames as folders: colour, depth, pose and an intrinsics.json.

    color/NAME.jpg   depth/NAME.png   pose/NAME.txt   intrinsics.json   train.txt   test.txt

intrinsics.json: {"width", "height", "fx", "fy", "cx", "cy", "depth_unit_m"}; depth along the optical axis,
registered to colour, 0 unknown; pose: 4x4 camera-to-world, metres, OpenCV axes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, intrinsics_from
from samepoint.data.decode import IMAGE_SUFFIXES, image_size
from samepoint.data.recording import Dataset, DepthFile, Moment, Recording, Split, View
from samepoint.errors import DataError
from samepoint.files import read_json

COLOUR = ("color", "colour", "rgb")
LISTS: dict[str, Split] = {
    "train.txt": "train",
    "validation.txt": "validation",
    "val.txt": "validation",
    "test.txt": "test",
}
DEPTH_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".npy"})


def is_frames(root: Path) -> bool:
    """Whether a folder has colour frames beside depth, poses or intrinsics."""
    return _colour(root) is not None and any(
        (root / n).exists() for n in ("depth", "pose", "intrinsics.json")
    )


def read_frames(root: Path) -> Dataset:
    """Reads one recording of mode "scan"; depth and poses may be missing, also for single frames.

    train.txt, validation.txt and test.txt list the image names of a split, one a line: each becomes a
    recording of its own, and images that no list names are left out. Raises DataError for depth without
    intrinsics, wrong poses, sizes that do not fit and lists that name images that are not there.
    """
    root = Path(root)
    colour = _colour(root)
    if colour is None:
        raise DataError("has no colour folder", where=root, mend="put the images into color/")
    images = _files(colour, IMAGE_SUFFIXES)
    if not images:
        raise DataError("holds no images", where=colour, mend="put PNG or JPEG images there")
    views = _views(root, images)
    recordings: list[Recording] = []
    for name, split in LISTS.items():
        if (root / name).exists():
            listed = _listed(root / name, images)
            moments = tuple(Moment((views[stem],)) for stem in listed)
            recordings.append(Recording(f"{root.name}/{split}", "scan", moments, split))
    if not recordings:
        recordings = [Recording(root.name, "scan", tuple(Moment((view,)) for view in views.values()))]
    return Dataset(root, tuple(recordings))


def _views(root: Path, images: dict[str, Path]) -> dict[str, View]:
    depths = _files(root / "depth", DEPTH_SUFFIXES)
    intrinsics, unit = _intrinsics(root / "intrinsics.json", next(iter(images.values())), bool(depths))
    files = {
        stem: path for stem, path in _files(root / "pose", frozenset({".txt"})).items() if stem in images
    }
    matrices = [_pose(path) for path in files.values()]
    poses = dict(zip(files, checked_poses(matrices, list(files.values())), strict=True))
    views: dict[str, View] = {}
    for stem, image in images.items():
        depth = DepthFile(depths[stem], unit) if unit is not None and stem in depths else None
        views[stem] = View("cam0", image, intrinsics, poses.get(stem), depth)
    return views


def _intrinsics(path: Path, image: Path, has_depth: bool) -> tuple[Float[Tensor, "3 3"] | None, float | None]:
    """The camera matrix and the metres of a depth unit."""
    if not path.exists():
        if has_depth:
            mend = "write intrinsics.json with width height fx fy cx cy depth_unit_m"
            raise DataError("depth without intrinsics", where=path.parent, mend=mend)
        return None, None
    content: dict[str, Any] = read_json(path)
    lacking = [k for k in ("fx", "fy", "cx", "cy", *(["depth_unit_m"] * has_depth)) if k not in content]
    if lacking:
        raise DataError(f"lacks {', '.join(lacking)}", where=path, mend="add them (pixels; metres)")
    fx, fy, cx, cy = (content[k] for k in ("fx", "fy", "cx", "cy"))
    height, width = image_size(image)
    declared = (content.get("width", width), content.get("height", height))
    if declared != (width, height):
        what = f"is for {declared[0]}x{declared[1]} images, but {image.name} is {width}x{height}"
        raise DataError(what, where=path, mend="give the intrinsics of the images as they are")
    unit = content.get("depth_unit_m")
    if unit is not None and not (isinstance(unit, float | int) and 0 < unit < math.inf):
        raise DataError(
            f"depth_unit_m is {unit!r}", where=path, mend="give the metres of one depth unit (0.001)"
        )
    return intrinsics_from((fx, 0, cx, 0, fy, cy, 0, 0, 1), path), None if unit is None else float(unit)


def _pose(path: Path) -> np.ndarray:
    try:
        matrix = np.array(path.read_text().split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DataError(
            f"is not a pose ({error})", where=path, mend="write 16 numbers, row by row"
        ) from error
    if matrix.size != 16:
        raise DataError(
            f"has {matrix.size} numbers, not 16", where=path, mend="write a 4x4 matrix row by row"
        )
    return matrix.reshape(4, 4)


def _listed(path: Path, images: dict[str, Path]) -> list[str]:
    stems = [Path(line.strip()).stem for line in path.read_text().splitlines() if line.strip()]
    for stem in stems:
        if stem not in images:
            raise DataError(f"names {stem}, which is not there", where=path, mend="list names of color/")
    return stems


def _colour(root: Path) -> Path | None:
    return next((root / name for name in COLOUR if (root / name).is_dir()), None)


def _files(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {p.stem: p for p in found if p.suffix.lower() in suffixes and not p.name.startswith(".")}
