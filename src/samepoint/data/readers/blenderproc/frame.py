"""One HDF5 file of BlenderProc: its keys as arrays and parsed JSON, its depth and its instances.

Older versions repeat depth over three channels, and call the instance map `segmap` (of several channels, if more was
asked for) and its table `segcolormap`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from samepoint.data.readers.extra_packages import package
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable

KEYS = (
    "colors",
    "depth",
    "distance",
    "instance_segmaps",
    "instance_attribute_maps",
    "segmap",
    "segcolormap",
    "campose",
    "cam2world_matrix",
    "cam_K",
    "object_states",
)
ABOUT = frozenset({"blender_proc_version"})
AGAIN = "render the frame again"
FAR = 1000.0
"""Metres. Where a ray meets nothing, Blender writes 1e10 (as it is, or as the largest number of the file's type)."""


def read_content(path: Path) -> tuple[dict[str, Any], set[str]]:
    """The entries of KEYS that the file has, and the names of its others. MissingDependencyError without h5py."""
    h5py = package("h5py", "reading blenderproc")
    try:
        with h5py.File(path, "r") as file:
            values = {key: item[()] for key in KEYS if isinstance(item := file.get(key), h5py.Dataset)}
            present = sorted(file)
    except (OSError, RuntimeError) as error:
        what = f"is not a readable HDF5 file ({error})"
        raise explain_unreadable(path) or DataError(what, where=path, mend=AGAIN) from error
    if "colors" not in values:
        what = f"has no key colors, only: {', '.join(present) or 'nothing'}"
        raise DataError(what, where=path, mend="write colour; of a stereo pair write one camera")
    others = {key for key in present if key not in KEYS and key not in ABOUT}
    return {key: parsed(value, key, path) for key, value in values.items()}, others


def parsed(value: Any, key: str, where: Path) -> Any:
    """JSON text parsed, other values as they are."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "S" and value.size == 1:
        value = value.item()
    if not isinstance(value, bytes | str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise DataError(f"{key} is not valid JSON ({error})", where=where, mend=AGAIN) from error


def colours(content: Mapping[str, Any], where: Path) -> UInt8[np.ndarray, "h w 3"]:
    """RGB; transparency is dropped."""
    image = content["colors"]
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] not in (3, 4)
    ):
        what = f"colors is {_described(image)}, not uint8 h w 3"
        raise DataError(what, where=where, mend="write PNG or JPEG colour, not a stereo pair")
    return image[..., :3]


def depth_along_axis(
    content: Mapping[str, Any], intrinsics: Float[Tensor, "3 3"] | None, where: Path
) -> Float32[np.ndarray, "h w"] | None:
    """Metres along the optical axis, 0 unknown: `depth`, or `distance` (along the ray) converted."""
    key = next((key for key in ("depth", "distance") if key in content), None)
    if key is None:
        return None
    if intrinsics is None:
        mend = "write intrinsics.json beside it (width height fx fy cx cy), or cam_K into the file"
        raise DataError(f"{key} without intrinsics", where=where, mend=mend)
    values = _plane(content, key, where).astype(np.float64)
    known = np.isfinite(values) & (values > 0) & (values < FAR)
    if key == "distance":
        k = intrinsics.double().numpy()
        v, u = np.indices(values.shape)
        x, y = (u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1]
        values = values / np.sqrt(x * x + y * y + 1)
    return np.where(known, values, 0).astype(np.float32)


def instances(
    content: Mapping[str, Any], where: Path
) -> tuple[Int64[np.ndarray, "h w"] | None, dict[int, dict[str, Any]]]:
    """The instance map (0 is the background) and the attributes of its numbers, if known."""
    rows = content.get("instance_attribute_maps", content.get("segcolormap", []))
    rows = list(rows) if isinstance(rows, list | np.ndarray) else [rows]
    try:
        attributes = {int(row["idx"]): row for row in rows}
        channel = int(rows[0].get("channel_instance", 0)) if rows else 0
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        what = f"the table of instances has no whole number idx ({error})"
        raise DataError(what, where=where, mend=AGAIN) from error
    if "instance_segmaps" in content:
        return _plane(content, "instance_segmaps", where).astype(np.int64), attributes
    if "segmap" in content and attributes:
        return _plane(content, "segmap", where, channel).astype(np.int64), attributes
    return None, {}


def _plane(content: Mapping[str, Any], key: str, where: Path, channel: int = 0) -> np.ndarray:
    """A channel of an array that must have the image's size."""
    values, size = content[key], content["colors"].shape[:2]
    if isinstance(values, np.ndarray) and values.ndim == 3 and channel < values.shape[2]:
        values = values[..., channel]
    if not isinstance(values, np.ndarray) or values.shape != size or values.dtype.kind not in "fiu":
        what = f"{key} is {_described(content[key])}, but colors is {size[0]} {size[1]}"
        raise DataError(what, where=where, mend=AGAIN)
    return values


def _described(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
