"""Mask files as a viewer shows them: colours of a palette and transparency count, not how the file stores them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image

from samepoint.data.image_files import opened, upright
from samepoint.errors import DataError

LOSSY = frozenset({"JPEG", "MPO", "HEIF", "AVIF"})
"""Formats whose compression rings around edges: only what is brighter than half is the object."""
HALF = 127
NOT_LABELS = (0, 255)
"""Of a label image: the background, and what VOC and DAVIS leave undecided."""


def decode_mask(path: Path) -> Bool[np.ndarray, "h w"]:
    """True on the object, upright.

    Where transparency varies it is the mask: what is more than half opaque, and if the opaque part is black with one
    other colour, not its black. Else the object is what is not black (JPEG, HEIC, AVIF: brighter than half). Of a
    palette the colours count, not their order; where none of those in use is black, entry 0 is the background.
    """
    with opened(path, "mask") as image:
        lossy, image = image.format in LOSSY, upright(image)
        opaque = _opaque(image)
        if opaque is None:
            return _palette(image) if image.mode == "P" else _bright(image, lossy)
        shown = _bright(image, lossy)
        return opaque & shown if _drawn(image, opaque) else opaque


def decode_labels(path: Path) -> Int[np.ndarray, "h w"]:
    """The numbers of a label image, upright: grey levels or palette entries, 0 the background.

    DataError for colours, which are no numbers.
    """
    with opened(path, "label image") as image:
        image = upright(image)
        if image.mode in ("RGB", "RGBA", "LA", "PA"):
            values = np.asarray(image)
            if (values[..., 0] != values[..., -1]).any() and image.mode == "RGB":
                mend = "save the objects' numbers as grey levels or as a palette"
                raise DataError("holds colours, not the numbers of objects", where=path, mend=mend)
            return values[..., 0].astype(np.int64)
        return np.asarray(image).astype(np.int64)


def label_values(path: Path) -> tuple[int, ...]:
    """The numbers of the objects in a label image, ascending."""
    return tuple(int(value) for value in np.unique(decode_labels(path)) if value not in NOT_LABELS)


def _opaque(image: Image.Image) -> Bool[np.ndarray, "h w"] | None:
    """Where it is more than half opaque; None if it is so everywhere or nowhere."""
    if not image.has_transparency_data:
        return None
    opaque = np.asarray(image.convert("RGBA"))[..., 3] > HALF
    return None if opaque.all() or not opaque.any() else opaque


def _drawn(image: Image.Image, opaque: Bool[np.ndarray, "h w"]) -> bool:
    """Whether the opaque part is itself a mask, black and one other colour, rather than a picture cut out."""
    colours = np.unique(np.asarray(image.convert("RGB"))[opaque], axis=0)
    return len(colours) == 2 and not colours[0].any()


def _bright(image: Image.Image, lossy: bool) -> Bool[np.ndarray, "h w"]:
    plain = image.convert("RGB") if image.mode not in ("1", "L", "RGB", "I", "F", "I;16", "I;16B") else image
    values = np.asarray(plain)
    bright = values > (HALF if lossy else 0)
    return bright.any(axis=2) if bright.ndim == 3 else bright


def _palette(image: Image.Image) -> Bool[np.ndarray, "h w"]:
    entries, shown = np.asarray(image), _bright(image, False)
    # All black: numbers that nobody gave a colour. No black: a viewer shows colours on the colour of entry 0.
    return entries != 0 if shown.all() or not shown.any() else shown
