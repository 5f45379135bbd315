"""Calibrations in files of OpenCV's FileStorage: a file a camera, or cameras told apart by the ends of their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.data.rig.camera import Camera
from samepoint.data.rig.camera_checks import add_camera, checked_camera, lens_of, motion_of
from samepoint.data.rig.opencv_storage import SUFFIXES, Value, read_storage
from samepoint.errors import DataError
from samepoint.reading import entries
from samepoint.types import Size

MATRIX = re.compile(r"(?:camera_?matrix|intrinsic_?matrix|[KM](?=_|\d|$))(?P<end>.*)", re.IGNORECASE)
LENS = ("distortioncoefficients", "distcoeffs", "distortion", "dist", "d")
WIDTHS = (("imagewidth", "imageheight"), ("width", "height"), ("w", "h"))
SIZES = ("imagesize", "size", "resolution")
POSES = (("rot", "t"), ("r", "t"), ("rvec", "tvec"), ("rotation", "translation"))
EXTRINSICS = ("extrinsic", "extrinsics", "extrinsicmatrix", "camerafromworld")
MODELS = {
    **dict.fromkeys(("plumb_bob", "rational_polynomial", "radtan", "brown"), False),
    **dict.fromkeys(("fisheye", "equidistant", "equi", "kannala_brandt"), True),
}
Values = Mapping[str, Value]
"""By key in small letters, without "_"."""


@dataclass(frozen=True)
class Missing:
    """What such files often do not say: image `size` (height, width), `metres_per_unit` of translations, whether
    lenses are `fisheye` (None: as the file says; Brown where it does not)."""

    size: Size | None = None
    metres_per_unit: float = 1.0
    fisheye: bool | None = None


def read_opencv(path: Path, missing: Missing | None = None) -> dict[str, Camera]:
    """The cameras of one file, or of the files of a folder, by name.

    A file with `camera_matrix` (or cameraMatrix, K) is one camera, named by `camera_name` or the file. Keys that end
    in a camera's name, as `K_left` or `M1`, make several; files of a folder that have no camera of their own are read
    together (intrinsics.yml and extrinsics.yml). Poses are camera from world: R and T, rvec and tvec, or a 4x4
    extrinsic; of two cameras, R and T alone take the first camera's frame (by name), the world, into the second's.
    DataError naming file, camera and key for what is missing or wrong.
    """
    path, missing = Path(path), missing or Missing()
    cameras: dict[str, Camera] = {}
    together: dict[str, Value] = {}
    for file in _files(path):
        values = read_storage(file)
        matrices = _matrices(values)
        if "" in matrices:
            name = values.get("camera_name", file.stem)
            add_camera(
                cameras, _camera(str(name), "", matrices[""], _plain(values), str(file), missing), path
            )
        else:
            _merge(together, values, file)
    for camera in _group(together, path, missing).values():
        add_camera(cameras, camera, path)
    if not cameras:
        mend = "it has camera_matrix and distortion_coefficients, K_NAME and dist_NAME, or M1 and D1"
        raise DataError("holds no camera", where=path, mend=mend)
    return cameras


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [p for p in entries(path) if p.suffix.lower() in SUFFIXES]
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


def _matrices(values: Values) -> dict[str, Value]:
    """Camera matrices by the ends of their keys, as written."""
    found: dict[str, Value] = {}
    for key, value in values.items():
        match = MATRIX.fullmatch(key)
        if match and isinstance(value, np.ndarray) and value.size == 9:
            found.setdefault(match["end"], value)
    return dict(sorted(found.items()))


def _group(values: Values, path: Path, missing: Missing) -> dict[str, Camera]:
    """Cameras told apart by the ends of their keys."""
    matrices, plain = _matrices(values), _plain(values)
    if len(matrices) == 2 and not any(_has_pose(plain, end) for end in matrices) and _has_pose(plain, ""):
        first, second = (f"extrinsic{_plain_key(end)}" for end in matrices)
        plain |= {first: np.eye(4), second: _pose(plain, "", str(path), 1.0)}
    cameras: dict[str, Camera] = {}
    for end, matrix in matrices.items():
        name = end.lstrip("_")
        add_camera(cameras, _camera(name, end, matrix, plain, f"{path}, camera {name}", missing), path)
    return cameras


def _camera(name: str, end: str, matrix: Value, values: Values, where: str, missing: Missing) -> Camera:
    fisheye = _fisheye(values, end, where) if missing.fisheye is None else missing.fisheye
    bent = _find(values, LENS, end)
    if bent is None:
        mend = "write four zeros if it bends nothing"
        raise DataError("has no distortion coefficients", where=where, mend=mend)
    lens = lens_of(bent, fisheye, f"{where}, distortion")
    pose = _pose(values, end, where, missing.metres_per_unit)
    return checked_camera(name, _width_height(values, end, where, missing.size), matrix, lens, pose, where)


def _pose(values: Values, end: str, where: str, scale: float) -> Float[np.ndarray, "4 4"]:
    whole = _find(values, EXTRINSICS, end)
    if whole is not None and np.size(whole) in (12, 16):
        matrix = np.eye(4)
        matrix[: np.size(whole) // 4] = np.reshape(whole, (-1, 4))
        matrix[:3, 3] *= scale
        return matrix
    for pair in POSES:
        rotation, translation = (_find(values, (name,), end) for name in pair)
        if rotation is not None and translation is not None:
            return motion_of(rotation, translation, scale, where)
    mend = "write R and T (or rvec and tvec, or a 4x4 extrinsic), or give the folder of intrinsics and extrinsics"
    raise DataError("has no pose, which takes the world into the camera", where=where, mend=mend)


def _has_pose(values: Values, end: str) -> bool:
    whole = _find(values, EXTRINSICS, end) is not None
    return whole or any(all(_find(values, (name,), end) is not None for name in pair) for pair in POSES)


def _width_height(values: Values, end: str, where: str, size: Size | None) -> object:
    for place in dict.fromkeys((end, "")):  # its own, or one for all
        for names in WIDTHS:
            width, height = (_find(values, (name,), place) for name in names)
            if width is not None and height is not None:
                return (width, height)
        both = _find(values, SIZES, place)
        if both is not None:
            return both
    if size is None:
        raise DataError("does not say how large the images are", where=where, mend="give --size WIDTHxHEIGHT")
    return (size[1], size[0])


def _fisheye(values: Values, end: str, where: str) -> bool:
    model = _find(values, ("distortionmodel",), end)
    if isinstance(model, str):
        if model.lower() not in MODELS:
            what = f"the lens model {model!r} is not known"
            raise DataError(what, where=where, mend=f"known are {', '.join(MODELS)}")
        return MODELS[model.lower()]
    said = _find(values, ("fisheyemodel", "fisheye"), end)
    return said.lower() in ("true", "yes", "1") if isinstance(said, str) else bool(said)


def _find(values: Values, names: tuple[str, ...], end: str) -> Any:
    """The value of the first of these keys that is there, as numbers or lists; None without."""
    keys = [name + _plain_key(end) for name in names]
    value = next((values[key] for key in keys if key in values), None)
    return value.tolist() if isinstance(value, np.ndarray) else value


def _plain(values: Values) -> dict[str, Value]:
    return {_plain_key(key): value for key, value in values.items()}


def _plain_key(key: str) -> str:
    return key.replace("_", "").lower()
