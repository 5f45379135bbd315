"""Cameras and images as COLMAP's models hold them (https://colmap.github.io/format.html).

`text` and `binary` read them. The package pycolmap is not used: it takes a truncated cameras.bin for
whole (its last numbers become 0), allocates without limit for a truncated points3D.bin, and makes the quaternion
0 0 0 0 the identity. The tests compare with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from samepoint.errors import DataError, one_of

MODELS = {
    "SIMPLE_PINHOLE": (0, 3),
    "PINHOLE": (1, 4),
    "SIMPLE_RADIAL": (2, 4),
    "RADIAL": (3, 5),
    "OPENCV": (4, 8),
    "OPENCV_FISHEYE": (5, 8),
    "FULL_OPENCV": (6, 12),
    "SIMPLE_RADIAL_FISHEYE": (8, 4),
    "RADIAL_FISHEYE": (9, 5),
}
"""The number of each camera model in binary files, and of its parameters."""
EXPORT = "export the model from COLMAP again"


@dataclass(frozen=True)
class ColmapCamera:
    """`parameters` in COLMAP's order: focal length or lengths, principal point (from the corner), distortion."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ColmapImage:
    """`name` is relative to the image folder. The pose is camera from world: quaternion w x y z, translation."""

    name: str
    camera: int
    wxyz: tuple[float, ...]
    translation: tuple[float, ...]


def unknown_model(model: object, where: object) -> DataError:
    """The error for a camera model that `Lens` does not have."""
    return DataError(
        one_of("camera model", model, MODELS), where=where, mend="undistort the images with COLMAP"
    )
