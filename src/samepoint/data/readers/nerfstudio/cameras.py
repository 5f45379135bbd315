"""The camera of a nerfstudio frame: its numbers, from the top of the file and from the frame."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import numbers
from samepoint.data.decode import image_size
from samepoint.data.readers.camera_numbers import FROM_CORNER, lens_from, pinhole
from samepoint.data.readers.nerfstudio.keys import ANGLES, DEPTH_UNITS, LENSES, SHARED, SWITCH
from samepoint.errors import DataError, one_of
from samepoint.geometry.lenses import Lens

PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL")
FISHEYE = "OPENCV_FISHEYE"
BROWN = ("k1", "k2", "p1", "p2", "k3")


def merged(content: dict[str, Any], frame: dict[str, Any], where: str) -> dict[str, Any]:
    """The frame with the camera numbers from the top of the file. DataError where the two differ.

    (nerfstudio takes the upper number, instant-ngp the frame's.)
    """
    shared = {
        key: content[key] for key in (*SHARED, *ANGLES, *LENSES, *DEPTH_UNITS, SWITCH) if key in content
    }
    for key, value in shared.items():
        if key in frame and frame[key] != value:
            what = f"{key} is {frame[key]!r}, but {value!r} at the top of the file"
            raise DataError(what, where=where, mend="keep one of them")
    return {**frame, **shared}


def intrinsics_of(
    values: dict[str, Any], image: Path, where: str
) -> tuple[Float[Tensor, "3 3"], Lens | None]:
    """The camera matrix and the lens, if it bends.

    Without `fl_x` they are of `camera_angle_x` (radians) or `x_fov` (degrees), square pixels unless `camera_angle_y`
    or `y_fov` is there, and the middle.
    """
    angles = {
        axis: values[key] if key in values else _radians(values[degrees], where)
        for axis, key, degrees in (("x", "camera_angle_x", "x_fov"), ("y", "camera_angle_y", "y_fov"))
        if key in values or degrees in values
    }
    if "fl_x" not in values and "x" in angles:
        height, width = image_size(image)
        fx = _focal(angles["x"], width, where)
        fy = _focal(angles["y"], height, where) if "y" in angles else fx
        k = {"fl_x": fx, "fl_y": fy, "cx": width / 2, "cy": height / 2, **values}
    else:
        k = {"fl_y": values.get("fl_x"), **values}
    lacking = [key for key in ("fl_x", "cx", "cy") if key not in k]
    if lacking:
        raise DataError(f"lacks {', '.join(lacking)}", where=where, mend="give them in pixels")
    cx, cy = numbers([k["cx"], k["cy"]], 2, where) - FROM_CORNER
    return pinhole(k["fl_x"], k["fl_y"], float(cx), float(cy), where), _lens(values, where)


def _radians(degrees: object, where: str) -> float:
    return math.radians(float(numbers([degrees], 1, where)[0]))


def _focal(angle: object, length: int, where: str) -> float:
    radians = float(numbers([angle], 1, where)[0])
    if not 0 < radians < math.pi:
        raise DataError(f"a field of view of {angle!r}", where=where, mend="give it in radians, below pi")
    return 0.5 * length / math.tan(0.5 * radians)


def _lens(values: dict[str, Any], where: str) -> Lens | None:
    model = values.get("camera_model", FISHEYE if values.get("is_fisheye") is True else "OPENCV")
    if model == FISHEYE:
        return lens_from("fisheye", [values.get(f"k{i}", 0) for i in (1, 2, 3, 4)], 4, where)
    if model not in PERSPECTIVE:
        raise DataError(one_of("camera_model", model, (*PERSPECTIVE, FISHEYE)), where=where)
    for key in ("k4", "k5", "k6"):
        if numbers([values.get(key, 0)], 1, where)[0] != 0:
            what = f"{key} is {values[key]}, which " + (
                f"only {FISHEYE} has" if key == "k4" else "no model has"
            )
            raise DataError(what, where=where, mend="remove it, or name the right camera_model")
    other = next((key for key in LENSES if values.get(key)), None)
    if other is not None:
        mend = "undistort the images to a pinhole camera first"
        raise DataError(f"has a lens that is not read ({other})", where=where, mend=mend)
    return lens_from("brown", [values.get(key, 0) for key in BROWN], len(BROWN), where)
