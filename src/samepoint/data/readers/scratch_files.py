"""Arrays that a reader takes out of its source, as the files that the data contract names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from samepoint.data.recording import DepthFile
from samepoint.files import clear_disk_errors


def write_colour(path: Path, rgb: UInt8[np.ndarray, "h w 3"]) -> Path:
    """A PNG."""
    return _write_png(path, rgb[..., ::-1])


def write_mask(path: Path, mask: Bool[np.ndarray, "h w"]) -> Path:
    """A PNG, 255 on the object."""
    return _write_png(path, mask.astype(np.uint8) * 255)


def write_depth(path: Path, metres: Float[np.ndarray, "h w"]) -> DepthFile:
    """A float32 .npy. Units are what `metres` has; 0 or NaN unknown."""
    write_array(path, metres.astype(np.float32))
    return DepthFile(path, 1.0)


def write_array(path: Path, values: np.ndarray) -> None:
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)


def _write_png(path: Path, pixels: np.ndarray) -> Path:
    _, content = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.tobytes())
    return path
