"""Which images of a recording are worth keeping: neither blurred nor nearly the same as the one before.

Seed 001 removes both kinds from its recordings without saying how. Here: sharpness is the variance of the
Laplacian of the grey image at a fixed size, compared with the recording's median; the change is the mean
absolute difference of small grey thumbnails to the last kept image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

SHARPNESS_SIZE = 480
"""Long side, pixels, at which sharpness is measured: sensor noise is averaged away."""
THUMBNAIL = 32


@dataclass(frozen=True)
class QualityFilter:
    """`min_sharpness` is relative to the median; `min_change` is in grey levels of [0, 1]; 0 switches off."""

    min_sharpness: float = 0.25
    min_change: float = 0.02


@dataclass(frozen=True)
class Measure:
    """What is kept of an image to judge it."""

    sharpness: float
    thumbnail: np.ndarray


@dataclass(frozen=True)
class Selection:
    """Indices of the kept images, in order, and how many were removed for which reason."""

    kept: tuple[int, ...]
    blurred: int
    duplicates: int

    def __str__(self) -> str:
        total = len(self.kept) + self.blurred + self.duplicates
        removed = f"{self.blurred} blurred, {self.duplicates} near-duplicates"
        return f"kept {len(self.kept)} of {total} images ({removed})"


def measure(image: np.ndarray) -> Measure:
    """Sharpness and thumbnail of a uint8 RGB image `h w 3`."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = SHARPNESS_SIZE / max(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return Measure(sharpness, small.astype(np.float32) / 255)


def select(measures: Iterable[Measure], criteria: QualityFilter) -> Selection:
    """The images of one recording, in order, that are sharp and differ from the last kept one.

    The first sharp image is always kept; so is at least one image of a recording that is not empty.
    """
    measures = list(measures)
    if not measures:
        return Selection((), 0, 0)
    least = criteria.min_sharpness * float(np.median([m.sharpness for m in measures]))
    kept: list[int] = []
    blurred = 0
    for i, m in enumerate(measures):
        if m.sharpness < least:
            blurred += 1
        elif not kept or np.abs(m.thumbnail - measures[kept[-1]].thumbnail).mean() >= criteria.min_change:
            kept.append(i)
    return Selection(tuple(kept), blurred, len(measures) - blurred - len(kept))
