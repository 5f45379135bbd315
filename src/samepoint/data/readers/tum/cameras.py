"""The camera of a TUM RGB-D sequence: TUM's calibrations of its three Kinects, or an intrinsics.json."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from samepoint.data.readers.camera_file import CAMERA_FILE, read_camera_file
from samepoint.data.readers.camera_numbers import lens_from, pinhole
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens

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
    path = root / CAMERA_FILE
    if path.exists():
        written = read_camera_file(path)
        unit = written.metres_per_unit or METRES_PER_UNIT
        return TumCamera(written.intrinsics, written.lens, (written.width, written.height), unit)
    named = re.search(r"freiburg([123])", root.absolute().name) or re.search(r"freiburg([123])", head)
    if named is None:
        mend = f'name it ..._freiburg1_... (or 2, 3), or write {CAMERA_FILE} with "fx", "fy", "cx", "cy"'
        raise DataError("does not say which camera took it", where=root, mend=mend)
    matrix, bent = FREIBURG[int(named[1])]
    return TumCamera(pinhole(*matrix, root), lens_from("brown", bent, 5, root), SIZE, METRES_PER_UNIT)
