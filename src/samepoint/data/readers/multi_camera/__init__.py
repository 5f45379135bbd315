"""Recordings of several calibrated cameras (docs/multi-camera.md): a folder or a video a camera, Anipose's TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from samepoint.data.decode import IMAGE_SUFFIXES, image_size
from samepoint.data.leftovers import noted
from samepoint.data.readers.multi_camera.annotations import TABLES, has_times, read_annotations
from samepoint.data.readers.multi_camera.calibrations import (
    CALIBRATION,
    CALIBRATIONS,
    Calibrations,
    pairing_of,
)
from samepoint.data.readers.multi_camera.footage import Footage, footage_of, shown
from samepoint.data.readers.multi_camera.names import Names
from samepoint.data.readers.multi_camera.pairing import Paired, paired
from samepoint.data.readers.video import VIDEO_SUFFIXES
from samepoint.data.recording import Dataset, Moment, Recording, Split, View
from samepoint.data.rig.camera import Calibration, Camera
from samepoint.data.store_files import default_cache
from samepoint.errors import DataError
from samepoint.reading import folders, matching
from samepoint.text import read_lines

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""By the word that a name begins with; the end, one of _ - . or a digit follows."""


def is_multi_camera(path: Path) -> bool:
    """Whether a folder is such a recording or holds some; also where only calibrations are missing, which
    `read_multi_camera` says."""
    if _is_recording(path) or any(_is_recording(below) for below in folders(path)):
        return True
    return _uncalibrated(path, ()) is not None


def read_multi_camera(
    path: Path, *, calibration: Calibration | None = None, cache_dir: Path | None = None
) -> Dataset:
    """The recordings at or below `path`. Frames of videos are extracted into `cache_dir` (default: the user's cache).

    `calibration` takes the place of the recordings' own, which may then be missing. Moments are frames of one name,
    or of one time (`pairing`). A camera may miss moments. The name of a folder below `path` says its
    split; a recording that is given itself has none. The notes say how frames were paired, and what is not used.
    DataError for a calibration without images, images or tables without calibration, images that do not have the
    calibrated size, and tables that name what there is not, or twice.
    """
    path, cache = Path(path), (cache_dir or default_cache().parent) / "videos"
    if _is_recording(path, calibration):
        return _noted(path, [_read(path, path.resolve().name, None, cache, calibration)])
    found = sorted(below for below in folders(path) if _is_recording(below, calibration))
    bare = _uncalibrated(path, found) if calibration is None else None
    if bare is not None:
        mend = (
            f"samepoint data calibrate BOARD_IMAGES --out {bare / CALIBRATION} makes one, samepoint data calibration"
            " converts one; if this is no recording, move it out of the data set"
        )
        raise DataError(f"has no {CALIBRATION}", where=bare, mend=mend)
    read = [_read(folder, folder.name, _split(folder.name), cache, calibration) for folder in found]
    return _noted(path, read)


def recording_folder(path: Path, recording: Recording) -> Path:
    """Where a recording of the data set `path` lies."""
    return path if _is_recording(path) else path / recording.name


def _is_recording(path: Path, calibration: Calibration | None = None) -> bool:
    if calibration is not None:
        videos = {video.stem for video in shown(path, VIDEO_SUFFIXES)}
        return any((path / camera).is_dir() or camera in videos for camera in calibration)
    return (path / CALIBRATION).is_file() or bool(matching(path / CALIBRATIONS, "*.toml"))


def _uncalibrated(path: Path, recordings: Sequence[Path]) -> Path | None:
    """The first folder that only lacks a calibration: below `path`, beside `recordings`, it holds one of the tables
    or images of two of their cameras; without any, a table with our columns, there or in `path` itself."""
    below = folders(path)
    if not recordings:
        return next((folder for folder in (path, *below) if _has_tables(folder)), None)
    cameras = {camera for recording in recordings for camera in Calibrations(recording).names}
    for folder in (p for p in below if p not in recordings):
        seen = [camera for camera in cameras if _is_shown(folder, camera)]
        if len(seen) > 1 or any((folder / table).is_file() for table in TABLES):
            return folder
    return None


def _has_tables(folder: Path) -> bool:
    """Whether a table has our columns: photos may have a labels.csv of another kind."""
    for table, columns in TABLES.items():
        if (folder / table).is_file() and set(columns) <= _words(folder / table):
            return True
    return False


def _words(table: Path) -> set[str]:
    """Of the first line, in small letters; none of a table that cannot be read: its reader says so."""
    try:
        return set(re.findall(r"\w+", next((line.lower() for line in read_lines(table) if line), "")))
    except DataError:
        return set()


def _is_shown(folder: Path, camera: str) -> bool:
    """Whether there are images or a video of a camera."""
    if (folder / camera).is_dir():
        return bool(shown(folder / camera, IMAGE_SUFFIXES))
    return any(video.stem == camera for video in shown(folder, VIDEO_SUFFIXES))


def _split(name: str) -> Split | None:
    word = re.match(rf"({'|'.join(SPLITS)})(?=[_.\d-]|$)", name)
    return SPLITS[word[1]] if word else None


def names_of(path: Path, *, cache_dir: Path | None = None) -> Names:
    """Cameras, frames and moments of one recording, whatever its tables hold. DataError if `path` is none."""
    if not path.is_dir() or not _is_recording(path):
        mend = "give the folder of one recording of several cameras (docs/multi-camera.md)"
        raise DataError(f"has no {CALIBRATION}", where=path, mend=mend)
    _, footage, together = _frames(path, None, (cache_dir or default_cache().parent) / "videos")
    return Names(footage, together)


def _frames(
    folder: Path, calibration: Calibration | None, cache: Path
) -> tuple[Calibrations, dict[str, Footage], Paired]:
    calibrations = Calibrations(folder, calibration)
    footage = footage_of(folder, calibrations.names, cache)
    _check_cameras(folder, footage)
    how = "number" if has_times(folder) else pairing_of(folder)
    return calibrations, footage, paired(footage, how)


def _read(
    folder: Path, name: str, split: Split | None, cache: Path, calibration: Calibration | None
) -> tuple[Recording, list[str], list[Path]]:
    """A recording, its notes, and the files that were read for it and that no view names."""
    calibrations, footage, together = _frames(folder, calibration, cache)
    names = Names(footage, together)
    said = read_annotations(folder, footage, names)
    made = tuple(
        _moment(name, frames, footage, together, calibrations.of(name), said.times.get(name, {}))
        for name, frames in together.moments.items()
    )
    made = tuple(
        replace(moment, clicks=said.clicks.get(name, {}), truth=said.truth.get(name, {}))
        for name, moment in zip(together.moments, made, strict=True)
    )
    recording = Recording(name, "rig", made, split, still=tuple(said.still))
    videos = [shot.source for shot in footage.values() if shot.video]
    return recording, [*together.notes, *said.notes], videos


def _moment(
    name: str,
    frames: Mapping[str, str],
    footage: Mapping[str, Footage],
    together: Paired,
    cameras: Calibration,
    written: Mapping[str, float],
) -> Moment:
    """`written`: times that a table gives the cameras; they count before those of the frames."""
    views = tuple(_view(cameras[camera], footage[camera].images[frame]) for camera, frame in frames.items())
    stamps = together.times if not written else {}
    times = written or {camera: stamps[camera][frame] for camera, frame in frames.items() if camera in stamps}
    time = sum(times.values()) / len(times) if times else None
    other = {camera: frame for camera, frame in frames.items() if frame != name}
    return Moment(views, time, name, name, times=times, frames=other)


def _noted(path: Path, read: Sequence[tuple[Recording, list[str], list[Path]]]) -> Dataset:
    several = len(read) > 1
    notes = [f"{r.name}: {note}" if several else note for r, lines, _ in read for note in lines]
    also = [file for _, _, files in read for file in files]
    reasons = {path: "no calibration names it"}
    return noted(Dataset(path, tuple(r for r, _, _ in read)), also=also, reasons=reasons, notes=notes)


def _check_cameras(folder: Path, footage: Mapping[str, Footage]) -> None:
    missing = [camera for camera, shot in footage.items() if not shot.images]
    if missing:
        what = f"camera {missing[0]} is calibrated but has no images"
        mend = f"add the folder {missing[0]}/ or {missing[0]}.mp4, or take it out of the calibration"
        raise DataError(what, where=folder, mend=mend)
    frames = {name for shot in footage.values() for name in shot.images}
    below = (p for p in folders(folder) if p.name not in footage and p.name != CALIBRATIONS)
    others = [p for p in below if any(image.stem in frames for image in shown(p, IMAGE_SUFFIXES))]
    others += [p for p in shown(folder, VIDEO_SUFFIXES) if p.stem not in footage]
    if others:
        mend = "calibrate this camera too, or move its images out of the recording"
        raise DataError("the calibration has no such camera", where=others[0], mend=mend)
    if len(footage) < 2:
        raise DataError("has one camera", where=folder, mend="S3K needs two or more calibrated cameras")


def _view(camera: Camera, image: Path) -> View:
    size = image_size(image)
    if size != camera.size:
        (h, w), (ch, cw) = size, camera.size
        mend = "calibrate at the size that is recorded, or scale size and matrix in the calibration"
        what = f"this image is {w}x{h}, camera {camera.name} is calibrated for {cw}x{ch}"
        raise DataError(what, where=image, mend=mend)
    return View(camera.name, image, camera.intrinsics, camera.world_from_camera, lens=camera.lens)
