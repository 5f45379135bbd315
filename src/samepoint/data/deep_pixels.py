"""Images of more than 8 bits a channel, shown as they are meant: 10 or 12 bits in a 16-bit file are not black.

Machine-vision cameras write 10 or 12 bits into the low end of 16. What is white is decided by all images of a series,
those of one folder whose names differ in numbers alone, so that a dark image stays dark beside a bright one.
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin, TiffImagePlugin

from samepoint.data.image_files import opened, orientation_of, upright
from samepoint.errors import DataError
from samepoint.reading import entries

GREY_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras write."""
SAMPLES = 64
"""Images of a series that are looked at, evenly spread."""
_one = threading.Lock()


@dataclass(frozen=True)
class WhiteLevel:
    """A series holds `bits` of its 16: as many as `largest`, its greatest value, and its files' own word need."""

    bits: int
    largest: int

    @property
    def white(self) -> int:
        return (1 << self.bits) - 1


def is_deep(path: Path) -> bool:
    """Whether a file has more than 8 bits a channel, whole numbers (PNG, TIFF, PGM), from its header."""
    with opened(path) as image:
        return is_deep_image(image)


def is_deep_image(image: Image.Image) -> bool:
    """The same of an opened image that is not decoded yet."""
    if image.mode in GREY_MODES:
        return True
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(258, (8,))
        whole = image.tag_v2.get(339, (1,))[0] in (1, 4)
        return image.mode in ("RGB", "RGBA", "RGBX") and whole and max(bits) > 8
    return image.format == "PNG" and ";16" in str(_tile(image)[3])


def deep_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """RGB of 8 bits, turned as its EXIF orientation says; 255 is the white of its series (`white_level`)."""
    return as_bytes(deep_values(path), white_level(path).white)


def as_bytes(values: np.ndarray, white: int) -> UInt8[np.ndarray, "h w 3"]:
    """`values`, grey `h w` or `h w c`, with 0 to `white` as 0 to 255. Full 16 bits lose their low byte, as in every
    viewer."""
    wide = values.astype(np.int64)
    bits = int(white).bit_length()
    shown = (wide >> (bits - 8)) if white == (1 << bits) - 1 and bits >= 8 else wide * 255 // white
    pixels = shown.clip(0, 255).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else np.ascontiguousarray(pixels)


def deep_values(path: Path) -> np.ndarray:
    """The whole numbers of a deep file, upright: grey `h w`, or RGB `h w 3`; transparency is dropped."""
    with opened(path) as image:
        orientation = orientation_of(image)
        loaded = upright(image)  # also where OpenCV reads the pixels: it passes over damage
        if loaded.mode in GREY_MODES:
            return np.asarray(loaded)
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise DataError("this image cannot be read with 16 bits", where=path, mend="save it with 8 bits")
    if values.ndim == 3:
        values = values[..., 0] if values.shape[2] == 2 else values[..., 2::-1]
    return turned(values, orientation)


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """Rows and columns as an EXIF orientation says, of an array `h w` or `h w c`."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def white_level(path: Path) -> WhiteLevel:
    """The white of the series of a deep file: the fewest bits that its largest value and its files' own word need."""
    folder, stem = path.parent, re.sub(r"\d+", "#", path.stem)
    try:
        stamp = folder.stat().st_mtime_ns
    except OSError:
        stamp = 0
    alone = "#" not in stem or "#" in path.stem
    with _one:  # several threads would look at the same images
        return _of_series(folder, stem, path.suffix, stamp, path if alone else None)


@lru_cache(maxsize=256)
def _of_series(folder: Path, pattern: str, suffix: str, stamp: int, alone: Path | None) -> WhiteLevel:
    paths = [alone] if alone is not None else series(folder, pattern, suffix)
    step = max(1, -(-len(paths) // SAMPLES))
    largest, declared = 0, 8
    for path in paths[::step]:
        try:
            with opened(path) as image:
                if not is_deep_image(image):
                    continue
                said = _declared(path, image)
        except DataError:
            continue  # its own decoding says what is wrong
        largest = max(largest, int(deep_values(path).max(initial=0)))
        declared = max(declared, said)
    enough = (bits for bits in DEPTHS if largest < 1 << bits and bits >= declared)
    return WhiteLevel(next(enough, largest.bit_length()), largest)


def series(folder: Path, pattern: str, suffix: str) -> list[Path]:
    """The files of a folder whose names are `pattern` with numbers at #, sorted."""
    names = re.compile(r"\d+".join(map(re.escape, pattern.split("#"))) + re.escape(suffix))
    return [path for path in entries(folder) if names.fullmatch(path.name)]


def _declared(path: Path, image: Image.Image) -> int:
    """Bits that the file says it holds; 8 where it does not say. Its pixels may need more: then these count."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return min(16, max(8, *(_significant_bits(path) or (8,))))
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        highest = image.tag_v2.get(281)
        return min(16, max(8, int(max(highest)).bit_length())) if highest else 8
    return 16 if _tile(image)[0] == "ppm" else 8  # Pillow has stretched it by the file's word


def _tile(image: Image.Image) -> Sequence[object]:
    """Decoder, extents, offset and how the pixels are stored, of an image that is not loaded yet."""
    tiles = getattr(image, "tile", None)
    return tiles[0] if tiles else ("", None, 0, "")


def _significant_bits(path: Path) -> tuple[int, ...]:
    """PNG's sBIT: bits of each channel; empty where there is none."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind in (b"IDAT", b"IEND"):
                return ()
            content = file.read(length + 4)[:length]
            if kind == b"sBIT":
                return tuple(content)
    return ()
