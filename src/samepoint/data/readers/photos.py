"""Plain photos: folders of images of any size, single images, and videos. Nothing but pixels is known."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from samepoint.data.decode import IMAGE_SUFFIXES, decode_image, image_size
from samepoint.data.quality import QualityFilter, measure, select
from samepoint.data.readers.video import VIDEO_SUFFIXES, read_video
from samepoint.data.recording import Dataset, Moment, ObjectModel, Placement, Recording, View
from samepoint.data.store_files import default_cache
from samepoint.errors import DataError

MASKS = "masks"
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
    folders = _images_by_folder(path)
    if not folders:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError("holds no photos", where=path, mend=f"photos are files ending in {kinds}")
    recordings = tuple(_recording(path, folder, images, criteria) for folder, images in folders.items())
    masked = any(view.placements for recording in recordings for view in recording.views())
    return Dataset(path, recordings, {1: ObjectModel(1)} if masked else {})


def has_images(path: Path) -> bool:
    """Whether a folder holds an image at any depth."""
    return next(_walk(path), None) is not None


def _recording(root: Path, folder: Path, images: list[Path], criteria: QualityFilter | None) -> Recording:
    if criteria is not None:
        selection = select((measure(decode_image(image)) for image in images), criteria)
        log.info("%s: %s", folder, selection)
        images = [images[i] for i in selection.kept]
    masks = _masks(folder, images)
    views = [View("cam0", image, placements=_placements(image, masks)) for image in images]
    name = folder.relative_to(root).as_posix()
    return Recording(folder.name if name == "." else name, "photos", tuple(Moment((view,)) for view in views))


def _masks(folder: Path, images: list[Path]) -> dict[str, Path]:
    if not (folder / MASKS).is_dir():
        return {}
    masks = {p.stem: p for p in sorted((folder / MASKS).iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES}
    if masks and not any(image.stem in masks for image in images):
        example = f"the mask of {images[0].name} is {MASKS}/{images[0].stem}.png"
        raise DataError("no mask has the name of a photo", where=folder / MASKS, mend=example)
    return masks


def _placements(image: Path, masks: Mapping[str, Path]) -> tuple[Placement, ...]:
    mask = masks.get(image.stem)
    if mask is None:
        return ()
    got, want = image_size(mask), image_size(image)
    if got != want:
        what = f"the mask is {got[1]}x{got[0]} but its image is {want[1]}x{want[0]}"
        raise DataError(what, where=mask, mend="make the mask as large as its image, or remove it")
    return (Placement(1, mask=mask),)


def _images_by_folder(root: Path) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = defaultdict(list)
    for path in _walk(root):
        found[path.parent].append(path)
    beside = {f for f in found if f.name == MASKS and f != root and f.parent in found}
    return {folder: sorted(found[folder]) for folder in sorted(found) if folder not in beside}


def _walk(root: Path) -> Iterator[Path]:
    """Images below `root` in order; links to folders are followed, but not round in a circle."""
    seen = {os.path.realpath(root)}
    for folder, folders, files in os.walk(root, followlinks=True):
        kept = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        folders[:] = [name for name in kept if os.path.realpath(os.path.join(folder, name)) not in seen]
        seen.update(os.path.realpath(os.path.join(folder, name)) for name in folders)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(folder) / name
