"""The camera of a TUM RGB-D sequence: TUM's calibrations of its three Kinects, or an intrinsics.json."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import numbers
from samepoint.data.readers.camera_numbers import lens_from, pinhole
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.geometry.lenses import Lens

INTRINSICS = "intrinsics.json"
METRES_PER_UNIT = 1 / 5000
SIZE = (640, 480)
"""Width and height of the published sequences."""

FREIBURG = {
    1: ((517.3, 516.5, 318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    2: ((520.9, 521.0, 325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    3: ((535.4, 539.2, 320.1, 247.6), (0.0, 0.0, 0.0, 0.0, 0.0)),
}
"""fx fy cx cy (from a pixel's centre) and k1 k2 p1 p2 k3 of the colour cameras, as TUM's page prints them."""


@dataclass(frozen=True)
class TumCamera:
    """What a sequence's images were taken with. `size` is (width, height) where known."""

    intrinsics: Float[Tensor, "3 3"]
    lens: Lens | None
    size: tuple[object, object]
    metres_per_unit: float


def camera_of(root: Path, head: str) -> TumCamera:
    """The camera by intrinsics.json, else by "freiburgN" in the folder's name or in `head`, the start of rgb.txt."""
    path = root / INTRINSICS
    if path.exists():
        return _written(read_json(path), path)
    named = re.search(r"freiburg([123])", root.absolute().name) or re.search(r"freiburg([123])", head)
    if named is None:
        mend = f'name it ..._freiburg1_... (or 2, 3), or write {INTRINSICS} with "fx", "fy", "cx", "cy"'
        raise DataError("does not say which camera took it", where=root, mend=mend)
    matrix, bent = FREIBURG[int(named[1])]
    return TumCamera(pinhole(*matrix, root), lens_from("brown", bent, 5, root), SIZE, METRES_PER_UNIT)


def _written(content: Any, path: Path) -> TumCamera:
    if not isinstance(content, dict):
        raise DataError(
            "is not a mapping", where=path, mend='write {"fx": ..., "fy": ..., "cx": ..., "cy": ...}'
        )
    lacking = [key for key in ("fx", "fy", "cx", "cy") if key not in content]
    if lacking:
        raise DataError(f"lacks {', '.join(lacking)}", where=path, mend="add them (pixels)")
    unit = float(numbers([content.get("depth_unit_m", METRES_PER_UNIT)], 1, path)[0])
    if not 0 < unit < np.inf:
        raise DataError(
            f"depth_unit_m is {unit}", where=path, mend="give the metres of one depth unit (0.0002)"
        )
    k = pinhole(content["fx"], content["fy"], content["cx"], content["cy"], path)
    lens = lens_from("brown", content.get("distortion", [0.0] * 5), 5, path)
    return TumCamera(k, lens, (content.get("width"), content.get("height")), unit)
