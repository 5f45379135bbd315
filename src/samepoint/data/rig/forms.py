"""Calibrations in other programs' forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from samepoint.data.rig.anipose import read_calibration
from samepoint.data.rig.camera import Camera
from samepoint.data.rig.camera_checks import add_camera
from samepoint.data.rig.kalibr import read_kalibr
from samepoint.data.rig.opencv_yaml import Missing, read_opencv
from samepoint.errors import DataError, one_of
from samepoint.types import Size

CalibrationForm = Literal["anipose", "kalibr", "opencv"]


def read_form(
    form: str,
    path: Path,
    metres_per_unit: float | None = None,
    size: Size | None = None,
    fisheye: bool | None = None,
) -> dict[str, Camera]:
    """The cameras of a calibration by name. `metres_per_unit`: of its translations (default: as the file says, or 1).
    `size` and `fisheye` are for OpenCV's files, which may not say them."""
    if form not in get_args(CalibrationForm):
        raise DataError(one_of("form", form, get_args(CalibrationForm)))
    if metres_per_unit is not None and not (0 < metres_per_unit < math.inf):
        what = f"{metres_per_unit:g} metres a unit is not above 0"
        raise DataError(what, mend="give 1 for metres, 0.001 for millimetres")
    if form == "opencv":
        return read_opencv(path, Missing(size, metres_per_unit or 1.0, fisheye))
    if size is not None or fisheye is not None:
        raise DataError(f"{form} says sizes and lenses itself", mend="leave --size and --fisheye to opencv")
    if form == "kalibr":
        return read_kalibr(path, metres_per_unit or 1.0)
    return read_calibration(path, metres_per_unit)


def renamed(cameras: dict[str, Camera], names: Sequence[str]) -> dict[str, Camera]:
    """The cameras under other names, in their order."""
    if len(names) != len(cameras):
        what = f"{len(names)} names for {len(cameras)} cameras ({', '.join(cameras)})"
        raise DataError(what, mend="give a name for each, in this order")
    new: dict[str, Camera] = {}
    for name, camera in zip(names, cameras.values(), strict=True):
        add_camera(new, replace(camera, name=name), "--names")
    return new
