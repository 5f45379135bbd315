"""Calibrations of Kalibr: the cameras of a camchain.yaml (needs PyYAML)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from samepoint.data.checks import numbers
from samepoint.data.readers.yaml_mapping import read_mapping
from samepoint.data.rig.camera import Camera
from samepoint.data.rig.camera_checks import AGAIN, checked_camera, lens_of
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens
from samepoint.geometry.motions import check_rigid

KEYS = ("camera_model", "intrinsics", "distortion_model", "distortion_coeffs", "resolution")
FISHEYE = {
    **dict.fromkeys(("radtan", "radial-tangential", "radial_tangential", "plumb_bob"), False),
    **dict.fromkeys(("equidistant", "equi", "kannala_brandt"), True),
}
KNOWN = "pinhole with radtan (radial-tangential), equidistant (equi) or none"


def read_kalibr(path: Path, metres_per_unit: float = 1.0) -> dict[str, Camera]:
    """The cameras cam0, cam1, ... of a camera chain; the world is the frame of cam0; metres.

    `T_cn_cnm1` takes points of the camera before into the camera. Models other than pinhole with radtan, equidistant
    or none are refused. DataError naming file, camera and key for what is missing or wrong.
    """
    path = Path(path)
    content = read_mapping(path)
    names = sorted(
        (key for key in content if re.fullmatch(r"cam\d+", str(key))), key=lambda name: int(name[3:])
    )
    if not names:
        raise DataError("holds no camera", where=path, mend="give Kalibr's camchain-NAME.yaml")
    if names != [f"cam{index}" for index in range(len(names))]:
        what = f"holds {', '.join(names)}: the chain from cam0 is broken"
        raise DataError(what, where=path, mend="keep all cameras of the chain")
    cameras: dict[str, Camera] = {}
    camera_from_world = np.eye(4)
    for name in names:
        where, table = f"{path}, {name}", content[name]
        _check_keys(table, KEYS if name == "cam0" else (*KEYS, "T_cn_cnm1"), where)
        if name != "cam0":
            camera_from_world = _link(table["T_cn_cnm1"], f"{where}, T_cn_cnm1") @ camera_from_world
        fu, fv, pu, pv = numbers(table["intrinsics"], 4, f"{where}, intrinsics")
        matrix = [[fu, 0, pu], [0, fv, pv], [0, 0, 1]]
        pose = camera_from_world.copy()
        pose[:3, 3] *= metres_per_unit
        cameras[name] = checked_camera(name, table["resolution"], matrix, _lens(table, where), pose, where)
    return cameras


def _check_keys(table: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise DataError("holds no keys and values", where=where, mend=AGAIN)
    model = table.get("camera_model")
    if model not in (None, "pinhole"):
        what = f"the camera model {model!r} is not known"
        raise DataError(what, where=where, mend=f"calibrate with {KNOWN}")
    missing = [key for key in keys if key not in table]
    if missing:
        raise DataError(f"has no {' and no '.join(missing)}", where=where, mend=AGAIN)


def _lens(table: Mapping[str, Any], where: str) -> Lens | None:
    model = table["distortion_model"]
    if model == "none":
        return None
    if model not in FISHEYE:
        what = f"the lens model {model!r} is not known"
        raise DataError(what, where=where, mend=f"calibrate with {KNOWN}")
    coefficients = numbers(table["distortion_coeffs"], 4, f"{where}, distortion_coeffs")
    return lens_of(coefficients, FISHEYE[model], f"{where}, distortion_coeffs")


def _link(values: Any, where: str) -> Float[np.ndarray, "4 4"]:
    matrix = numbers(values, 16, where).reshape(4, 4)
    check_rigid(torch.from_numpy(matrix), where)
    return matrix
