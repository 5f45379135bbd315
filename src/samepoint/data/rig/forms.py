"""Calibrations in other programs' forms."""

from __future__ import annotations

import math
import re
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
from samepoint.text import read_text
from samepoint.types import Size

CalibrationForm = Literal["anipose", "kalibr", "opencv", "openpose", "multical"]
FORMS = (
    "read are Anipose's TOML (anipose), Kalibr's camchain (kalibr), multical's JSON (multical), OpenPose's XML"
    " (openpose), and OpenCV's YAML, XML and JSON, also of EasyMocap, ROS and EuRoC (opencv)"
)
SUFFIXES: dict[str, tuple[CalibrationForm, ...]] = {
    ".toml": ("anipose",),
    ".xml": ("opencv", "openpose"),
    ".json": ("opencv", "multical"),
    ".yaml": ("opencv", "kalibr"),
    ".yml": ("opencv", "kalibr"),
}
"""Forms that a file of such a name may have."""
ALIASES = ("openpose", "multical")
"""Read as OpenCV's are."""


def read_form(
    form: str,
    path: Path,
    metres_per_unit: float | None = None,
    size: Size | None = None,
    fisheye: bool | None = None,
) -> dict[str, Camera]:
    """The cameras of a calibration by name. `metres_per_unit`: of its translations (default: as the file says, or 1).
    `size` (also of Anipose's) and `fisheye` are for files that do not say them. DataError for a file of another form
    than said; it lists what is read."""
    if form not in get_args(CalibrationForm):
        raise DataError(one_of("form", form, get_args(CalibrationForm)), mend=FORMS)
    if metres_per_unit is not None and not (0 < metres_per_unit < math.inf):
        what = f"{metres_per_unit:g} metres a unit is not above 0"
        raise DataError(what, mend="give 1 for metres, 0.001 for millimetres")
    if form == "kalibr" and (size is not None or fisheye is not None):
        raise DataError("kalibr says sizes and lenses itself", mend="leave --size and --fisheye out")
    if form == "anipose" and fisheye is not None:
        raise DataError("anipose says lenses itself", mend="leave --fisheye out")
    other = _likely(Path(path), form)
    if other is not None:
        raise DataError(f"is not in the form {form}", where=path, mend=f"give {other}; {FORMS}")
    if form == "kalibr":
        return read_kalibr(path, metres_per_unit or 1.0)
    if form == "anipose":
        return read_calibration(path, metres_per_unit, size)
    return read_opencv(path, Missing(size, metres_per_unit or 1.0, fisheye))


def _likely(path: Path, form: str) -> str | None:
    """Another form, where the file's name or its first lines say that it is not `form`."""
    if not path.is_file():
        return None
    suffix = path.suffix.lower()
    known = SUFFIXES.get(suffix)
    if known is None:
        mend = f"give a file that ends in {', '.join(SUFFIXES)}; {FORMS}"
        raise DataError("is no calibration in a form that is known", where=path, mend=mend)
    if suffix in (".yaml", ".yml"):
        chain = re.search(r"^cam0\s*:", read_text(path), re.MULTILINE) is not None
        known = ("kalibr",) if chain else ("opencv",)
    return None if form in known or (form in ALIASES and "opencv" in known) else known[0]


def renamed(cameras: dict[str, Camera], names: Sequence[str]) -> dict[str, Camera]:
    """The cameras under other names, in their order."""
    if len(names) != len(cameras):
        what = f"{len(names)} names for {len(cameras)} cameras ({', '.join(cameras)})"
        raise DataError(what, mend="give a name for each, in this order")
    new: dict[str, Camera] = {}
    for name, camera in zip(names, cameras.values(), strict=True):
        add_camera(new, replace(camera, name=name), "--names")
    return new
