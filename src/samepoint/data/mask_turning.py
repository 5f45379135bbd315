"""Masks beside photos that have an EXIF orientation: drawn on the image as it is shown, or on its stored pixels?

Where the turn exchanges width and height the mask's size tells. Of square images, half turns and mirror images it
does not: then the other masks of the folder decide, else colours and edges of the images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from samepoint.data.decode import decode_image, fitted_size, resize_nearest
from samepoint.data.deep_pixels import turned
from samepoint.data.image_files import stored_size
from samepoint.data.mask_files import decode_mask

LONG_SIDE = 256
LOOKED_AT = 12
CLEAR_EDGES = math.log(1.15)
"""Edges under one outline are stronger than under the other by this factor, or they do not tell."""
CLEAR_COLOURS = 0.04
"""As much more apart are the colours of object and surroundings with one of the two, or they do not tell."""


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
    as_stored = votes.pop() if len(votes) == 1 else _by_pixels(unclear[:LOOKED_AT])
    if as_stored is None:
        return Turning(undecided=len(unclear))
    return Turning(frozenset(mask for _, mask, _ in unclear) if as_stored else frozenset())


def _by_pixels(unclear: Sequence[tuple[Path, Path, int]]) -> bool | None:
    """Whether the images say that the masks are to be turned; None if that is not clear.

    The object's colours are alike in all images and other than those around it; else its outline follows edges.
    """
    turns, plain, ratios = [], [], []
    for image, path, orientation in unclear:
        pixels, mask = decode_image(image), decode_mask(path)
        size = fitted_size((mask.shape[0], mask.shape[1]), LONG_SIDE)
        small = cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        masks = [resize_nearest(lying, size) for lying in (turned(mask, orientation), mask)]
        if mask.shape != pixels.shape[:2] or not masks[0].any() or masks[0].all():
            continue
        turns.append((_colours(small[masks[0]]), _colours(small[~masks[0]])))
        plain.append((_colours(small[masks[1]]), _colours(small[~masks[1]])))
        under = [_edges(small)[_outline(lying)].mean() for lying in masks]
        ratios.append(math.log((under[0] + 1e-3) / (under[1] + 1e-3)))
    if not turns:
        return None
    by_colour = _apart(turns) - _apart(plain)
    if abs(by_colour) > CLEAR_COLOURS:
        return by_colour > 0
    by_edges = float(np.mean(ratios))
    return by_edges > 0 if abs(by_edges) > CLEAR_EDGES else None


def _apart(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """How much more the colours inside are like those inside other images than like those outside: a logarithm."""
    inside, outside = (np.stack(side) for side in zip(*parts, strict=True))
    alike = inside @ inside.T
    others = alike[~np.eye(len(alike), dtype=bool)]
    within = float(others.mean()) if len(others) else 1.0
    return math.log((within + 1e-3) / (float((inside @ outside.T).mean()) + 1e-3))


def _colours(pixels: UInt8[np.ndarray, "n 3"]) -> Float[np.ndarray, " 512"]:
    """Square roots of a histogram's shares: the product of two is their overlap."""
    bins = (pixels // 32).astype(np.int64) @ np.array([64, 8, 1])
    return np.sqrt(np.bincount(bins, minlength=512) / len(pixels))


def _edges(image: np.ndarray) -> Float[np.ndarray, "h w"]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1))


def _outline(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    around = np.ones((3, 3), np.uint8)
    values = mask.astype(np.uint8)
    grown = cv2.dilate(values, around, borderType=cv2.BORDER_REPLICATE)
    return grown != cv2.erode(values, around, borderType=cv2.BORDER_REPLICATE)
