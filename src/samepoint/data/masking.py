"""Masks of one object: from a file, checked, and in one piece."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool

from samepoint.data.decode import image_size, placement_mask
from samepoint.data.mask_turning import turning_of
from samepoint.data.recording import Placement
from samepoint.errors import DataError

FEWEST = 50
"""Pixels below which a mask is refused."""


def read_mask(path: Path, image: Path) -> Bool[np.ndarray, "h w"]:
    """The mask file of an image: true on the object (`mask_files`), turned where the image has an EXIF orientation.

    Raises DataError if it has another size, and what `check_mask` raises.
    """
    if not os.path.lexists(path):
        raise DataError("this mask does not exist", where=path, mend="check the path")
    size = image_size(image)
    as_stored = path in turning_of([(image, path)]).as_stored
    mask = placement_mask(image, Placement(1, mask=path, as_stored=as_stored), size)
    assert mask is not None
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
