"""Calibrations in Anipose's form, a TOML table a camera (docs/multi-camera.md): read and written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import cv2

from samepoint.data.rig.camera import Calibration, Camera
from samepoint.data.rig.camera_checks import AGAIN, add_camera, checked_camera, lens_of, motion_of
from samepoint.errors import DataError
from samepoint.files import write_whole
from samepoint.geometry.motions import check_rigid
from samepoint.text import read_toml
from samepoint.types import Size

METADATA, UNIT = "metadata", "metres_per_unit"
NAMES_OF_UNIT = ("units", "unit", "length_unit", "translation_units")
UNITS = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("cm", "centimetres", "centimeters"), 0.01),
    **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), 0.001),
}
"""Other programs' words, where ours is missing."""
KEYS = ("name", "size", "matrix", "distortions", "rotation", "translation")


def read_calibration(
    path: Path, metres_per_unit: float | None = None, size: Size | None = None
) -> dict[str, Camera]:
    """The cameras by name, in the file's order; metres, float32. `metres_per_unit` counts before what the file says,
    `size` (height, width) where it does not say any. Other metadata is left alone, whatever it is.

    A camera is a table whose name begins with cam_ or that holds a matrix; other tables and keys are left alone.
    DataError naming the file, the camera and the key for whatever is missing, wrong or there twice.
    """
    path = Path(path)
    content = read_toml(path)
    said = content.get(METADATA) if metres_per_unit is None else {UNIT: metres_per_unit}
    scale = _metres_per_unit(said, path)
    cameras: dict[str, Camera] = {}
    for key, table in content.items():
        if key != METADATA and isinstance(table, dict) and (key.startswith("cam_") or "matrix" in table):
            if size is not None:
                table = {"size": [size[1], size[0]], **table}
            add_camera(cameras, _camera(table, scale, f"{path}, {key}"), path)
    if not cameras:
        mend = "it has a table [cam_0] with name, size, matrix, distortions, rotation and translation"
        raise DataError("holds no camera", where=path, mend=mend)
    return cameras


def write_calibration(path: Path, cameras: Calibration, metres_per_unit: float = 1.0) -> None:
    """Writes what `read_calibration` reads, whole or not at all. Translations are written in units of
    `metres_per_unit`; `read_calibration` gives back the same numbers, poses to float32's last digit."""
    check_free(path := Path(path))
    scale = _metres_per_unit({UNIT: metres_per_unit}, path)
    checked: dict[str, Camera] = {}
    blocks: list[str] = []
    for index, camera in enumerate(cameras.values()):
        where = f"{path}, cam_{index}"
        check_rigid(camera.world_from_camera, f"{where} ({camera.name})")
        lines = _lines(camera, scale)
        # What is written can be read: a wrong camera is found here, not by who opens the file.
        add_camera(checked, _camera(tomllib.loads(lines), scale, where), path)
        blocks.append(f"[cam_{index}]\n{lines}")
    blocks.append(f"[{METADATA}]\n{UNIT} = {scale!r}\n")
    write_whole(path, "\n".join(blocks).encode())


def check_free(path: Path) -> None:
    """DataError if no file can be at `path`, for a folder is there or a file where its folder should be."""
    if path.is_dir():
        raise DataError("is a folder", where=path, mend="give a file, such as calibration.toml")
    wrong = next((above for above in path.parents if above.exists() and not above.is_dir()), None)
    if wrong is not None:
        raise DataError("is not a folder", where=wrong, mend="choose another place to write to")


def _camera(table: dict[str, Any], scale: float, where: str) -> Camera:
    name = table.get("name")
    where = f"{where} ({name})" if isinstance(name, str) else where
    missing = [key for key in KEYS if key not in table]
    if missing:
        mend = "samepoint data calibration anipose FILE --size WIDTHxHEIGHT adds it"
        what = f"has no {' and no '.join(missing)}"
        raise DataError(what, where=where, mend=mend if missing == ["size"] else AGAIN)
    fisheye = table.get("fisheye", False)
    if not isinstance(fisheye, bool):
        raise DataError(f"fisheye is {fisheye!r}", where=where, mend="write true or false")
    lens = lens_of(table["distortions"], fisheye, f"{where}, distortions")
    pose = motion_of(table["rotation"], table["translation"], scale, where)
    return checked_camera(str(name), table["size"], table["matrix"], lens, pose, where)


def _metres_per_unit(metadata: Any, path: Path) -> float:
    said = metadata if isinstance(metadata, dict) else {}
    named = next((said[key] for key in NAMES_OF_UNIT if key in said), None)
    scale = said.get(UNIT, UNITS.get(named.lower(), 1) if isinstance(named, str) else 1)
    good = isinstance(scale, int | float) and not isinstance(scale, bool) and 0 < scale < float("inf")
    if not good:
        mend = "write 1 for metres, 0.001 for millimetres"
        raise DataError(f"{UNIT} is {scale!r}, not a number above 0", where=path, mend=mend)
    return float(scale)


def _lines(camera: Camera, metres_per_unit: float) -> str:
    height, width = camera.size
    world_from_camera = camera.world_from_camera.double().numpy()
    rotation = world_from_camera[:3, :3].T
    translation = -rotation @ world_from_camera[:3, 3] / metres_per_unit
    lens = camera.lens
    values = {
        "name": json.dumps(camera.name, ensure_ascii=False).replace("\x7f", "\\u007f"),
        "size": [width, height],
        "matrix": camera.intrinsics.double().tolist(),
        "distortions": [0.0] * 5 if lens is None else list(lens.coefficients),
        "rotation": cv2.Rodrigues(rotation)[0].ravel().tolist(),
        "translation": translation.tolist(),
        "fisheye": "true" if lens is not None and lens.model == "fisheye" else "false",
    }
    return "".join(f"{key} = {value}\n" for key, value in values.items())
