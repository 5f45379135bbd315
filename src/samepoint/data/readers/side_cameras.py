"""The camera of a recording in a file beside its images: our intrinsics.json, or a matrix as other programs write it.

cam_K.txt (FoundationPose), intrinsic/intrinsic_color.txt (ScanNet), camera-intrinsics.txt (3DMatch) and others: nine
numbers row by row, twelve or sixteen of which the first three columns and rows count, or fx fy cx cy.
camera_intrinsic.json: Open3D's, nine numbers column by column.
"""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import intrinsics_from, numbers
from samepoint.data.readers.camera_file import CAMERA_FILE, CameraFile, read_camera_file
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.text import read_numbers

OPEN3D = ("camera_intrinsic.json", "camera_intrinsics.json", "intrinsic.json")
TEXT = (
    *(
        "cam_K.txt",
        "K.txt",
        "intrinsics.txt",
        "intrinsic.txt",
        "camera_intrinsics.txt",
        "camera-intrinsics.txt",
    ),
    *("camera_intrinsic.txt", "camera_matrix.txt", "intrinsic/intrinsic_color.txt", "intrinsic_color.txt"),
    *("intrinsics/intrinsic_color.txt", "intrinsics/intrinsics.txt"),
)
OF_DEPTH = ("intrinsic/intrinsic_depth.txt", "intrinsic_depth.txt", "intrinsics/intrinsic_depth.txt")
NAMED = f"{CAMERA_FILE} or cam_K.txt"


def camera_path(*folders: Path) -> Path | None:
    """The first file of a known name, intrinsics.json before the others, in the first folder that has one."""
    names = (CAMERA_FILE, *OPEN3D, *TEXT)
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def depth_camera_path(*folders: Path) -> Path | None:
    """The file with the camera matrix of depth images that are not of their colour image's size."""
    return next((folder / name for folder in folders for name in OF_DEPTH if (folder / name).is_file()), None)


def read_side_camera(path: Path, *, needs_unit: bool = False) -> CameraFile:
    """Reads one of `camera_path`; `needs_unit`: depth_unit_m of an intrinsics.json may not be left out."""
    if path.name == CAMERA_FILE:
        return read_camera_file(path, needs_unit=needs_unit)
    if path.name in OPEN3D:
        content = read_json(path)
        if not isinstance(content, dict) or "intrinsic_matrix" not in content:
            raise DataError("lacks intrinsic_matrix", where=path, mend=f"write {NAMED}")
        columns = numbers(content["intrinsic_matrix"], 9, path).reshape(3, 3)
        matrix = intrinsics_from(columns.T, path)
        return CameraFile(matrix, None, content.get("width"), content.get("height"), None)
    return CameraFile(read_matrix(path), None, None, None, None)


def read_matrix(path: Path) -> Float[Tensor, "3 3"]:
    """The camera matrix of a text file; DataError if it holds no such matrix."""
    for count in (16, 12, 4):
        try:
            values = read_numbers(path, count)
        except DataError:
            continue
        if count == 4:
            fx, fy, cx, cy = values
            return intrinsics_from((fx, 0, cx, 0, fy, cy, 0, 0, 1), path)
        return intrinsics_from(values.reshape(-1, 4)[:3, :3], path)
    return intrinsics_from(read_numbers(path, 9, mend="write fx 0 cx 0 fy cy 0 0 1 in pixels"), path)
