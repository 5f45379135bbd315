"""The frames of a transforms file as views (`nerfstudio` has the layout and the conventions)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from samepoint.data.checks import checked_poses, numbers
from samepoint.data.corrections import OPENGL
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.camera_numbers import check_image
from samepoint.data.readers.frames import DEPTH_SUFFIXES
from samepoint.data.readers.nerfstudio.cameras import intrinsics_of, merged
from samepoint.data.recording import DepthFile, Placement, View
from samepoint.errors import DataError

METRES_PER_UNIT = 1e-3
UNNAMED = (".png", ".jpg", ".jpeg")
"""What is tried, in this order, for a path without suffix."""


def read_views(
    content: dict[str, Any], frames: list[dict[str, Any]], path: Path, root: Path
) -> dict[Path, View]:
    """The views by image file, in the order of their names. DataError names the frame."""
    if len({repr(frame.get("time")) for frame in frames}) > 1:
        what = "its frames have a `time`: poses do not relate the images of a scene that moves"
        raise DataError(what, where=path, mend="remove `time` if nothing moved")
    names = [f"{path}, frames[{i}]" for i in range(len(frames))]
    scale = _scale(content, path)
    matrices = [_matrix(frame, scale, where) for frame, where in zip(frames, names, strict=True)]
    poses = checked_poses(matrices, names)
    views: dict[Path, View] = {}
    for frame, pose, where in zip(frames, poses, names, strict=True):
        view = _view(merged(content, frame, where), root, where)
        if view.image in views:
            raise DataError(f"names {view.image.name} again", where=where, mend="keep one frame an image")
        views[view.image] = replace(view, world_from_camera=pose)
    return {image: views[image] for image in sorted(views, key=natural_key)}


def _scale(content: dict[str, Any], path: Path) -> float:
    scale = float(numbers([content.get("applied_scale", 1)], 1, path)[0])
    if not 0 < scale < float("inf"):
        raise DataError(f"applied_scale is {scale}", where=path, mend="give a positive number, or remove it")
    return scale


def _matrix(frame: dict[str, Any], scale: float, where: str) -> np.ndarray:
    if "transform_matrix" not in frame:
        raise DataError("has no transform_matrix", where=where, mend="give it 4x4, or remove the frame")
    matrix = numbers(frame["transform_matrix"], 16, where).reshape(4, 4) @ OPENGL.numpy()
    matrix[:3, 3] /= scale
    return matrix


def _view(values: dict[str, Any], root: Path, where: str) -> View:
    image = file_named(values.get("file_path"), "file_path", root, where)
    check_image(image, values.get("w"), values.get("h"), where)
    k, lens = intrinsics_of(values, image, where)
    depth, placements = None, ()
    if "depth_file_path" in values:
        path = file_named(values["depth_file_path"], "depth_file_path", root, where)
        if path.suffix.lower() not in DEPTH_SUFFIXES:
            mend = f"convert it to one of {' '.join(sorted(DEPTH_SUFFIXES))}"
            raise DataError(f"depth in {path.suffix} is not read", where=path, mend=mend)
        depth = DepthFile(path, METRES_PER_UNIT)
    if "mask_path" in values:
        placements = (Placement(1, mask=file_named(values["mask_path"], "mask_path", root, where)),)
    return View("cam0", image, k, None, depth, placements, lens)


def file_named(name: object, key: str, root: Path, where: object) -> Path:
    """The file that a frame or list names; NeRF leaves out the suffix of images."""
    if not isinstance(name, str) or not name:
        raise DataError(
            f"{key} is {name!r}", where=where, mend="give the path of a file, relative to the folder"
        )
    path = root / name.replace("\\", "/")
    for candidate in (path, *(Path(f"{path}{suffix}") for suffix in UNNAMED)):
        if candidate.is_file():
            return candidate
    raise DataError(f"names {name}, which is not there", where=where, mend="restore it, or remove the frame")
