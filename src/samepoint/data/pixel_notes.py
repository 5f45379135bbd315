"""Notes about pixels that are read otherwise than a file stores them."""

from __future__ import annotations

from dataclasses import replace

from samepoint.data.deep_pixels import is_deep, white_level
from samepoint.data.recording import Dataset
from samepoint.errors import SamepointError

LOOKED_AT = 20
"""Recordings, of which the first image is looked at."""
DEEP_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"})


def with_pixel_notes(dataset: Dataset) -> Dataset:
    """The data set with a note on how many bits its images hold, where that is neither 8 nor all of 16.

    Files that cannot be read are passed over: their decoding says why.
    """
    notes: list[str] = []
    for recording in dataset.recordings[:LOOKED_AT]:
        view = next(recording.views(), None)
        if view is None or view.image.suffix.lower() not in DEEP_SUFFIXES:
            continue
        try:
            level = white_level(view.image) if is_deep(view.image) else None
        except (SamepointError, OSError):
            continue
        if level is not None and level.bits != 16:
            notes.append(
                f"images of 16 bits hold {level.bits} (the largest value is {level.largest}): white is {level.white}"
            )
    return replace(dataset, notes=tuple(dict.fromkeys((*dataset.notes, *notes)))) if notes else dataset
