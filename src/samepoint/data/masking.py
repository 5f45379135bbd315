"""Masks of one object: from a file, checked, and in one piece."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool

from samepoint.data.decode import decode_mask
from samepoint.errors import DataError
from samepoint.types import Size

FEWEST = 50
"""Pixels below which a mask is refused."""


def read_mask(path: Path, size: Size) -> Bool[np.ndarray, "h w"]:
    """A mask file of an image of this size: true where the file is not black (a JPEG: brighter than half).

    Raises DataError if it has another size, and what `check_mask` raises.
    """
    mask = decode_mask(path)
    if mask.shape != size:
        what = f"the mask is {mask.shape[1]}x{mask.shape[0]} but its image is {size[1]}x{size[0]}"
        raise DataError(what, where=path, mend="make the mask as large as its image")
    check_mask(mask, path)
    return mask


def check_mask(mask: Bool[np.ndarray, "h w"], where: object) -> None:
    """DataError for a mask without pixels, or with so few that nothing is learnt from it."""
    count = int(mask.sum())
    if count == 0:
        raise DataError("the mask is empty", where=where, mend="mark the object: any value above 0")
    if count < FEWEST:
        mend = f"mask the whole object, at least {FEWEST} pixels, or give a larger photo"
        raise DataError(f"the mask has {count} pixel{'s' * (count > 1)}", where=where, mend=mend)


def in_one_piece(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The largest connected part (corners connect) with its holes filled; an empty mask stays empty."""
    if not mask.any():
        return mask.copy()
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    largest = parts == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    around = np.pad(~largest, 1, constant_values=True).astype(np.uint8)
    _, outside = cv2.connectedComponents(around, connectivity=4)
    return outside[1:-1, 1:-1] != outside[0, 0]
