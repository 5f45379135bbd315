"""Where a LeRobot camera's pose comes from: fixed, or in a column, in the layouts that robots write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from samepoint.data.checks import checked_poses, numbers
from samepoint.data.readers.lerobot.tables import whole_number
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.errors import DataError, one_of

POSE_FORMATS = {"matrix": 16, "xyz_wxyz": 7, "xyz_xyzw": 7, "xyz_rotvec": 6}
"""Numbers in a pose. matrix: 4x4 row by row; xyz_wxyz and xyz_xyzw: position and unit quaternion, w the scalar part;
xyz_rotvec: position and rotation vector (axis times angle, radians), as LeRobot's kinematics write ee.x ... ee.wz."""
Pose = Float[Tensor, "4 4"]
SOURCES = ("world_from_camera", "pose_key", "gripper_from_camera")


@dataclass(frozen=True)
class PoseSource:
    """world_from_camera is `fixed`, or what `column` holds times `column_from_camera`, or unknown."""

    fixed: Pose | None = None
    column: str | None = None
    column_from_camera: Pose | None = None
    form: str = "matrix"
    start: int | None = None

    def pose_in(self, value: object, where: object) -> Float64[np.ndarray, "4 4"] | None:
        """world_from_camera by one value of `column`; None if that is null or all NaN, not known."""
        try:
            found = np.asarray(np.nan if value is None else value, dtype=np.float64).ravel()
        except (TypeError, ValueError) as error:
            raise DataError(f"is not a pose: {value!r}", where=where, mend="name another column") from error
        if len(found) and np.isnan(found).all():
            return None
        wanted = POSE_FORMATS[self.form]
        part = found if self.start is None else found[self.start : self.start + wanted]
        if len(part) != wanted:
            behind = "" if self.start is None else f" from {self.start} on"
            what = f"a pose of format {self.form} has {wanted} numbers, but there are {len(part)}{behind}"
            raise DataError(what, where=where, mend="give pose_format and pose_start")
        pose = _matrix(part, self.form, where)
        return pose if self.column_from_camera is None else pose @ self.column_from_camera.double().numpy()

    def poses(self, rows: Sequence[Mapping[str, Any]], where: str) -> dict[int, Pose]:
        """world_from_camera by the rows' frame_index, where it is known. `where` names the episode."""
        if self.fixed is not None:
            return {row["frame_index"]: self.fixed for row in rows}
        if self.column is None:
            return {}
        found, names = {}, []
        for row in rows:
            name = f"{where}, frame {row['frame_index']}, {self.column}"
            pose = self.pose_in(row[self.column], name)
            if pose is not None:
                found[row["frame_index"]] = pose
                names.append(name)
        return dict(zip(found, checked_poses(list(found.values()), names), strict=True))


def read_pose_source(entry: Mapping[str, Any], where: str) -> PoseSource:
    """The pose keys of one entry of the side-car."""
    given = [key for key in SOURCES if key in entry]
    if len(given) > 1:
        raise DataError(f"gives {' and '.join(given)}", where=where, mend="give one of them")
    if ("gripper_from_camera" in entry) != ("gripper_pose_key" in entry):
        mend = "a wrist camera has gripper_from_camera and gripper_pose_key"
        raise DataError("gives half of a wrist camera's pose", where=where, mend=mend)
    form = entry.get("pose_format", "matrix")
    if form not in POSE_FORMATS:
        raise DataError(one_of("pose_format", form, POSE_FORMATS), where=where)
    column = entry.get("pose_key", entry.get("gripper_pose_key"))
    start = entry.get("pose_start")
    if column is None and (start is not None or "pose_format" in entry):
        mend = "give pose_key, or gripper_pose_key with gripper_from_camera"
        raise DataError("gives pose_format or pose_start without a column", where=where, mend=mend)
    return PoseSource(
        _motion(entry, "world_from_camera", where),
        None if column is None else str(column),
        _motion(entry, "gripper_from_camera", where),
        form,
        None if start is None else whole_number(start, "pose_start", where),
    )


def _motion(entry: Mapping[str, Any], key: str, where: str) -> Pose | None:
    if key not in entry:
        return None
    name = f"{where}, {key}"
    return checked_poses([numbers(entry[key], 16, name).reshape(4, 4)], [name])[0]


def _matrix(values: np.ndarray, form: str, where: object) -> np.ndarray:
    if form == "matrix":
        return values.reshape(4, 4)
    pose = np.eye(4)
    pose[:3, 3] = values[:3]
    if form == "xyz_rotvec":
        pose[:3, :3] = roma.rotvec_to_rotmat(torch.from_numpy(values[3:].copy())).numpy()
    else:
        wxyz = values[3:] if form == "xyz_wxyz" else values[[6, 3, 4, 5]]
        pose[:3, :3] = rotation_from_quaternion(wxyz, where)
    return pose
