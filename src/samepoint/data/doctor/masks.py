"""Mask files: their values, their size, and how much they cover."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from samepoint.data.decode import image_size, mask_fits
from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Footage, evenly
from samepoint.data.mask_files import decode_mask
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable

CHECK = "masks"
FILES = 60
GREY = 0.0005
"""Share of a mask's pixels that may have a value between its lowest and its highest."""
LABELS = 4
"""Values beside 0 that are labels of objects rather than grey levels, at most."""
ALL = 0.98
"""A mask that covers more is called full."""
HIDDEN = 0.001
"""A visible part below which a mask may be empty."""
JPEG = frozenset({".jpg", ".jpeg"})


@dataclass(frozen=True)
class MaskFile:
    """`levels`: values other than 0. `between`: share of pixels with other values than 0 and the highest.
    `hidden`: the recording itself says that nothing of the object is seen."""

    name: str
    levels: int
    between: float
    covered: float
    jpeg: bool
    hidden: bool


def check_masks(footage: Footage) -> Finding:
    named, hidden = [], set()
    for view in footage.views:
        for placement in view.placements:
            if placement.mask is not None and placement.label is None:
                named.append((view.image, placement.mask))
                if placement.visible_fraction is not None and placement.visible_fraction < HIDDEN:
                    hidden.add(placement.mask)
    if not named:
        return Finding(CHECK, "not applicable", "there are no masks")
    chosen = [named[i] for i in evenly(range(len(named)), FILES)]
    other_size = [(image, mask) for image, mask in chosen if not mask_fits(image, mask)]
    if other_size:
        image, mask = other_size[0]
        shown = [f"{size[1]}x{size[0]}" for size in map(image_size, (mask, image))]
        sentence = f"{len(other_size)} of {len(chosen)} have another size than their image, {shown[0]} for {shown[1]}"
        names = tuple(mask.name for _, mask in other_size)
        return Finding(CHECK, "fault", sentence, "make each mask as large as its image", names)
    return _of_values([_read(mask, mask in hidden) for _, mask in chosen])


def _of_values(files: list[MaskFile]) -> Finding:
    number = len(files)
    grey = [f for f in files if f.between > GREY and f.levels > 1 and not f.jpeg]
    if grey:
        worst = max(grey, key=lambda f: f.between)
        what = (
            "several labels in one file" if worst.levels <= LABELS else "grey levels, as of JPEG or resizing"
        )
        sentence = (
            f"{len(grey)} of {number} have {what}: {worst.levels} values beside 0, on {worst.between:.1%} of"
            f" {worst.name}; every value but 0 counts as object"
        )
        mend = (
            "write a file for each object" if worst.levels <= LABELS else "threshold at half, write 0 and 255"
        )
        return Finding(CHECK, "fault", sentence, mend, tuple(f.name for f in grey))
    for which, mend in (("empty", "write the objects' masks"), ("full", "check that they are not inverted")):
        found = [
            f for f in files if (f.covered == 0 and not f.hidden if which == "empty" else f.covered > ALL)
        ]
        if len(found) > number / 2:
            sentence = f"{len(found)} of {number} are {which}"
            return Finding(CHECK, "fault", sentence, mend, tuple(f.name for f in found))
    covered = float(np.median([f.covered for f in files]))
    kind = " (JPEG: brighter than half counts)" if any(f.jpeg for f in files) else ""
    empty = sum(f.covered == 0 for f in files)
    return Finding(CHECK, "right", f"{number} of two values{kind}, median cover {covered:.1%}, {empty} empty")


def _read(path: Path, hidden: bool) -> MaskFile:
    mask = decode_mask(path)
    covered = float(mask.mean())
    try:
        with Image.open(path) as image:
            values = mask * 255 if image.has_transparency_data else np.asarray(image)
    except (OSError, ValueError) as error:
        raise explain_unreadable(path) or DataError(f"cannot be read ({error})", where=path) from error
    values = values.max(2) if values.ndim == 3 else values.astype(np.int64)
    levels, counts = np.unique(values, return_counts=True)
    between = float(counts[(levels != 0) & (levels != levels[-1])].sum() / values.size)
    jpeg = path.suffix.lower() in JPEG
    return MaskFile(path.name, int((levels != 0).sum()), between, covered, jpeg, hidden)
