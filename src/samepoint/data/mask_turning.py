"""Masks beside photos that have an EXIF orientation: drawn on the image as it is shown, or on its stored pixels?

Where the turn exchanges width and height the mask's size tells. Of square images, half turns and mirror images it
does not: then the other masks of the folder decide, else the edges of the images, which outlines of objects follow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from samepoint.data.decode import decode_image, fitted_size, resize_nearest
from samepoint.data.deep_pixels import turned
from samepoint.data.image_files import stored_size
from samepoint.data.mask_files import decode_mask

LONG_SIDE = 256
LOOKED_AT = 12
CLEAR = math.log(1.15)
"""Edges under one outline are stronger than under the other by this factor, or nobody can tell."""


@dataclass(frozen=True)
class Turning:
    """`as_stored`: masks that lie as the pixels are stored although their size does not say so. `undecided`: how
    many could lie either way; they are taken as the image is shown."""

    as_stored: frozenset[Path] = frozenset()
    undecided: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        lines = []
        if self.as_stored:
            lines.append(
                f"{len(self.as_stored)} masks are turned with their images, whose EXIF orientation they lack"
            )
        if self.undecided:
            lines.append(
                f"{self.undecided} masks fit their images with and without the EXIF turn; taken as the image is shown"
            )
        return tuple(lines)


def turning_of(pairs: Sequence[tuple[Path, Path]]) -> Turning:
    """How the masks of one folder lie, of pairs of image and mask."""
    votes: set[bool] = set()
    unclear: list[tuple[Path, Path, int]] = []
    for image, mask in pairs:
        stored, orientation = stored_size(image)
        size, own = stored_size(mask)
        if orientation == 1 or own > 1:
            continue
        shown = stored[::-1] if orientation >= 5 else stored
        if stored == shown:
            unclear.append((image, mask, orientation))
        elif size in (stored, shown):
            votes.add(size == stored)
    if not unclear:
        return Turning()
    as_stored = votes.pop() if len(votes) == 1 else _by_edges(unclear[:LOOKED_AT])
    if as_stored is None:
        return Turning(undecided=len(unclear))
    return Turning(frozenset(mask for _, mask, _ in unclear) if as_stored else frozenset())


def _by_edges(unclear: Sequence[tuple[Path, Path, int]]) -> bool | None:
    """Whether the images have the stronger edges under the turned outlines; None if that is not clear."""
    ratios = []
    for image, path, orientation in unclear:
        pixels, mask = decode_image(image), decode_mask(path)
        if mask.shape != pixels.shape[:2]:
            continue
        size = fitted_size((mask.shape[0], mask.shape[1]), LONG_SIDE)
        edges = _edges(cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_AREA))
        under = [edges[_outline(resize_nearest(lying, size))] for lying in (turned(mask, orientation), mask)]
        if all(len(values) for values in under):
            ratios.append(math.log((under[0].mean() + 1e-3) / (under[1].mean() + 1e-3)))
    mean = float(np.mean(ratios)) if ratios else 0.0
    return mean > 0 if abs(mean) > CLEAR else None


def _edges(image: np.ndarray) -> Float[np.ndarray, "h w"]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1))


def _outline(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    around = np.ones((3, 3), np.uint8)
    values = mask.astype(np.uint8)
    grown = cv2.dilate(values, around, borderType=cv2.BORDER_REPLICATE)
    return grown != cv2.erode(values, around, borderType=cv2.BORDER_REPLICATE)
