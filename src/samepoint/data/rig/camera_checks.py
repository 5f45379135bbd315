"""A camera from the numbers of a calibration file, with an error that says which of them is wrong."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float

from samepoint.data.checks import TOLERANCE, intrinsics_from, numbers
from samepoint.data.rig.camera import Camera
from samepoint.errors import DataError
from samepoint.geometry.lenses import LENGTHS, Lens
from samepoint.geometry.motions import check_rigid
from samepoint.types import Size

AGAIN = "write the calibration again"


def checked_camera(
    name: str,
    width_height: object,
    matrix: object,
    lens: Lens | None,
    camera_from_world: Float[np.ndarray, "4 4"],
    where: object,
) -> Camera:
    """A camera of float32 numbers; `camera_from_world` in metres.

    DataError, naming `where`, for a name that is no folder's, a size that is none, a focal length or a principal
    point that no such image has, a pose that is not rigid, and skew with a lens (its formulas know none).
    """
    height, width = checked_size(width_height, f"{where}, size")
    place = f"{where}, matrix"
    intrinsics = intrinsics_from(matrix, place)
    u, v = intrinsics[:2, 2].tolist()
    # In an image that was cropped it may be outside, but not far.
    if abs(2 * u - width) > 2 * width or abs(2 * v - height) > 2 * height:
        what = f"the principal point ({u:g}, {v:g}) lies far outside the image of {width}x{height}"
        mend = "give size as width, height, and the matrix of images of that size"
        raise DataError(what, where=place, mend=mend)
    if float(intrinsics[1, 0]) or (lens is not None and float(intrinsics[0, 1])):
        raise DataError("the camera matrix has skew, which is not read", where=place, mend=AGAIN)
    check_rigid(torch.from_numpy(camera_from_world), where, TOLERANCE)
    rotation = cv2.Rodrigues(cv2.Rodrigues(camera_from_world[:3, :3])[0])[0]  # the nearest rotation
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3], world_from_camera[:3, 3] = rotation.T, -rotation.T @ camera_from_world[:3, 3]
    pose = torch.from_numpy(world_from_camera).float()
    return Camera(_folder_name(name, where), (height, width), intrinsics, pose, lens)


def checked_size(width_height: object, where: object) -> Size:
    """(height, width) of two whole numbers above 0, width first."""
    width, height = numbers(width_height, 2, where)
    if not all(np.isfinite(edge) and edge >= 1 and edge == int(edge) for edge in (width, height)):
        what = f"an image of {width:g}x{height:g} pixels is none"
        raise DataError(what, where=where, mend="write width, height in pixels")
    return int(height), int(width)


def lens_of(coefficients: object, fisheye: bool, where: object) -> Lens | None:
    """The lens of OpenCV's coefficients; None if it bends nothing.

    Brown: 4, 5 or 8, or as many zeros as there are; zeros behind the eighth are dropped. Fisheye: the first four.
    """
    try:
        values = np.asarray(coefficients, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    known = "4" if fisheye else "4, 5 or 8"
    if not np.isfinite(values).all():
        what = f"expected {known} finite lens coefficients, found {coefficients!r}"
        raise DataError(what, where=where, mend=AGAIN)
    if fisheye:
        values = values[:4]
    elif not values.any():
        return None
    elif len(values) > 8 and not values[8:].any():
        values = values[:8]
    if len(values) not in LENGTHS["fisheye" if fisheye else "brown"]:
        more = " (thin prisms and tilted sensors are not known)" if len(values) in (12, 14) else ""
        what = f"{len(values)} lens coefficients, not {known}{more}"
        raise DataError(what, where=where, mend="calibrate again with such a lens")
    return Lens("fisheye" if fisheye else "brown", tuple(values.tolist()))


def motion_of(rotation: object, translation: object, scale: float, where: object) -> Float[np.ndarray, "4 4"]:
    """A 4x4 float64 matrix of a rotation vector in radians (or nine numbers, a matrix), and a translation, the latter
    times `scale`."""
    values = np.asarray(rotation, dtype=object).ravel()
    vector = numbers(rotation, 9 if len(values) == 9 else 3, f"{where}, rotation")
    moved = numbers(translation, 3, f"{where}, translation")
    if not (np.isfinite(vector).all() and np.isfinite(moved).all()):
        raise DataError("the pose has values that are not finite", where=where, mend=AGAIN)
    matrix = np.eye(4)
    matrix[:3, :3] = vector.reshape(3, 3) if len(vector) == 9 else cv2.Rodrigues(vector)[0]
    matrix[:3, 3] = moved * scale
    return matrix


def add_camera(cameras: dict[str, Camera], camera: Camera, where: object) -> None:
    """DataError if there is a camera of that name."""
    if camera.name in cameras:
        what = f"two cameras are called {camera.name!r}"
        raise DataError(what, where=where, mend="give each camera a name of its own")
    cameras[camera.name] = camera


def _folder_name(name: str, where: object) -> str:
    bad = not name.strip() or name in (".", "..") or any(c in "/\\\x7f" or ord(c) < 32 for c in name)
    if bad:
        mend = "name it as the folder of its images"
        raise DataError(f"the camera name {name!r} cannot be a folder's", where=where, mend=mend)
    return name
