"""camera_info.yaml and pose_data.yaml of a log of pytorch-dense-correspondence (see `pdc`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, intrinsics_from, matrix_from
from samepoint.data.readers.camera_numbers import check_image
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.data.readers.yaml_mapping import read_mapping
from samepoint.errors import DataError

SECONDS = 1e-9


def read_intrinsics(path: Path, image: Path) -> Float[Tensor, "3 3"]:
    """The camera matrix in camera_info.yaml, which must be for images of the size of `image`."""
    content = read_mapping(path)
    check_image(image, content.get("image_width"), content.get("image_height"), path)
    return intrinsics_from(_entry(content, ("camera_matrix", "data"), path), path)


def read_poses(
    path: Path, images: dict[int, Path]
) -> tuple[dict[int, Float[Tensor, "4 4"]], dict[int, float]]:
    """Poses and seconds in pose_data.yaml, by the number of the image."""
    numbers = {image.name: number for number, image in images.items()}
    matrices: dict[int, np.ndarray] = {}
    names: dict[int, str] = {}
    times: dict[int, float] = {}
    for key, entry in read_mapping(path).items():
        where = f"{path}, entry {key}"
        name = f"{str(key).zfill(6)}_rgb.png"
        number = numbers.get(str(entry.get("rgb_image_filename", name) if isinstance(entry, dict) else name))
        if number is None:
            continue
        matrices[number], names[number] = _pose(entry, where), where
        if "timestamp" in entry:
            times[number] = _seconds(entry["timestamp"], where)
    poses = checked_poses(list(matrices.values()), list(names.values()))
    return dict(zip(matrices, poses, strict=True)), times


def _pose(entry: Any, where: str) -> np.ndarray:
    quaternion = [_entry(entry, ("camera_to_world", "quaternion", axis), where) for axis in "wxyz"]
    translation = [_entry(entry, ("camera_to_world", "translation", axis), where) for axis in "xyz"]
    return matrix_from(rotation_from_quaternion(quaternion, where), translation, 1.0, where)


def _seconds(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise DataError(f"the timestamp is {value!r}", where=where, mend="write nanoseconds")
    return value * SECONDS


def _entry(content: Any, keys: tuple[str, ...], where: object) -> Any:
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise DataError(f"lacks {' > '.join(keys)}", where=where, mend="write the file again")
        content = content[key]
    return content
