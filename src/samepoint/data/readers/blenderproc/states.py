"""Camera and object poses that BlenderProc's state writers put beside the pixels of a frame.

    campose           JSON [{"cam2world_matrix": 4x4, "cam_K": 3x3}], or with "location", "rotation_euler", "fov_x"
    cam2world_matrix, cam_K     the same as arrays of their own, as a script adds them
    object_states     JSON [{"name", "matrix_world": 4x4, ...}]

Cameras have Blender's axes (x right, y up, z backward), lengths are metres. BlenderProc's cam_K counts pixels from
their centres (a centred camera has cx = (width - 1) / 2), as we do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from samepoint.data.checks import checked_poses, intrinsics_from, numbers
from samepoint.data.corrections import OPENGL
from samepoint.data.readers.blenderproc.frame import parsed
from samepoint.data.readers.camera_file import CAMERA_FILE, read_camera_file
from samepoint.data.readers.camera_numbers import pinhole
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable
from samepoint.types import Size


def camera_state(content: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The attributes of the camera: those of `campose`, over arrays of their own; of campose_NNNN.npy if neither."""
    own = {k: np.asarray(content[k]).tolist() for k in ("cam2world_matrix", "cam_K") if k in content}
    state = content.get("campose")
    side = path.parent / f"campose_{int(path.stem):04d}.npy"
    if state is None and not own and side.is_file():
        state, path = _side_file(side), side
    if isinstance(state, list) and len(state) == 1:
        state = state[0]
    if state is not None and not isinstance(state, dict):
        raise DataError(
            "campose does not hold one camera", where=path, mend="write it with CameraStateWriter"
        )
    return {**own, **(state or {})}


def world_from_camera(state: Mapping[str, Any], where: object) -> Float[Tensor, "4 4"] | None:
    """The pose in OpenCV axes, or None if there is none."""
    if "cam2world_matrix" in state:
        matrix = numbers(state["cam2world_matrix"], 16, where).reshape(4, 4)
    elif "location" in state and "rotation_euler" in state:
        matrix = np.eye(4)
        matrix[:3, :3] = _rotation(numbers(state["rotation_euler"], 3, where))
        matrix[:3, 3] = numbers(state["location"], 3, where)
    else:
        return None
    return checked_poses([matrix @ OPENGL.double().numpy()], [where])[0]


def frame_intrinsics(state: Mapping[str, Any], size: Size, path: Path) -> Float[Tensor, "3 3"] | None:
    """From cam_K, else from fov_x (radians; square pixels, centred), else from intrinsics.json beside the frame."""
    if "cam_K" in state:
        return intrinsics_from(state["cam_K"], path)
    height, width = size
    side = path.parent / CAMERA_FILE
    if "fov_x" in state:
        (angle,) = numbers(state["fov_x"], 1, path)
        if not 0 < angle < math.pi:
            raise DataError(f"fov_x is {angle:g}", where=path, mend="write it in radians")
        f = width / 2 / math.tan(angle / 2)
        return pinhole(f, f, (width - 1) / 2, (height - 1) / 2, path)
    return _from_file(side, size) if side.is_file() else None


def object_poses(states: object, where: object) -> dict[str, Float64[np.ndarray, "4 4"]]:
    """`world_from_object` by name, without scale; objects that are mirrored or sheared are left out."""
    if not isinstance(states, list) or not all(isinstance(state, dict) for state in states):
        raise DataError("object_states is not a list of objects", where=where, mend="use ObjectStateWriter")
    poses = {}
    for state in states:
        if "name" in state and "matrix_world" in state:
            matrix = numbers(state["matrix_world"], 16, where).reshape(4, 4).copy()
            scale = np.linalg.norm(matrix[:3, :3], axis=0)
            if not (scale > 0).all():
                continue
            matrix[:3, :3] /= scale
            turn = matrix[:3, :3]
            if np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0:
                poses[str(state["name"])] = matrix
    return poses


def _from_file(path: Path, size: Size) -> Float[Tensor, "3 3"]:
    camera = read_camera_file(path)
    declared = (camera.height or size[0], camera.width or size[1])
    if declared != size:
        what = f"is for {declared[1]}x{declared[0]} images, but these are {size[1]}x{size[0]}"
        raise DataError(what, where=path, mend="give the intrinsics of the images as they are")
    return camera.intrinsics


def _side_file(path: Path) -> Any:
    try:
        text = np.load(path, allow_pickle=False)[()]
    except (OSError, ValueError, EOFError) as error:
        what = f"is not a readable array ({error})"
        raise explain_unreadable(path) or DataError(what, where=path, mend="render again") from error
    return parsed(text, "campose", path)


def _rotation(euler: np.ndarray) -> Float64[np.ndarray, "3 3"]:
    """Blender's XYZ: about x first, then y, then z, all axes fixed."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(euler), np.sin(euler)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
