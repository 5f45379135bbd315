"""Masks that lie beside images: a file an image, a folder an object, or images of objects' numbers.

masks/NAME.png            the object (id 1)
masks/OBJECT/NAME.png     one of several objects, by name
NAME_mask.png             as masks/NAME.png
NAME-label.png            numbers of objects, also as masks/NAME.png with several numbers or palette entries
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from samepoint.data.decode import mask_fits
from samepoint.data.file_kinds import is_image
from samepoint.data.image_files import image_size, opened
from samepoint.data.mask_files import HALF, decode_labels, label_values
from samepoint.data.mask_turning import turning_of
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.name_matching import matched
from samepoint.data.readers.name_roles import key_of, role_of
from samepoint.data.recording import ObjectModel, Placement
from samepoint.errors import DataError
from samepoint.reading import entries, folders

LOOKED_AT = 12
WITH_ALPHA = frozenset({".png", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif"})
SEVERAL = "several masks an image, of objects that have no names"
MOST_LABEL = 100
"""Grey levels above are no numbers of objects."""


@dataclass(frozen=True)
class Masks:
    """`of`: by image, its placements. `notes` and `reasons`: see `leftovers`."""

    of: Mapping[Path, tuple[Placement, ...]] = field(default_factory=dict)
    objects: Mapping[int, ObjectModel] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reasons: Mapping[Path, str] = field(default_factory=dict)


def masks_beside(
    images: Sequence[Path], folder: Path | None = None, files: Sequence[Path] = (), *, labels: bool = False
) -> Masks:
    """The masks of images in a `folder` of masks, or `files` of masks beside the images. `labels`: they are
    numbers, unless they hold nothing but 0 and 255.

    DataError where no mask has the name of an image, or one has another size than its image.
    """
    direct = [*files, *(_images(folder) if folder is not None else ())]
    below = sorted(filter(_images, folders(folder)), key=natural_key) if folder is not None else []
    keys = {key_of(image) for image in images}
    by_image = [path for path in below if role_of(path.name)[0] in keys]
    if direct and _several(keys, direct):
        return _with_reasons(Masks(), dict.fromkeys([*direct, *below], SEVERAL))
    if direct:
        found = _of_files(images, direct, labels)
        more = "a folder of masks beside mask files"
        return _with_reasons(found, dict.fromkeys(below, more))
    if by_image or not below:
        return _with_reasons(
            Masks(), dict.fromkeys(below, "several masks an image, whose objects have no names")
        )
    return _of_objects(images, below)


def _several(keys: set[str], files: Sequence[Path]) -> bool:
    """Whether the files are numbered within their images (000001_000002.png), and none is the mask of one."""
    own = {key_of(path) for path in files}
    return not own & keys and all(key.rpartition("_")[0] in keys for key in own)


def cut_outs(images: Sequence[Path]) -> Masks:
    """Of photos whose transparency varies, what is opaque, as object 1."""
    cut = [path for path in images if path.suffix.lower() in WITH_ALPHA and _is_cut_out(path)]
    if not cut:
        return Masks()
    note = f"{len(cut)} photos are cut out: their transparency is the mask of object 1"
    return Masks({path: (Placement(1, mask=path),) for path in cut}, {1: ObjectModel(1)}, (note,))


def _is_cut_out(path: Path) -> bool:
    try:
        with opened(path) as image:
            if not image.has_transparency_data:
                return False
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
            return bool(alpha.min() <= HALF < alpha.max())
    except DataError:
        return False  # its own decoding says what is wrong


def together(parts: Iterable[Masks]) -> Masks:
    """All masks of several folders of images; the objects are the same by number."""
    of: dict[Path, tuple[Placement, ...]] = {}
    objects: dict[int, ObjectModel] = {}
    reasons: dict[Path, str] = {}
    notes: list[str] = []
    for part in parts:
        of |= part.of
        objects |= part.objects
        reasons |= part.reasons
        notes += part.notes
    return Masks(of, objects, tuple(dict.fromkeys(notes)), reasons)


def _of_files(images: Sequence[Path], files: Sequence[Path], labels: bool) -> Masks:
    of = _matched(images, files)
    if labels or _numbers(list(of.values())):
        numbered = _of_labels(of)
        if numbered.objects:
            return numbered
    turning = turning_of(list(of.items()))
    placed = {
        image: (Placement(1, mask=mask, as_stored=mask in turning.as_stored),) for image, mask in of.items()
    }
    return Masks(placed, {1: ObjectModel(1)} if placed else {}, turning.notes)


def _of_labels(of: Mapping[Path, Path]) -> Masks:
    placed = {
        image: tuple(Placement(value, mask=path, label=value) for value in label_values(path))
        for image, path in of.items()
    }
    seen = sorted({p.object_id for placements in placed.values() for p in placements})
    shown = ", ".join(map(str, seen[:8])) + ", ..." * (len(seen) > 8)
    note = f"masks hold the numbers {shown}: an object each" if len(seen) > 1 else ""
    return Masks(placed, {number: ObjectModel(number) for number in seen}, (note,) if note else ())


def _of_objects(images: Sequence[Path], below: Sequence[Path]) -> Masks:
    placed: dict[Path, list[Placement]] = defaultdict(list)
    objects, notes = {}, []
    for number, folder in enumerate(below, start=1):
        objects[number] = ObjectModel(number, family=folder.name)
        of = _matched(images, _images(folder))
        turning = turning_of(list(of.items()))
        notes += turning.notes
        for image, mask in of.items():
            placed[image].append(Placement(number, mask=mask, as_stored=mask in turning.as_stored))
    return Masks({k: tuple(v) for k, v in placed.items()}, objects, tuple(dict.fromkeys(notes)))


def _matched(images: Sequence[Path], files: Sequence[Path]) -> dict[Path, Path]:
    try:
        of = matched(images, files, "mask").of
    except DataError as error:
        example = f"the mask of {images[0].name} is {files[0].parent.name}/{images[0].stem}.png"
        what = "no mask has the name of a photo"
        raise DataError(what, where=files[0].parent, mend=example) from error
    for image, mask in of.items():
        if not mask_fits(image, mask):
            (h, w), (height, width) = image_size(mask), image_size(image)
            what = f"the mask is {w}x{h} but its image is {width}x{height}"
            mend = "make the mask as large as its image, or remove it"
            raise DataError(what, where=mask, mend=mend)
    return of


def _numbers(files: Sequence[Path]) -> bool:
    """Whether masks number several objects: palette entries, or low grey levels; looked at evenly."""
    step = max(1, len(files) // LOOKED_AT)
    seen: set[int] = set()
    for path in files[::step]:
        with opened(path, "mask") as image:
            if image.mode not in ("P", "L") or image.has_transparency_data or not _black_first(image):
                return False
            palette = image.mode == "P"
        values = {int(v) for v in set(decode_labels(path).ravel().tolist())}
        if not palette and max(values) > MOST_LABEL:
            return False
        seen |= values - {0, 255}
    return len(seen) > 1


def _black_first(image: Image.Image) -> bool:
    """Whether 0 is shown black, so that numbers and colours agree on the background."""
    palette = image.getpalette() if image.mode == "P" else None
    return palette is None or not any(palette[:3])


def _with_reasons(masks: Masks, reasons: Mapping[Path, str]) -> Masks:
    return Masks(masks.of, masks.objects, masks.notes, {**masks.reasons, **reasons})


def _images(folder: Path) -> list[Path]:
    return sorted(filter(is_image, entries(folder)), key=natural_key)
