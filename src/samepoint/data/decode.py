"""Image, depth and mask files to arrays. Every file is decoded to its end: a truncated one is an error."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from samepoint.data.file_kinds import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from samepoint.data.quantile_files import decode_quantiles
from samepoint.data.recording import DepthFile, View
from samepoint.errors import DataError
from samepoint.types import Size

ORIENTATION = 0x0112
"""The EXIF tag; values 5 to 8 exchange width and height."""
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I")


@dataclass(frozen=True)
class DecodedView:
    """A view as arrays of one size. `labels`: 0 background, k the mask of `placements[k - 1]` (later on top).

    `depth` is uint16 units of `metres_per_unit`, 0 unknown; `depth_quantiles` float16 metres `m h w`, NaN unknown.
    """

    image: np.ndarray
    depth: np.ndarray | None
    metres_per_unit: float | None
    labels: np.ndarray | None
    source_size: Size
    depth_quantiles: np.ndarray | None = None


def decode_image(path: Path) -> np.ndarray:
    """uint8 RGB `h w 3`, turned as its EXIF orientation says. Transparency is dropped, 16 bits become 8."""
    image = _load(path, "image")
    if image.mode in DEEP_MODES:
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "F":
        raise DataError("is a floating-point image", where=path, mend="save it as 8-bit PNG or JPEG")
    return np.asarray(image.convert("RGB"))


def decode_mask(path: Path) -> np.ndarray:
    """bool `h w`: true where the file is not black (a JPEG: brighter than half)."""
    image = _load(path, "mask")
    values = np.asarray(
        image.convert("RGB") if image.mode in ("RGBA", "LA", "PA", "CMYK", "YCbCr") else image
    )
    bright = values > (127 if path.suffix.lower() in (".jpg", ".jpeg") else 0)
    return bright.any(axis=2) if bright.ndim == 3 else bright


def decode_depth(depth: DepthFile) -> tuple[np.ndarray, float]:
    """uint16 units `h w` and metres per unit. Floating-point files (TIFF, .npy) are rounded to 0.1 mm;
    NaN, infinite and negative values become 0, unknown."""
    values = depth_values(depth.path)
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(np.uint16), depth.metres_per_unit
    if values.dtype.kind in "iu" and values.max(initial=0) <= 65535:
        return values.clip(0).astype(np.uint16), depth.metres_per_unit
    return quantise_depth(values.astype(np.float64) * depth.metres_per_unit)


def depth_values(path: Path) -> np.ndarray:
    """What a depth file holds, `h w`, in its own numbers and unit."""
    values = _load_npy(path) if path.suffix.lower() == ".npy" else np.asarray(_load(path, "depth image"))
    if values.ndim != 2:
        raise DataError(f"depth has shape {values.shape}, not one channel", where=path)
    return values


def quantise_depth(metres: np.ndarray) -> tuple[np.ndarray, float]:
    """Metres to uint16 units of 0.1 mm, or of 1 mm if something is farther than 6.55 m; unknown is 0."""
    known = np.where(np.isfinite(metres) & (metres > 0), metres, 0.0)
    step = 1e-4 if known.max(initial=0.0) <= 65535e-4 else 1e-3
    units = np.rint(known / step)
    return np.where(units <= 65535, units, 0).astype(np.uint16), step


def image_size(path: Path) -> Size:
    """(height, width) after EXIF orientation, from the header alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                if isinstance(image, TiffImageFile):  # its `size` may or may not be turned already
                    width, height = int(image.tag_v2[256]), int(image.tag_v2[257])
                # Asking a PNG for EXIF that it does not announce would decode all of it.
                silent = image.format == "PNG" and "exif" not in image.info
                turned = not silent and image.getexif().get(ORIENTATION, 1) >= 5
    except FileNotFoundError as error:
        raise DataError("this image does not exist", where=path, mend="check the path") from error
    except (OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError) as error:
        raise DataError(
            f"is not a readable image ({error})", where=path, mend="replace or remove it"
        ) from error
    return (width, height) if turned else (height, width)


def decode_view(view: View, max_size: int | None = None) -> DecodedView:
    """Everything a view has, at most `max_size` pixels along its long side (None: as it is).

    Colour is resized by area, depth and labels take the nearest pixel centre. DataError if depth or a mask
    does not have the image's size.
    """
    image = decode_image(view.image)
    size = (image.shape[0], image.shape[1])
    depth, metres_per_unit = None, None
    if view.depth is not None:
        depth, metres_per_unit = decode_depth(view.depth)
        _check_size("depth", depth, size, view.depth.path)
    quantiles = None if view.depth_quantiles is None else decode_quantiles(view.depth_quantiles, size)
    whole = DecodedView(image, depth, metres_per_unit, _labels(view, size), size, quantiles)
    return shrunk(whole, max_size)


def shrunk(arrays: DecodedView, max_size: int | None) -> DecodedView:
    """The same at most `max_size` pixels along its long side."""
    size = fitted_size(arrays.source_size, max_size)
    if size == arrays.source_size:
        return arrays
    depth, labels, quantiles = (
        None if values is None else resize_nearest(values, size)
        for values in (arrays.depth, arrays.labels, arrays.depth_quantiles)
    )
    image = cv2.resize(arrays.image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return replace(arrays, image=image, depth=depth, labels=labels, depth_quantiles=quantiles)


def fitted_size(size: Size, max_size: int | None) -> Size:
    """The size shrunk so that its long side is at most `max_size`; never enlarged."""
    long = max(size)
    if max_size is None or long <= max_size:
        return size
    return max(1, round(size[0] * max_size / long)), max(1, round(size[1] * max_size / long))


def resize_nearest(values: np.ndarray, size: Size) -> np.ndarray:
    """The value of the pixel whose area holds each new pixel's centre: floor((i + 1/2) from / to).

    The last two axes are rows and columns.
    """
    if values.shape[-2:] == size:
        return values
    rows, columns = (
        np.minimum(((np.arange(to) + 0.5) * (frm / to)).astype(np.int64), frm - 1)
        for frm, to in zip(values.shape[-2:], size, strict=True)
    )
    return values[..., rows[:, None], columns[None]]


def _labels(view: View, size: Size) -> np.ndarray | None:
    if all(placement.mask is None for placement in view.placements):
        return None
    labels = np.zeros(size, dtype=np.uint8 if len(view.placements) < 256 else np.uint16)
    for k, placement in enumerate(view.placements):
        if placement.mask is not None:
            mask = decode_mask(placement.mask)
            _check_size("mask", mask, size, placement.mask)
            labels[mask] = k + 1
    return labels


def _check_size(what: str, values: np.ndarray, size: Size, path: Path) -> None:
    if values.shape != size:
        got, want = (f"{s[1]}x{s[0]}" for s in (values.shape, size))
        mend = f"make the {what} as large as its image, or remove it"
        raise DataError(f"the {what} is {got} but its image is {want}", where=path, mend=mend)


def _load(path: Path, what: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                image.load()
                return ImageOps.exif_transpose(image)
    except FileNotFoundError as error:
        raise DataError(f"this {what} does not exist", where=path, mend="check the path") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        mend = "replace or remove the file"
        raise DataError(f"this {what} is damaged or truncated ({error})", where=path, mend=mend) from error


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError("this depth image does not exist", where=path, mend="check the path") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"is not a readable array ({error})", where=path, mend="replace the file") from error
