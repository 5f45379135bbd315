"""Depth files: 16-bit images, and floating-point numbers in TIFF, EXR, PFM, .npy and .npz."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt16

from samepoint.data.image_files import image_size, load_image, unreadable
from samepoint.data.readers.extra_packages import package
from samepoint.data.recording import DepthFile
from samepoint.errors import DataError, MissingDependencyError
from samepoint.types import Size

ARRAYS = frozenset({".npy", ".npz", ".exr", ".pfm"})
"""Files that hold numbers, and no image that Pillow opens."""
PGM = re.compile(rb"P5\s+(?:#.*\n\s*)*(\d+)\s+(?:#.*\n\s*)*(\d+)\s+(?:#.*\n\s*)*(\d+)\s")
NAMES = ("depth", "depths", "depth_map", "depthmap", "z", "distance_to_image_plane", "arr_0", "v", "r", "y")
"""Of the arrays of an .npz or the channels of an EXR, the first of these, capitals or not, is the depth. Of channels
that are called LAYER.NAME the layer counts too: Blender writes ViewLayer.Depth.Z, Isaac R."""


def decode_depth(depth: DepthFile) -> tuple[UInt16[np.ndarray, "h w"], float]:
    """uint16 units `h w` and metres per unit, 0 unknown.

    Floating-point files are rounded to 0.1 mm (1 mm if something is beyond 6.55 m); NaN, infinite and negative
    values, those beyond 65 m, and `depth.unknown` become 0.
    """
    values = depth_values(depth.path)
    if depth.unknown is not None:
        values = np.where(values == depth.unknown, np.zeros(1, values.dtype), values)
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(np.uint16), depth.metres_per_unit
    if values.dtype.kind in "iu" and values.max(initial=0) <= 65535:
        return values.clip(0).astype(np.uint16), depth.metres_per_unit
    return quantise_depth(values.astype(np.float64) * depth.metres_per_unit)


def depth_values(path: Path) -> Shaped[np.ndarray, "h w"]:
    """What a depth file holds, in its own numbers and unit. DataError for more than one channel."""
    readers = {".npy": _npy, ".npz": _npz, ".exr": _exr, ".pfm": _pfm, ".pgm": _pgm}
    reader = readers.get(path.suffix.lower())
    values = np.asarray(load_image(path, "depth image")) if reader is None else reader(path)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.squeeze(2 if values.shape[2] == 1 else 0)
    if values.ndim != 2:
        raise DataError(f"depth has shape {values.shape}, not one channel", where=path)
    if values.dtype.kind not in "iuf":
        raise DataError(f"depth is of type {values.dtype}, not of numbers", where=path)
    return values


def depth_size(path: Path) -> Size:
    """(height, width) of a depth file; only that of an image is known without reading it."""
    if path.suffix.lower() in ARRAYS:
        height, width = depth_values(path).shape
        return height, width
    return image_size(path)


def quantise_depth(metres: np.ndarray) -> tuple[np.ndarray, float]:
    """Metres to uint16 units of 0.1 mm, or of 1 mm if something is farther than 6.55 m; unknown is 0."""
    known = np.where(np.isfinite(metres) & (metres > 0) & (metres <= 65.5355), metres, 0.0)
    step = 1e-4 if known.max(initial=0.0) <= 65535e-4 else 1e-3
    units = np.rint(known / step)
    return np.where(units <= 65535, units, 0).astype(np.uint16), step


def _npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, "depth image", error, "is not a readable array") from error


def _npz(path: Path) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[_chosen(list(arrays.files), path)])
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise unreadable(path, "depth image", error, "is not a readable array") from error


def _exr(path: Path) -> np.ndarray:
    if not path.is_file():
        raise unreadable(path, "depth image", FileNotFoundError())
    try:
        reader = package("OpenEXR", "reading EXR depth")
    except MissingDependencyError as error:
        raise MissingDependencyError(error.what, where=path, mend=error.mend) from error
    try:
        channels: dict[str, Any] = reader.File(str(path), separate_channels=True).channels()
        name = _chosen(list(channels), path)
        green = channels.get(f"{name[:-1]}G") if name[-1:] == "R" else None
        if green is not None and not np.array_equal(green.pixels, channels[name].pixels, equal_nan=True):
            raise DataError("holds a picture in colours, no depth", where=path, mend="write one channel, Z")
        return np.asarray(channels[name].pixels)
    except DataError:
        raise
    except Exception as error:  # OpenEXR raises RuntimeError, ValueError and TypeError for damaged files
        raise unreadable(path, "depth image", error) from error


def _chosen(names: list[str], path: Path) -> str:
    """The array or channel that is the depth: the only one, or the one that is called so."""
    if len(names) == 1:
        return names[0]
    words = {name: name.lower().split(".") for name in reversed(names)}
    layers = [name for name in names if "depth" in words[name][:-1]]
    for candidates in (layers, names):
        for wanted in NAMES:
            found = [name for name in candidates if words[name][-1] == wanted]
            if found:
                return found[0]
    shown = ", ".join(names) or "nothing"
    raise DataError(f"holds {shown}, none of them called depth", where=path, mend="name one array depth")


def _pfm(path: Path) -> np.ndarray:
    """One channel: "Pf", width and height, a scale whose sign says the order of bytes; rows from the bottom."""
    try:
        with path.open("rb") as file:
            kind = file.readline().strip()
            width, height = map(int, file.readline().split())
            order = "<" if float(file.readline()) < 0 else ">"
            values = np.frombuffer(file.read(), f"{order}f4")
        if kind != b"Pf":
            raise ValueError("not of one channel")
        return values.reshape(height, width)[::-1].astype(np.float32)
    except (OSError, ValueError) as error:
        raise unreadable(path, "depth image", error) from error


def _pgm(path: Path) -> np.ndarray:
    """The numbers as written; Pillow stretches them so that the greatest one declared becomes 65535."""
    try:
        content = path.read_bytes()
        head = PGM.match(content)
        if head is None:
            raise ValueError("no binary PGM")
        width, height, greatest = map(int, head.groups())
        kind = np.dtype(">u2" if greatest > 255 else "u1")
        values = np.frombuffer(content, kind, count=width * height, offset=head.end())
        return values.reshape(height, width).astype(kind.newbyteorder("="))
    except (OSError, ValueError) as error:
        raise unreadable(path, "depth image", error) from error
