"""A BOP image's camera: cam_K, or the cam_model of HOT3D."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import intrinsics_from
from samepoint.data.readers.camera_numbers import lens_from, pinhole
from samepoint.geometry.lenses import Lens

RADIAL = 4
"""Of FISHEYE624's twelve numbers (six radial, two tangential, four of a thin prism) those that a `Lens` has."""


def optics_of(
    values: dict[str, Any], where: str
) -> tuple[Float[Tensor, "3 3"] | None, Lens | None, str | None]:
    """Camera matrix, lens if it bends, and the name of a camera model that is not read."""
    if values.get("cam_K") is not None:
        return intrinsics_from(values["cam_K"], where), None, None
    model = values.get("cam_model")
    if not isinstance(model, dict):
        return None, None, None
    kind = str(model.get("projection_model_type", "without a name")).split(".")[-1]
    numbers = [float(value) for value in model.get("projection_params", ())]
    if kind == "FISHEYE624" and len(numbers) == 15:  # one focal length
        numbers = [numbers[0], *numbers]
    if len(numbers) < 4:
        return None, None, kind
    fx, fy, cx, cy = numbers[:4]
    bent = np.array(numbers[4:])
    if kind == "FISHEYE624" and len(numbers) == 16 and not bent[RADIAL:].any():
        return pinhole(fx, fy, cx, cy, where), lens_from("fisheye", bent[:RADIAL], RADIAL, where), None
    if not bent.any() and kind.upper() in ("PINHOLE", "LINEAR"):
        return pinhole(fx, fy, cx, cy, where), None, None
    return None, None, kind
