"""Registered RGB-D frames as folders: colour, depth, pose and an intrinsics.json.

    color/NAME.jpg   depth/NAME.png   pose/NAME.txt   intrinsics.json   train.txt   test.txt

intrinsics.json: see `camera_file`; depth along the optical axis, registered to colour, 0 unknown; pose: 4x4
camera-to-world, metres, OpenCV axes.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from samepoint.data.checks import checked_poses
from samepoint.data.decode import IMAGE_SUFFIXES
from samepoint.data.readers.camera_file import CAMERA_FILE, CameraFile, read_camera_file
from samepoint.data.readers.camera_numbers import check_image
from samepoint.data.recording import Dataset, DepthFile, Moment, Recording, Split, View
from samepoint.errors import DataError
from samepoint.text import read_lines, read_numbers, same_name, slashed

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
    return _colour(root) is not None and any((root / n).exists() for n in ("depth", "pose", CAMERA_FILE))


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
    camera = _camera(root / CAMERA_FILE, next(iter(images.values())), bool(depths))
    intrinsics, lens, unit = (
        (None, None, None) if camera is None else (camera.intrinsics, camera.lens, camera.metres_per_unit)
    )
    files = {
        stem: path for stem, path in _files(root / "pose", frozenset({".txt"})).items() if stem in images
    }
    matrices = [_pose(path) for path in files.values()]
    poses = dict(zip(files, checked_poses(matrices, list(files.values())), strict=True))
    views: dict[str, View] = {}
    for stem, image in images.items():
        depth = DepthFile(depths[stem], unit) if unit is not None and stem in depths else None
        views[stem] = View("cam0", image, intrinsics, poses.get(stem), depth, lens=lens)
    return views


def _camera(path: Path, image: Path, has_depth: bool) -> CameraFile | None:
    if not path.exists():
        if has_depth:
            mend = f"write {CAMERA_FILE} with width height fx fy cx cy depth_unit_m"
            raise DataError("depth without intrinsics", where=path.parent, mend=mend)
        return None
    camera = read_camera_file(path, needs_unit=has_depth)
    check_image(image, camera.width, camera.height, path)
    return camera


def _pose(path: Path) -> np.ndarray:
    return read_numbers(path, 16, mend="write a 4x4 matrix row by row").reshape(4, 4)


def _listed(path: Path, images: dict[str, Path]) -> list[str]:
    known = {same_name(stem): stem for stem in images}
    stems: list[str] = []
    for name in filter(None, map(slashed, read_lines(path))):
        written = PurePosixPath(name)
        found = known.get(same_name(written.stem), known.get(same_name(written.name)))  # "12.5" has no suffix
        if found is None:
            what = f"names {written.stem}, which is not there"
            raise DataError(what, where=path, mend="list names of color/")
        stems.append(found)
    return stems


def _colour(root: Path) -> Path | None:
    return next((root / name for name in COLOUR if (root / name).is_dir()), None)


def _files(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {p.stem: p for p in found if p.suffix.lower() in suffixes and not p.name.startswith(".")}
