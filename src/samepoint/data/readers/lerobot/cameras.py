"""`samepoint_cameras.json`: what LeRobot does not store about its cameras, beside a data set or in its meta/.

    {"observation.images.top":   {"fx": 610.0, "fy": 610.0, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480,
                                  "lens": {"model": "brown", "coefficients": [0.1, -0.2, 0.0, 0.0]},
                                  "world_from_camera": [[1, 0, 0, 0.4], [0, 1, 0, 0.0], [0, 0, 1, 0.6], [0, 0, 0, 1]],
                                  "depth_key": "observation.images.top_depth", "depth_scale": 0.001},
     "observation.images.wrist": {"K": [610, 0, 319.5, 0, 610, 239.5, 0, 0, 1],
                                  "gripper_from_camera": [1, 0, 0, 0.0, 0, 1, 0, 0.05, 0, 0, 1, 0.02, 0, 0, 0, 1],
                                  "gripper_pose_key": "ee_pose", "pose_format": "xyz_wxyz", "pose_start": 0}}

Every key may be left out. K is OpenCV's, row by row, in pixels of the stored images, pixel centres at integers;
lens: see `geometry.lenses`. Poses are in metres, camera axes OpenCV's. A camera has one of: `world_from_camera`,
fixed; `pose_key`, the column with world_from_camera of each frame; `gripper_pose_key`, the column with
world_from_gripper, and `gripper_from_camera` (hand-eye), whose product it is. Null or all NaN: an unknown pose.
`pose_format`: see `poses.POSE_FORMATS`, "matrix" if not given. `pose_start`: where the pose begins in a
longer column (from 0); without it the column holds the pose and nothing else. `depth_key`: the feature with depth
registered to this camera, of the same size, along the optical axis. `depth_scale`: metres a unit of depth images (a
depth video knows its own). `static`: in an episode nothing but the camera moves; counts if there is one camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import intrinsics_from
from samepoint.data.readers.lerobot.poses import SOURCES, PoseSource, read_pose_source
from samepoint.data.readers.lerobot.tables import real_number, whole_number
from samepoint.errors import DataError, one_of
from samepoint.files import read_json
from samepoint.geometry.lenses import LENGTHS, Lens

SIDE_CAR = "samepoint_cameras.json"
FOCAL = ("fx", "fy", "cx", "cy")
KEYS = (
    *("K", *FOCAL, "width", "height", "lens"),
    *(*SOURCES, "gripper_pose_key", "pose_format", "pose_start"),
    *("depth_key", "depth_scale", "static"),
)


@dataclass(frozen=True)
class Camera:
    """One entry of the side-car; `where` names it."""

    where: str = ""
    intrinsics: Float[Tensor, "3 3"] | None = None
    size: tuple[int | None, int | None] = (None, None)
    lens: Lens | None = None
    pose: PoseSource = field(default_factory=PoseSource)
    depth_key: str | None = None
    depth_scale: float | None = None
    static: bool = False


def read_cameras(root: Path) -> dict[str, Camera]:
    """The entries by the camera's key; none without a side-car."""
    found = [path for path in (root / SIDE_CAR, root / "meta" / SIDE_CAR) if path.exists()]
    if not found:
        return {}
    if len(found) > 1:
        raise DataError(f"there is another {SIDE_CAR} in meta/", where=found[0], mend="remove one of them")
    content = read_json(found[0])
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        mend = 'write {"observation.images.NAME": {"fx": ...}}'
        raise DataError("is not a mapping of cameras", where=found[0], mend=mend)
    return {key: _camera(entry, f"{found[0]}, {key}") for key, entry in content.items()}


def _camera(entry: Mapping[str, Any], where: str) -> Camera:
    for key in entry:
        if key not in KEYS:
            raise DataError(one_of("the key", key, KEYS), where=where)
    intrinsics = _intrinsics(entry, where)
    if intrinsics is None and ("lens" in entry or "depth_key" in entry):
        raise DataError("gives lens or depth_key without intrinsics", where=where, mend="give K too")
    for key, kind in (("static", bool), ("depth_key", str), ("pose_key", str), ("gripper_pose_key", str)):
        if key in entry and not isinstance(entry[key], kind):
            mend = "write true or false" if kind is bool else "name a feature of meta/info.json"
            raise DataError(f"{key} is {entry[key]!r}", where=where, mend=mend)
    if "depth_scale" in entry and "depth_key" not in entry:
        raise DataError("gives depth_scale without depth_key", where=where, mend="give depth_key too")
    width, height = (
        whole_number(entry[key], key, where) if key in entry else None for key in ("width", "height")
    )
    return Camera(
        where,
        intrinsics,
        (width, height),
        _lens(entry.get("lens"), where),
        read_pose_source(entry, where),
        entry.get("depth_key"),
        _scale(entry, where),
        entry.get("static", False),
    )


def _intrinsics(entry: Mapping[str, Any], where: str) -> Float[Tensor, "3 3"] | None:
    given = [key for key in FOCAL if key in entry]
    if "K" in entry and given:
        raise DataError(f"gives K and {', '.join(given)}", where=where, mend="give one of them")
    if "K" in entry:
        return intrinsics_from(entry["K"], where)
    if not given:
        return None
    lacking = [key for key in FOCAL if key not in entry]
    if lacking:
        raise DataError(f"lacks {', '.join(lacking)}", where=where, mend="add them (pixels)")
    fx, fy, cx, cy = (real_number(entry[key], key, where) for key in FOCAL)
    return intrinsics_from((fx, 0, cx, 0, fy, cy, 0, 0, 1), where)


def _lens(value: object, where: str) -> Lens | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"model", "coefficients"}:
        raise DataError(f"lens is {value!r}", where=where, mend='write {"model", "coefficients"}')
    model, coefficients = value["model"], value["coefficients"]
    if model not in LENGTHS:
        raise DataError(one_of("lens model", model, LENGTHS), where=where)
    if not isinstance(coefficients, list):
        raise DataError(f"lens coefficients are {coefficients!r}", where=where, mend="write a list")
    found = tuple(real_number(value, "lens coefficient", where) for value in coefficients)
    try:
        return Lens(model, found)
    except DataError as error:
        raise DataError(error.what, where=where, mend=error.mend) from error


def _scale(entry: Mapping[str, Any], where: str) -> float | None:
    if "depth_scale" not in entry:
        return None
    scale = real_number(entry["depth_scale"], "depth_scale", where)
    if scale <= 0:
        raise DataError(f"depth_scale is {scale}", where=where, mend="give the metres of one unit (0.001)")
    return scale
