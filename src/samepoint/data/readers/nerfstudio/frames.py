"""The frames of a transforms file as views (`nerfstudio` has the layout and the conventions)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from samepoint.data.checks import checked_poses, numbers
from samepoint.data.corrections import OPENGL
from samepoint.data.file_kinds import DEPTH_SUFFIXES
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.camera_numbers import check_image
from samepoint.data.readers.nerfstudio.cameras import intrinsics_of, merged
from samepoint.data.readers.nerfstudio.keys import DEPTH_KEYS, DEPTH_UNITS, METRES_PER_UNIT
from samepoint.data.recording import DepthFile, Placement, View
from samepoint.errors import DataError
from samepoint.text import named_file

UNNAMED = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
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
    placements = ()
    if values.get("mask_path") is not None:
        placements = (Placement(1, mask=file_named(values["mask_path"], "mask_path", root, where)),)
    return View("cam0", image, k, None, depth_of(values, root, where), placements, lens)


def depth_of(values: dict[str, Any], root: Path, where: str) -> DepthFile | None:
    """The depth of a frame, by nerfstudio's key or instant-ngp's (unless the file switches depth off)."""
    key = next((k for k in DEPTH_KEYS if values.get(k) is not None), None)
    if key is None or (key == "depth_path" and values.get("enable_depth_loading") is False):
        return None
    path = file_named(values[key], key, root, where)
    if path.suffix.lower() not in DEPTH_SUFFIXES:
        mend = f"convert it to one of {' '.join(sorted(DEPTH_SUFFIXES))}"
        raise DataError(f"depth in {path.suffix} is not read", where=path, mend=mend)
    unit = next((values[k] for k in DEPTH_UNITS if values.get(k) is not None), METRES_PER_UNIT)
    metres = float(numbers([unit], 1, where)[0])
    if not 0 < metres < float("inf"):
        mend = "give the metres (or units of the poses) of one unit of the depth images"
        raise DataError(f"integer_depth_scale is {unit!r}", where=where, mend=mend)
    return DepthFile(path, metres)


def cut_out(view: View) -> View:
    """The view with its image's transparency as the mask of object 1, if it has some."""
    try:
        with Image.open(view.image) as image:
            if not image.has_transparency_data or image.convert("RGBA").getchannel("A").getextrema() in (
                (255, 255),
                (0, 0),
            ):
                return view
    except (OSError, ValueError, SyntaxError):
        return view  # what is wrong is said where it is decoded
    return replace(view, placements=(Placement(1, mask=view.image),))


def file_named(name: object, key: str, root: Path, where: object) -> Path:
    """The file that a frame or list names; NeRF leaves out the suffix of images."""
    if not isinstance(name, str) or not name:
        raise DataError(
            f"{key} is {name!r}", where=where, mend="give the path of a file, relative to the folder"
        )
    for suffix in ("", *UNNAMED):
        found = named_file(root, name + suffix)
        if found is not None and found.is_file():
            return found
    raise DataError(f"names {name}, which is not there", where=where, mend="restore it, or remove the frame")
