"""Which images of a folder are photos, and which are their masks, depth or other pictures of the same moments.

A word in a name (`name_roles`) counts only beside the image it belongs to: a folder of photos of masks stays one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from samepoint.data.decode import decode_image
from samepoint.data.image_files import opened
from samepoint.data.readers.name_roles import Role, key_of, role_of
from samepoint.errors import DataError

DEPTH = "depth of photos; a recording with a camera (intrinsics.json or cam_K.txt) uses it, see docs/data.md"
DEEP = "16-bit grey beside images of 8 bits: taken for depth"
OTHER = "by its name no photo"
MASKS = "masks"
"""A folder of this name beside photos holds masks, whatever they look like."""
COLOURFUL, MASK_COLOURS = 4, 64
"""Mean difference of channels from grey, in grey levels, and colours, of a picture that is no mask and no labels."""


@dataclass
class Division:
    """`photos`: by folder, its photos. By the same folders: `masks` and `labels`, files, and `mask_folders`, with
    whether these hold labels. `reasons`: what is left out, and why."""

    photos: dict[Path, list[Path]] = field(default_factory=dict)
    masks: dict[Path, list[Path]] = field(default_factory=lambda: defaultdict(list))
    labels: dict[Path, list[Path]] = field(default_factory=lambda: defaultdict(list))
    mask_folders: dict[Path, list[tuple[Path, bool]]] = field(default_factory=lambda: defaultdict(list))
    reasons: dict[Path, str] = field(default_factory=dict)


def divide(root: Path, found: Mapping[Path, Sequence[Path]]) -> Division:
    """Divides the images below `root`, by folder."""
    division = Division()
    tops = {folder: _top(root, folder, found) for folder in found}
    for folder, images in found.items():
        if tops[folder] is None:
            _divide_files(folder, images, division)
    for top in dict.fromkeys(top for top in tops.values() if top is not None):
        _place(top, [folder for folder in found if tops[folder] == top], found, division)
    return division


def roles_within(images: Sequence[Path], others: Sequence[Path] = ()) -> dict[Path, Role]:
    """The images (and `others`, such as poses in text) of one folder that go with another image, and as what."""
    named = {path: role_of(path.stem) for path in (*images, *others)}
    bases = {named[path][0] for path in images if named[path][1] in (None, "colour")}
    roles: dict[Path, Role] = {}
    for role in ("depth", "mask", "label", "pose", "other"):
        these = [path for path, (_, r) in named.items() if r == role]
        partnered = [path for path in these if _is_base(named[path][0], bases)]
        if (
            these
            and 2 * len(partnered) >= len(these)
            and not (role in ("mask", "label") and _colourful(these))
        ):
            roles |= dict.fromkeys(these, role)
    return roles


def _is_base(key: str, bases: set[str]) -> bool:
    """IMG_1_mask_0 belongs to IMG_1 too."""
    return key in bases or (key.rpartition("_")[2].isdigit() and key.rpartition("_")[0] in bases)


def _divide_files(folder: Path, images: Sequence[Path], division: Division) -> None:
    roles = roles_within(images)
    photos = [image for image in images if image not in roles]
    keys = {key_of(photo) for photo in photos}
    deep = {image for image in photos if is_deep_grey(image)}
    if 0 < len(deep) < len(photos):
        photos = [image for image in photos if image not in deep]
        division.reasons |= dict.fromkeys(deep, DEEP)
    for path, role in roles.items():
        if role in ("mask", "label") and key_of(path) in keys:
            (division.masks if role == "mask" else division.labels)[folder].append(path)
        elif role in ("mask", "label"):
            division.reasons[path] = "masks without a photo, or several of one photo"
        else:
            division.reasons[path] = DEPTH if role == "depth" else OTHER
    if photos:
        division.photos[folder] = photos


def _top(root: Path, folder: Path, found: Mapping[Path, Sequence[Path]]) -> Path | None:
    """The folder, or one above it, that holds pictures of other kinds of the images beside it."""
    if folder == root or root not in folder.parents:
        return None
    above = _top(root, folder.parent, found)
    if above is not None:
        return above
    role = _folder_role(folder, found)
    if role in (None, "colour", "pose"):
        return None
    own = _below(folder, found)
    if folder.parent in found:
        known = role not in ("mask", "label") or folder.name == MASKS
        return folder if known or _alike(own, found[folder.parent]) or not _colourful(own) else None
    beside = {path for below in found for path in (below, *below.parents) if path.parent == folder.parent}
    beside.discard(folder)
    if any(role_of(path.name)[1] == "colour" for path in beside):
        return folder
    plain = [path for path in beside if _folder_role(path, found) is None]
    alike = _alike(own, [image for path in plain for image in _below(path, found)])
    return folder if alike and (role not in ("mask", "label") or not _colourful(own)) else None


def _alike(own: Sequence[Path], photos: Sequence[Path]) -> bool:
    """Whether half of the names are those of photos."""
    keys = {key_of(photo) for photo in photos}
    return 2 * sum(_is_base(key_of(image), keys) for image in own) >= len(own) > 0


def _folder_role(folder: Path, found: Mapping[Path, Sequence[Path]]) -> Role | None:
    """By its name, else by those of all its images."""
    by_name = role_of(folder.name)[1]
    if by_name is not None:
        return by_name
    roles: set[Role | None] = {role_of(image.stem)[1] for image in found.get(folder, ())}
    return next(iter(roles)) if len(roles) == 1 else None


def _below(folder: Path, found: Mapping[Path, Sequence[Path]]) -> list[Path]:
    return [image for path in found if path == folder or folder in path.parents for image in found[path]]


def _place(
    top: Path, folders: Sequence[Path], found: Mapping[Path, Sequence[Path]], division: Division
) -> None:
    """Folders of masks, those at or below `top`, go to the photos beside it, or above; others are left out."""
    role = _folder_role(top, found) or "other"
    if role not in ("mask", "label"):
        division.reasons[top] = DEPTH if role == "depth" else OTHER
        return
    beside = [
        top.parent / name
        for name in {
            path.relative_to(top.parent).parts[0] for path in division.photos if top.parent in path.parents
        }
    ]
    left = []
    for folder in folders:
        inner = folder.relative_to(top)
        mirrored = [path / inner for path in beside if inner.parts and path / inner in division.photos]
        if len(mirrored) == 1:
            division.mask_folders[mirrored[0]].append((folder, role == "label"))
        else:
            left.append(folder)
    if not left:
        return
    partners = [top.parent] if top.parent in division.photos else [p for p in beside if p in division.photos]
    partners = [path for path in partners if role_of(path.name)[1] == "colour"] or partners
    if len(partners) == 1 and not division.mask_folders[partners[0]]:
        division.mask_folders[partners[0]].append((top, role == "label"))
    else:
        why = "masks, of which nothing says to which photos they belong"
        division.reasons |= dict.fromkeys(left, why)


def is_deep_grey(path: Path) -> bool:
    """Whether it is a grey image of 16 bits, as depth is; from the header. A file that is no image is none."""
    suffix = path.suffix.lower()
    if suffix == ".png":
        with path.open("rb") as file:
            head = file.read(26)
        return head[1:4] == b"PNG" and len(head) == 26 and head[24] == 16 and head[25] == 0
    if suffix not in (".tif", ".tiff", ".pgm"):
        return False
    try:
        with opened(path) as image:
            return image.mode.startswith(("I", "F"))
    except DataError:
        return False


def _colourful(paths: Sequence[Path]) -> bool:
    """Whether some of these are pictures in many colours, which no masks and no labels are; cut-outs aside."""
    for path in paths[:3]:
        try:
            with opened(path) as image:
                if image.has_transparency_data or image.mode not in ("RGB", "CMYK", "YCbCr"):
                    continue
            pixels = decode_image(path).astype(np.int64)
        except DataError:
            continue
        spread = np.abs(pixels - pixels.mean(axis=2, keepdims=True)).mean()
        step = max(1, min(pixels.shape[:2]) // 48)
        colours = np.unique(pixels[::step, ::step].reshape(-1, 3), axis=0)
        if spread > COLOURFUL and len(colours) > MASK_COLOURS:
            return True
    return False
