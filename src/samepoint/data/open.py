"""One entrance for every form of data: recognises which it is."""

from __future__ import annotations

from pathlib import Path

from samepoint.data.file_kinds import IMAGE_SUFFIXES, UNREAD_IMAGES
from samepoint.data.pixel_notes import with_pixel_notes
from samepoint.data.readers.bop import is_bop, read_bop
from samepoint.data.readers.flat_frames import is_flat, read_flat
from samepoint.data.readers.frames import is_frames, read_frames
from samepoint.data.readers.multi_camera import is_multi_camera, read_multi_camera
from samepoint.data.readers.photos import has_images, read_photos
from samepoint.data.readers.recognise import foreign_form
from samepoint.data.readers.video import VIDEO_SUFFIXES
from samepoint.data.recording import Dataset
from samepoint.errors import DataError
from samepoint.reading import clear_reading_errors, walk

FORMS = (
    "a BOP data set, color/ depth/ pose/ with intrinsics.json, NAME-color.png beside NAME-depth.png, cameras with"
    " calibration.toml, a folder of photos, or a video"
)


def open_dataset(path: Path | str, *, cache_dir: Path | None = None) -> Dataset:
    """Reads a data set of any known form (docs/data.md); DataError lists them if it is none.

    The first that fits: BOP (native or foreign), several cameras, frames, photos. For a form that is imported
    first the error says how. `cache_dir` takes the frames of a video.
    Pixels are not decoded here, so a truncated image is found when they are (`FrameStore`).
    """
    path = Path(path)
    with clear_reading_errors(path):
        return with_pixel_notes(_opened(path, cache_dir))


def _opened(path: Path, cache_dir: Path | None) -> Dataset:
    if not path.exists():
        raise DataError("does not exist", where=path, mend="check the path")
    if path.is_file():
        if path.suffix.lower() not in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
            raise DataError("is neither an image nor a video", where=path, mend=f"give {FORMS}")
        return read_photos(path, cache_dir=cache_dir)
    if not any(path.iterdir()):
        raise DataError("this folder is empty", where=path, mend=f"give {FORMS}")
    if is_bop(path):
        return _straight(read_bop(path), "bop")
    if is_multi_camera(path):
        return read_multi_camera(path, cache_dir=cache_dir)
    if form := foreign_form(path):
        mend = (
            f"samepoint data import {form} {path} --out DATA (or give its folder of images, for photos alone)"
        )
        raise DataError(
            f"is a recording in the form {form!r}, which is imported first", where=path, mend=mend
        )
    if is_frames(path):
        return _straight(read_frames(path), "frames")
    if is_flat(path):
        return _straight(read_flat(path), "frames")
    if has_images(path):
        return read_photos(path)
    videos = sorted(p.name for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
    if videos:
        raise DataError("holds no images but a video", where=path, mend=f"give the file {path / videos[0]}")
    pictures = {p.suffix.lower() for _, files in walk(path) for p in files} & UNREAD_IMAGES
    if pictures:
        what = f"holds images of kinds that are not read ({' '.join(sorted(pictures))})"
        raise DataError(what, where=path, mend="convert them to JPEG or PNG")
    raise DataError("is no known form of data set", where=path, mend=f"give {FORMS}")


def _straight(dataset: Dataset, form: str) -> Dataset:
    """DataError for images that a lens bends: pixels and rays would not agree."""
    if any(view.lens is not None for view in dataset.views()):
        mend = f"samepoint data import {form} {dataset.root} --out DATA straightens them"
        source = "distortion in intrinsics.json" if form == "frames" else "the lens of its cam_model"
        raise DataError(f"its images are bent ({source})", where=dataset.root, mend=mend)
    return dataset
