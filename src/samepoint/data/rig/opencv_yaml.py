"""Calibrations in files of OpenCV's FileStorage: a file a camera, or cameras told apart by the ends of their keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from samepoint.data.rig.camera import Camera
from samepoint.data.rig.camera_checks import add_camera, checked_camera, lens_of, motion_of
from samepoint.data.rig.opencv_keys import (
    EXTRINSICS,
    INVERSE,
    LENS,
    MODELS,
    POSES,
    SIZES,
    STRANGE,
    WIDTHS,
    Values,
    find_value,
    matrices_of,
    plain_key,
    plain_keys,
)
from samepoint.data.rig.opencv_nested import cameras_inside
from samepoint.data.rig.opencv_storage import SUFFIXES, Value, read_storage
from samepoint.errors import DataError
from samepoint.geometry.motions import check_rigid
from samepoint.reading import entries, folders
from samepoint.types import Size

SENSOR = "sensor"
"""EuRoC's files have this name, each in the folder of its camera."""


@dataclass(frozen=True)
class Missing:
    """What such files often do not say: image `size` (height, width), `metres_per_unit` of translations, whether
    lenses are `fisheye` (None: as the file says; Brown where it does not)."""

    size: Size | None = None
    metres_per_unit: float = 1.0
    fisheye: bool | None = None


def read_opencv(path: Path, missing: Missing | None = None) -> dict[str, Camera]:
    """The cameras of one file, or of the files of a folder, by name.

    A file with `camera_matrix` (or cameraMatrix, K) is one camera, named by `camera_name` or the file (OpenPose: its
    CameraMatrix of 3x4 is the pose). Keys that end in a camera's name, as `K_left` or `M1`, make several, and so do
    mappings that have a matrix each (JSON; multical's poses stand beside them); files of a folder that have no camera
    of their own are read together (intrinsics.yml and extrinsics.yml).

    Poses are camera from world: R and T, rvec and tvec, or a 4x4 extrinsic (its inverse where its name says so). Of
    two cameras, R and T alone take the first camera's frame (by name), the world, into the second's. DataError naming
    file, camera and key for what is missing or wrong.
    """
    path, missing = Path(path), missing or Missing()
    cameras: dict[str, Camera] = {}
    together: dict[str, Value] = {}
    for file in _files(path):
        values = read_storage(file)
        inside = cameras_inside(values)
        for name, table in inside.items():
            add_camera(cameras, _single(name, table, f"{file}, camera {name}", missing), path)
        if "" in matrices_of(values):
            stem = file.parent.name if file.stem == SENSOR else file.stem
            name = str(values.get("camera_name", stem))
            add_camera(cameras, _single(name, values, str(file), missing), path)
        elif not inside:
            _merge(together, values, file)
    for camera in _group(together, path, missing).values():
        add_camera(cameras, camera, path)
    if not cameras:
        mend = (
            "it has camera_matrix and distortion_coefficients, K_NAME and dist_NAME, M1 and D1, or a mapping with K a"
            " camera"
        )
        raise DataError("holds no camera", where=path, mend=mend)
    return cameras


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [p for p in entries(path) if p.suffix.lower() in SUFFIXES]
    files = files or [p for below in folders(path) for p in entries(below) if p.name == f"{SENSOR}.yaml"]
    if not files:
        mend = "give the calibration's folder or file"
        raise DataError("holds no YAML, XML or JSON file", where=path, mend=mend)
    return files


def _merge(together: dict[str, Value], values: Values, file: Path) -> None:
    for key, value in values.items():
        known = together.setdefault(key, value)
        if isinstance(value, np.ndarray) and not np.array_equal(value, np.asarray(known), equal_nan=True):
            mend = "keep the files of one calibration in the folder"
            raise DataError(f"{key} stands in another file too, with other numbers", where=file, mend=mend)


def _group(values: Values, path: Path, missing: Missing) -> dict[str, Camera]:
    """Cameras told apart by the ends of their keys."""
    matrices, plain = matrices_of(values), plain_keys(values)
    if len(matrices) == 2 and not any(_has_pose(plain, end) for end in matrices) and _has_pose(plain, ""):
        first, second = (f"extrinsic{plain_key(end)}" for end in matrices)
        plain |= {first: np.eye(4), second: _pose(plain, "", str(path), 1.0)}
    cameras: dict[str, Camera] = {}
    for end, matrix in matrices.items():
        name = end.lstrip("_")
        add_camera(cameras, _camera(name, end, matrix, plain, f"{path}, camera {name}", missing), path)
    return cameras


def _single(name: str, values: Values, where: str, missing: Missing) -> Camera:
    return _camera(name, "", matrices_of(values)[""], plain_keys(values), where, missing)


def _camera(name: str, end: str, matrix: Value, values: Values, where: str, missing: Missing) -> Camera:
    fisheye = _fisheye(values, end, where) if missing.fisheye is None else missing.fisheye
    bent = find_value(values, LENS, end)
    if bent is None:
        mend = "write four zeros if it bends nothing"
        raise DataError("has no distortion coefficients", where=where, mend=mend)
    lens = lens_of(bent, fisheye, f"{where}, distortion")
    pose = _pose(values, end, where, missing.metres_per_unit)
    return checked_camera(name, _width_height(values, end, where, missing.size), matrix, lens, pose, where)


def _pose(values: Values, end: str, where: str, scale: float) -> Float[np.ndarray, "4 4"]:
    for names, inverse in ((EXTRINSICS, False), (INVERSE, True), (("cameramatrix",), False)):
        whole = find_value(values, names, end)
        if whole is not None and np.size(whole) in (12, 16):
            matrix = np.eye(4)
            matrix[: np.size(whole) // 4] = np.reshape(whole, (-1, 4))
            if inverse:
                check_rigid(torch.from_numpy(matrix), where)
                matrix = np.linalg.inv(matrix)
            matrix[:3, 3] *= scale
            return matrix
    for pair in POSES:
        rotation, translation = (find_value(values, (name,), end) for name in pair)
        if rotation is not None and translation is not None:
            return motion_of(rotation, translation, scale, where)
    mend = "write R and T (or rvec and tvec, or a 4x4 extrinsic), or give the folder of intrinsics and extrinsics"
    raise DataError("has no pose, which takes the world into the camera", where=where, mend=mend)


def _has_pose(values: Values, end: str) -> bool:
    whole = find_value(values, (*EXTRINSICS, *INVERSE), end) is not None
    return whole or any(all(find_value(values, (name,), end) is not None for name in pair) for pair in POSES)


def _width_height(values: Values, end: str, where: str, size: Size | None) -> object:
    for place in dict.fromkeys((end, "")):  # its own, or one for all
        for names in WIDTHS:
            width, height = (find_value(values, (name,), place) for name in names)
            if width is not None and height is not None:
                return (width, height)
        both = find_value(values, SIZES, place)
        if both is not None:
            return both
    if size is None:
        raise DataError("does not say how large the images are", where=where, mend="give --size WIDTHxHEIGHT")
    return (size[1], size[0])


def _fisheye(values: Values, end: str, where: str) -> bool:
    for key in ("distortionmodel", "lensmodel", "cameramodel", "model", "type"):
        model = find_value(values, (key,), end)
        known = isinstance(model, str) and model.lower() in MODELS
        if isinstance(model, str) and not known and (key == "distortionmodel" or model.lower() in STRANGE):
            what = f"the lens model {model!r} is not known"
            raise DataError(what, where=where, mend=f"known are {', '.join(MODELS)}")
        if isinstance(model, str) and known and (MODELS[model.lower()] or key == "distortionmodel"):
            return MODELS[model.lower()]
    said = find_value(values, ("fisheyemodel", "fisheye", "isfisheye", "usefisheye"), end)
    return said.lower() in ("true", "yes", "1") if isinstance(said, str) else bool(said)
