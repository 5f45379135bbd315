"""Where the images of a COLMAP model lie, and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from samepoint.data.file_kinds import is_image
from samepoint.data.recording import Placement
from samepoint.errors import DataError
from samepoint.text import named_file, slashed

IMAGES, MASKS = "images", "masks"


def image_files(model: Path, names: Sequence[str]) -> tuple[Path, dict[str, Path]]:
    """The folder of the images and the file of each name; names whose file is not there are left out.

    Of `images/` beside the model or up to three folders above it, and of these folders themselves, the one that holds
    most. Where none of the names is found, folders at their beginnings are left away (paths of another machine).
    DataError if none is there.
    """
    above = [model, *model.absolute().parents[:3]]
    places = [place for folder in above for place in (folder / IMAGES, folder) if place.is_dir()]
    paths = [PurePosixPath(slashed(name)) for name in names]
    for left in range(max(len(path.parts) for path in paths)):
        short = ["/".join(path.parts[min(left, len(path.parts) - 1) :]) for path in paths]
        counts = [sum((place / name).is_file() for name in short) for place in places]
        if any(counts):
            place = places[counts.index(max(counts))]
            found = {name: named_file(place, cut) for name, cut in zip(names, short, strict=True)}
            return place, {name: path for name, path in found.items() if path is not None and path.is_file()}
    more = f" (nor any of the {len(names) - 1} others)" if len(names) > 1 else ""
    mend = f"put the images into {IMAGES}/ beside sparse/"
    raise DataError(f"its image {names[0]} is not there{more}", where=model, mend=mend)


def masks_beside(images: Path) -> dict[str, Path]:
    """Masks in `masks/` beside the folder of the images, or in it, by their path without ending."""
    for folder in (images.parent / MASKS, images / MASKS):
        if folder.is_dir():
            found = sorted(path for path in folder.rglob("*") if is_image(path))
            return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}
    return {}


def placements_of(image: Path, images: Path, masks: dict[str, Path]) -> tuple[Placement, ...]:
    """The mask of an image as object 1: masks/NAME.jpg.png as COLMAP has it, or masks/NAME.png."""
    name = image.relative_to(images) if image.is_relative_to(images) else Path(image.name)
    keys = (name.as_posix(), name.with_suffix("").as_posix(), name.name, name.stem)
    mask = next((masks[key] for key in keys if key in masks), None)
    return () if mask is None else (Placement(1, mask=mask),)
