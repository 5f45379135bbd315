"""How programs call what a camera has: OpenCV's own names, and those of others that write the same numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.data.rig.opencv_storage import Value

MATRIX = re.compile(
    r"(?:camera_?matrix|cam_?matrix|camera_?intrinsics?|intrinsic_?matrix|intrinsics?|mtx|[AKM](?=_|\d|$))(?P<end>.*)",
    re.IGNORECASE,
)
LENS = (
    "distortioncoefficients", "distortioncoeffs", "distcoeffs", "distcoeff", "distcoefs", "distcoef", "distortions",
    "distortion", "dist", "d",
)  # fmt: skip
WIDTHS = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("width", "height"), ("w", "h"))
SIZES = ("imagesize", "imgsize", "size", "resolution")
POSES = (
    ("rot", "t"), ("r", "t"), ("rvec", "tvec"), ("r", "tvec"), ("rmat", "tvec"), ("rotation", "translation"),
    ("rotationmatrix", "translationvector"), ("rotationvector", "translationvector"),
)  # fmt: skip
EXTRINSICS = (
    "extrinsic", "extrinsics", "extrinsicmatrix", "camerafromworld", "worldtocamera", "worldtocam", "world2cam",
    "w2c", "tcw",
)  # fmt: skip
INVERSE = ("worldfromcamera", "cameratoworld", "camtoworld", "cam2world", "c2w", "twc", "tbs")
"""World (or body) from camera."""
MODELS = {
    **dict.fromkeys(("plumb_bob", "rational_polynomial", "radtan", "radial-tangential", "brown"), False),
    **dict.fromkeys(("pinhole", "standard", "rational", "opencv", "none", "perspective"), False),
    **dict.fromkeys(("fisheye", "equidistant", "equi", "kannala_brandt", "opencv_fisheye"), True),
}
STRANGE = frozenset({"omni", "mei", "ucm", "eucm", "ds", "fov", "double_sphere", "thin_prism", "tilted"})
"""Models that are refused wherever they are named."""
Values = Mapping[str, Value]
"""By key in small letters, without "_"."""


def matrices_of(values: Values) -> dict[str, Value]:
    """Camera matrices by the ends of their keys, as written. Four numbers are fx, fy, cx, cy."""
    found: dict[str, Value] = {}
    for key, value in values.items():
        match = MATRIX.fullmatch(key)
        if match and isinstance(value, np.ndarray) and value.size in (4, 9):
            found.setdefault(match["end"], value if value.size == 9 else _of_four(value))
    return dict(sorted(found.items()))


def _of_four(values: Float[np.ndarray, "*four"]) -> Float[np.ndarray, "3 3"]:
    fx, fy, cx, cy = values.ravel().tolist()
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def find_value(values: Values, names: tuple[str, ...], end: str) -> Any:
    """The value of the first of these keys that is there, as numbers or lists; None without."""
    keys = [name + plain_key(end) for name in names]
    value = next((values[key] for key in keys if key in values), None)
    return value.tolist() if isinstance(value, np.ndarray) else value


def plain_keys(values: Values) -> dict[str, Value]:
    return {plain_key(key): value for key, value in values.items()}


def plain_key(key: str) -> str:
    return key.replace("_", "").lower()
