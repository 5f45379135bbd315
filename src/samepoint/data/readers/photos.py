"""Plain photos: folders of images of any size, single images, and videos. Nothing but pixels is known."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from samepoint.data.decode import decode_image, image_size
from samepoint.data.file_kinds import IMAGE_SUFFIXES, UNREAD_IMAGES, is_image
from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.quality import QualityFilter, measure, select
from samepoint.data.readers.masks_beside import Masks, cut_outs, masks_beside, together
from samepoint.data.readers.photo_roles import Division, divide
from samepoint.data.readers.video import VIDEO_SUFFIXES, read_video
from samepoint.data.recording import Dataset, Moment, Placement, Recording, View
from samepoint.data.store_files import default_cache
from samepoint.errors import DataError
from samepoint.reading import walk

MAX_FRAMES = 400
log = logging.getLogger(__name__)


def read_photos(
    path: Path,
    *,
    criteria: QualityFilter | None = None,
    cache_dir: Path | None = None,
    max_frames: int = MAX_FRAMES,
) -> Dataset:
    """Reads a folder of photos, one photo, or a video.

    Each folder (below `path`, at any depth) that holds images is a recording of mode "photos", sorted by
    name. A file `masks/NAME.png` beside the photo `NAME.*` masks the object in it (object id 1). `criteria`
    removes blurred images and near-duplicates: by default from a video, not from a folder. Video frames, at
    most `max_frames`, are extracted into `cache_dir`. What was removed is logged, of a video it is a note.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        folder = (cache_dir or default_cache().parent) / "videos"
        return read_video(path, folder, criteria or QualityFilter(), max_frames)
    if path.is_file():
        image_size(path)
        return Dataset(path, (Recording(path.stem, "photos", (Moment((View("cam0", path),)),)),))
    division = divide(path, _images_by_folder(path))
    if not division.photos:
        raise DataError("holds no photos", where=path, mend=_no_photos(path))
    parts = {folder: _masks(folder, images, division) for folder, images in division.photos.items()}
    masks = together(parts.values())
    recordings = tuple(
        _recording(path, folder, images, parts[folder].of, criteria)
        for folder, images in division.photos.items()
    )
    dataset = Dataset(path, recordings, masks.objects)
    return noted(dataset, reasons={**division.reasons, **masks.reasons}, notes=masks.notes)


def has_images(path: Path) -> bool:
    """Whether a folder holds an image at any depth."""
    return next(_walk(path), None) is not None


def _recording(
    root: Path,
    folder: Path,
    images: list[Path],
    placements: Mapping[Path, tuple[Placement, ...]],
    criteria: QualityFilter | None,
) -> Recording:
    if criteria is not None:
        selection = select((measure(decode_image(image)) for image in images), criteria)
        log.info("%s: %s", folder, selection)
        images = [images[i] for i in selection.kept]
    views = [View("cam0", image, placements=placements.get(image, ())) for image in images]
    name = folder.relative_to(root).as_posix()
    return Recording(folder.name if name == "." else name, "photos", tuple(Moment((view,)) for view in views))


def _masks(folder: Path, images: list[Path], division: Division) -> Masks:
    """The masks of a folder of photos; of folders and files of masks the first that is there."""
    for where, labels in division.mask_folders[folder][:1]:
        return masks_beside(images, where, labels=labels)
    if division.labels[folder]:
        return masks_beside(images, files=division.labels[folder], labels=True)
    if division.masks[folder]:
        return masks_beside(images, files=division.masks[folder])
    return cut_outs(images)


def _no_photos(path: Path) -> str:
    """What to do about a folder without photos."""
    others = sorted({p.suffix.lower() for _, files in walk(path) for p in files} & UNREAD_IMAGES)
    kinds = " ".join(sorted(IMAGE_SUFFIXES))
    return f"photos are files ending in {kinds}" + (
        f"; convert its {' '.join(others)} files" if others else ""
    )


def _images_by_folder(root: Path) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = defaultdict(list)
    for path in _walk(root):
        found[path.parent].append(path)
    return {folder: sorted(found[folder], key=natural_key) for folder in sorted(found, key=natural_key)}


def _walk(root: Path) -> Iterator[Path]:
    """Images below `root` in order; links to folders are followed, but not round in a circle."""
    for _, files in walk(root):
        yield from filter(is_image, files)
