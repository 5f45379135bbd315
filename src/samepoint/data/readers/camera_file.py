"""intrinsics.json, our side file for recordings that hold no camera of their own.

    {"fx", "fy", "cx", "cy", "width", "height", "depth_unit_m", "distortion"}

Pixels, the principal point measured from a pixel's centre; `depth_unit_m` the metres of one unit of the depth images;
`distortion` OpenCV's [k1, k2, p1, p2, k3]. All but the first four may be left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.readers.camera_numbers import lens_from, pinhole
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.geometry.lenses import Lens

CAMERA_FILE = "intrinsics.json"
MATRIX = ("fx", "fy", "cx", "cy")
KEYS = (*MATRIX, "width", "height", "depth_unit_m", "distortion")
OTHER_LENSES = frozenset(
    {
        *("k1", "k2", "k3", "k4", "p1", "p2", "coeffs", "dist", "dist_coeffs", "dist_coeff", "d"),
        *("distortion_coefficients", "distortion_coeffs", "distortions", "radial_distortion"),
    }
)
"""How other programs call a lens: one that bends must not be passed over."""


@dataclass(frozen=True)
class CameraFile:
    """The content. `width` and `height` of the images that it is for (see `check_image`) and `metres_per_unit` of
    their depth are None where it does not say; `lens` is None for straight images."""

    intrinsics: Float[Tensor, "3 3"]
    lens: Lens | None
    width: object
    height: object
    metres_per_unit: float | None


def read_camera_file(path: Path, *, needs_unit: bool = False) -> CameraFile:
    """Reads and checks the file; `needs_unit`: depth_unit_m may not be left out. Raises DataError."""
    content: Any = read_json(path)
    wanted = (*MATRIX, "depth_unit_m") if needs_unit else MATRIX
    lacking = [key for key in wanted if not isinstance(content, dict) or key not in content]
    if lacking:
        raise DataError(f"lacks {', '.join(lacking)}", where=path, mend="add them (pixels; metres)")
    unit = content.get("depth_unit_m")
    if unit is not None and not (isinstance(unit, float | int) and 0 < unit < math.inf):
        mend = "give the metres of one depth unit (0.001)"
        raise DataError(f"depth_unit_m is {unit!r}", where=path, mend=mend)
    bends = [key for key in sorted(content) if key.lower() in OTHER_LENSES and np.any(content[key])]
    if bends:
        mend = 'write the lens as "distortion": [k1, k2, p1, p2, k3], or straighten the images'
        raise DataError(f"{', '.join(bends)} is not read", where=path, mend=mend)
    fx, fy, cx, cy = (content[key] for key in MATRIX)
    return CameraFile(
        pinhole(fx, fy, cx, cy, path),
        lens_from("brown", content.get("distortion", [0.0] * 5), 5, path),
        content.get("width"),
        content.get("height"),
        None if unit is None else float(unit),
    )
