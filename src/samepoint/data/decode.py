"""Views to arrays: images, depth and masks of one size. Files are decoded to their end: a cut-off one is an error."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from PIL import Image

from samepoint.data.deep_pixels import deep_image, is_deep_image, turned
from samepoint.data.depth_files import decode_depth as decode_depth
from samepoint.data.depth_files import depth_values as depth_values
from samepoint.data.depth_files import quantise_depth as quantise_depth
from samepoint.data.depth_registration import registered
from samepoint.data.file_kinds import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from samepoint.data.image_files import ORIENTATION as ORIENTATION
from samepoint.data.image_files import image_size as image_size
from samepoint.data.image_files import is_large, opened, stored_size, upright
from samepoint.data.mask_files import decode_labels
from samepoint.data.mask_files import decode_mask as decode_mask
from samepoint.data.quantile_files import decode_quantiles
from samepoint.data.recording import Placement, View
from samepoint.errors import DataError
from samepoint.types import Size

_one_large = threading.Lock()


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


def decode_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """RGB, turned as its EXIF orientation says; no transparency; more than 8 bits become 8 (`deep_pixels`)."""
    return _decode(path, None)[0]


def decode_view(view: View, max_size: int | None = None) -> DecodedView:
    """Everything a view has, at most `max_size` pixels along its long side (None: as it is).

    Colour is resized by area, depth and labels take the nearest pixel centre. DataError if depth or a mask
    does not have the image's size. Depth and masks that lie as the image's pixels are stored, before its EXIF turn,
    are turned with it.
    """
    image, size = _decode(view.image, max_size)
    depth, metres_per_unit = None, None
    if view.depth is not None:
        depth, metres_per_unit = decode_depth(view.depth)
        if view.depth.intrinsics is not None and view.intrinsics is not None:
            depth = registered(depth, view.depth.intrinsics, view.intrinsics, size)
        depth = _with_image(view.image, size, depth)
        _check_size("depth", depth, size, view.depth.path)
    quantiles = None if view.depth_quantiles is None else decode_quantiles(view.depth_quantiles, size)
    whole = DecodedView(image, depth, metres_per_unit, _labels(view, size), size, quantiles)
    return shrunk(whole, max_size)


def mask_fits(image: Path, mask: Path) -> bool:
    """Whether a mask has the size of its image, as it is shown or as its pixels are stored; from the headers."""
    stored, orientation = stored_size(image)
    return image_size(mask) in (stored, image_size(image)) if orientation > 1 else image_size(mask) == stored


def placement_mask(
    image: Path, placement: Placement, size: Size | None = None
) -> Bool[np.ndarray, "h w"] | None:
    """The mask of a placement, turned with its `image`, whose size is `size` where that is known already.

    None where there is no mask; DataError if it has not the size of the image.
    """
    if placement.mask is None:
        return None
    size = size or image_size(image)
    if placement.label is None:
        mask = decode_mask(placement.mask)
    else:
        mask = decode_labels(placement.mask) == placement.label
    mask = _with_image(image, size, mask, placement.as_stored)
    _check_size("mask", mask, size, placement.mask)
    return mask


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


def _decode(path: Path, max_size: int | None) -> tuple[UInt8[np.ndarray, "h w 3"], Size]:
    """The image and its size; one beyond Pillow's limit comes no larger than `max_size`."""
    with opened(path) as image:
        _check_single(path, image)
        if is_deep_image(image):
            pixels = deep_image(path)
            return pixels, (pixels.shape[0], pixels.shape[1])
        if image.mode == "F":
            mend = "save it as 8-bit PNG or JPEG"
            raise DataError("is a floating-point image", where=path, mend=mend)
        if is_large((image.size[1], image.size[0])):
            with _one_large:
                return _large(path, image, max_size)
        pixels = np.asarray(upright(image).convert("RGB"))
    return pixels, (pixels.shape[0], pixels.shape[1])


def _check_single(path: Path, image: Image.Image) -> None:
    """DataError for several images in one file, of which all but the first would be dropped. Thumbnails are none."""
    number, size = getattr(image, "n_frames", 1), image.size
    if number == 1 or image.format not in ("TIFF", "PNG", "WEBP", "AVIF"):
        return
    if image.format == "TIFF":
        image.seek(1)
        second = image.size
        image.seek(0)
        if second != size:
            return
    what = f"holds {number} images, of which one would be read"
    raise DataError(what, where=path, mend="save each as a file of its own, or give a video")


def _large(path: Path, image: Image.Image, max_size: int | None) -> tuple[UInt8[np.ndarray, "h w 3"], Size]:
    size = image_size(path)
    small = fitted_size(size, max_size)
    if small != size:  # JPEG is decoded at a half, a quarter or an eighth, if that is enough
        image.draft(None, (2 * max(small), 2 * max(small)))
    pixels = np.asarray(upright(image).convert("RGB"))
    return cv2.resize(pixels, (small[1], small[0]), interpolation=cv2.INTER_AREA), size


def _labels(view: View, size: Size) -> UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"] | None:
    if all(placement.mask is None for placement in view.placements):
        return None
    labels = np.zeros(size, dtype=np.uint8 if len(view.placements) < 256 else np.uint16)
    for k, placement in enumerate(view.placements):
        mask = placement_mask(view.image, placement, size)
        if mask is not None:
            labels[mask] = k + 1
    return labels


def _with_image(image: Path, size: Size, values: np.ndarray, as_stored: bool = False) -> np.ndarray:
    """Values that lie as the image's pixels are stored, turned as its EXIF orientation says."""
    if values.shape == size and not as_stored:
        return values
    stored, orientation = stored_size(image)
    return turned(values, orientation) if orientation > 1 and values.shape == stored else values


def _check_size(what: str, values: np.ndarray, size: Size, path: Path) -> None:
    if values.shape != size:
        got, want = (f"{s[1]}x{s[0]}" for s in (values.shape, size))
        mend = f"make the {what} as large as its image, or remove it"
        raise DataError(f"the {what} is {got} but its image is {want}", where=path, mend=mend)
