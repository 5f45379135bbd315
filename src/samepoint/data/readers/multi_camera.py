"""Recordings of several calibrated cameras (docs/multi-camera.md): a folder or a video a camera, Anipose's TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from samepoint.data.decode import IMAGE_SUFFIXES, image_size
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.video import VIDEO_SUFFIXES, all_frames
from samepoint.data.recording import Dataset, Moment, Recording, Split, View
from samepoint.data.rig.anipose import read_calibration
from samepoint.data.rig.camera import Calibration, Camera
from samepoint.data.rig.tables import LABELS, POINTS, STILL, TIMES, number, read_table
from samepoint.data.store_files import default_cache
from samepoint.errors import DataError
from samepoint.reading import entries, folders, matching
from samepoint.text import read_lines

CALIBRATION, CALIBRATIONS = "calibration.toml", "calibration"
TABLES = {"labels.csv": LABELS, "points.csv": POINTS, "times.csv": TIMES, "still.csv": STILL}
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""By the word that a name begins with; the end, one of _ - . or a digit follows."""
T = TypeVar("T")


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

    `calibration` takes the place of the recordings' own, which may then be missing. Moments are in the order
    of their names, numbers in these as numbers. A camera may miss moments. The name of a folder below `path` says its
    split; a recording that is given itself has none. DataError for a calibration without images, images or tables
    without calibration, images that do not have the calibrated size, and tables that name what there is not, or
    twice.
    """
    path, cache = Path(path), (cache_dir or default_cache().parent) / "videos"
    if _is_recording(path, calibration):
        return Dataset(path, (_recording(path, path.resolve().name, None, cache, calibration),))
    found = sorted(below for below in folders(path) if _is_recording(below, calibration))
    bare = _uncalibrated(path, found) if calibration is None else None
    if bare is not None:
        mend = (
            f"samepoint data calibrate BOARD_IMAGES --out {bare / CALIBRATION} makes one, samepoint data calibration"
            " converts one; if this is no recording, move it out of the data set"
        )
        raise DataError(f"has no {CALIBRATION}", where=bare, mend=mend)
    made = (_recording(folder, folder.name, _split(folder.name), cache, calibration) for folder in found)
    return Dataset(path, tuple(made))


def recording_folder(path: Path, recording: Recording) -> Path:
    """Where a recording of the data set `path` lies."""
    return path if _is_recording(path) else path / recording.name


def _is_recording(path: Path, calibration: Calibration | None = None) -> bool:
    if calibration is not None:
        videos = {video.stem for video in _shown(path, VIDEO_SUFFIXES)}
        return any((path / camera).is_dir() or camera in videos for camera in calibration)
    return (path / CALIBRATION).is_file() or bool(matching(path / CALIBRATIONS, "*.toml"))


def _uncalibrated(path: Path, recordings: Sequence[Path]) -> Path | None:
    """The first folder that only lacks a calibration: below `path`, beside `recordings`, it holds one of the tables
    or images of two of their cameras; without any, a table with our columns, there or in `path` itself."""
    below = folders(path)
    if not recordings:
        return next((folder for folder in (path, *below) if _has_tables(folder)), None)
    cameras = {camera for recording in recordings for camera in _Calibrations(recording).names}
    for folder in (p for p in below if p not in recordings):
        shown = [camera for camera in cameras if _is_shown(folder, camera)]
        if len(shown) > 1 or any((folder / table).is_file() for table in TABLES):
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
        return bool(_shown(folder / camera, IMAGE_SUFFIXES))
    return any(video.stem == camera for video in _shown(folder, VIDEO_SUFFIXES))


def _split(name: str) -> Split | None:
    word = re.match(rf"({'|'.join(SPLITS)})(?=[_.\d-]|$)", name)
    return SPLITS[word[1]] if word else None


def _recording(
    folder: Path, name: str, split: Split | None, cache: Path, calibration: Calibration | None
) -> Recording:
    tables = _Tables.read(folder)
    calibrations = _Calibrations(folder, calibration)
    images = {camera: _images(folder, camera, cache) for camera in calibrations.names}
    _check_cameras(folder, images)
    moments = sorted({moment for files in images.values() for moment in files}, key=natural_key)
    tables.check(folder, images, moments)
    made = tuple(
        Moment(
            tuple(
                _view(calibrations.of(moment)[camera], files[moment], folder)
                for camera, files in images.items()
                if moment in files
            ),
            tables.time(moment),
            moment,
            moment,
            tables.clicks.get(moment, {}),
            tables.truth.get(moment, {}),
            tables.times.get(moment, {}),
        )
        for moment in moments
    )
    still = tuple(tables.range_of(entry, moments) for entry in tables.still)
    return Recording(name, "rig", made, split, still=still)


class _Calibrations:
    """One calibration for all moments (`given`, or the folder's), or one each."""

    def __init__(self, folder: Path, given: Calibration | None = None) -> None:
        self.folder, self.fixed, self._read = folder, given, {}
        if given is None and (folder / CALIBRATION).is_file():
            self.fixed = read_calibration(folder / CALIBRATION)
        first = next(iter(matching(folder / CALIBRATIONS, "*.toml")), None)
        if given is None and self.fixed is not None and first is not None:
            mend = f"remove one of them: {CALIBRATION} is for cameras that stand still"
            raise DataError(f"has both {CALIBRATION} and {CALIBRATIONS}/", where=folder, mend=mend)
        self.names = tuple(self.fixed or (self.of(first.stem) if first else {}))

    def of(self, moment: str) -> Calibration:
        if self.fixed is not None:
            return self.fixed
        if moment not in self._read:
            path = self.folder / CALIBRATIONS / f"{moment}.toml"
            if not path.is_file():
                mend = f"give {path.name}, or one {CALIBRATION} for all moments"
                raise DataError(f"moment {moment} has no calibration", where=path.parent, mend=mend)
            self._read[moment] = read_calibration(path)
            wanted = getattr(self, "names", tuple(self._read[moment]))
            if missing := [name for name in wanted if name not in self._read[moment]]:
                mend = "every moment's calibration has the same cameras"
                raise DataError(f"camera {missing[0]} is missing", where=path, mend=mend)
        return self._read[moment]


def _images(folder: Path, camera: str, cache: Path) -> dict[str, Path]:
    """Images of a camera by moment."""
    if (folder / camera).is_dir():
        files = _shown(folder / camera, IMAGE_SUFFIXES)
        found = {path.stem: path for path in files}
        if len(found) < len(files):
            double = next(p for p in files if found[p.stem] != p)
            mend = "keep one of them"
            raise DataError(f"two images are named {double.stem}", where=double.parent, mend=mend)
        return found
    videos = [p for p in _shown(folder, VIDEO_SUFFIXES) if p.stem == camera]
    if len(videos) > 1:
        raise DataError(f"camera {camera} has {len(videos)} videos", where=folder, mend="keep one of them")
    return {path.stem: path for path in all_frames(videos[0], cache).images} if videos else {}


def _shown(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """The files of a folder by suffix, without those that file systems hide."""
    return [path for path in entries(folder) if path.suffix.lower() in suffixes]


def _check_cameras(folder: Path, images: Mapping[str, Mapping[str, Path]]) -> None:
    missing = [camera for camera, files in images.items() if not files]
    if missing:
        what = f"camera {missing[0]} is calibrated but has no images"
        mend = f"add the folder {missing[0]}/ or {missing[0]}.mp4, or take it out of the calibration"
        raise DataError(what, where=folder, mend=mend)
    moments = {moment for files in images.values() for moment in files}
    below = (p for p in folders(folder) if p.name not in images and p.name != CALIBRATIONS)
    others = [p for p in below if any(image.stem in moments for image in _shown(p, IMAGE_SUFFIXES))]
    others += [p for p in _shown(folder, VIDEO_SUFFIXES) if p.stem not in images]
    if others:
        mend = "calibrate this camera too, or move its images out of the recording"
        raise DataError("the calibration has no such camera", where=others[0], mend=mend)
    if len(images) < 2:
        raise DataError("has one camera", where=folder, mend="S3K needs two or more calibrated cameras")


def _view(camera: Camera, image: Path, folder: Path) -> View:
    size = image_size(image)
    if size != camera.size:
        (h, w), (ch, cw) = size, camera.size
        mend = "calibrate at the size that is recorded, or scale size and matrix in the calibration"
        what = f"this image is {w}x{h}, camera {camera.name} is calibrated for {cw}x{ch}"
        raise DataError(what, where=image, mend=mend)
    return View(camera.name, image, camera.intrinsics, camera.world_from_camera, lens=camera.lens)


@dataclass(frozen=True)
class _Tables:
    """What the CSV files say, with the places to name in errors."""

    clicks: dict[str, dict[str, dict[str, tuple[float, float]]]]
    truth: dict[str, dict[str, torch.Tensor]]
    times: dict[str, dict[str, float]]
    still: tuple[tuple[str, str, str], ...]
    places: dict[tuple[str, str], str]

    @staticmethod
    def read(folder: Path) -> _Tables:
        clicks: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
        truth: dict[str, dict[str, torch.Tensor]] = {}
        times: dict[str, dict[str, float]] = {}
        places: dict[tuple[str, str], str] = {}
        for where, row in _rows(folder / "labels.csv", LABELS):
            of_camera = clicks.setdefault(row["moment"], {}).setdefault(row["camera"], {})
            uv = number(row["u"], "u", where), number(row["v"], "v", where)
            _add(of_camera, row["keypoint"], uv, where)
            places.setdefault((row["moment"], row["camera"]), where)
        for where, row in _rows(folder / "points.csv", POINTS):
            xyz = torch.tensor([number(row[axis], axis, where) for axis in "xyz"], dtype=torch.float32)
            _add(truth.setdefault(row["moment"], {}), row["keypoint"], xyz, where)
            places.setdefault((row["moment"], ""), where)
        for where, row in _rows(folder / "times.csv", TIMES):
            time = number(row["time"], "time", where)
            _add(times.setdefault(row["moment"], {}), row["camera"], time, where)
            places.setdefault((row["moment"], row["camera"]), where)
        still = tuple((where, row["first"], row["last"]) for where, row in _rows(folder / "still.csv", STILL))
        return _Tables(clicks, truth, times, still, places)

    def time(self, moment: str) -> float | None:
        known = self.times.get(moment, {}).values()
        return sum(known) / len(known) if known else None

    def check(self, folder: Path, images: Mapping[str, Mapping[str, Path]], moments: list[str]) -> None:
        """DataError where a table names a camera or a moment that there is not."""
        known = set(moments)
        for (moment, camera), where in self.places.items():
            if camera and camera not in images:
                listed = ", ".join(images)
                raise DataError(f"there is no camera {camera!r}", where=where, mend=f"known are: {listed}")
            if moment not in known:
                mend = f"moments are named like the images, such as {moments[0]}"
                raise DataError(f"there is no moment {moment!r}", where=where, mend=mend)
            if camera and moment not in images[camera]:
                mend = f"restore {camera}/{moment}, or remove the line"
                raise DataError(f"camera {camera} has no image of {moment}", where=where, mend=mend)

    @staticmethod
    def range_of(entry: tuple[str, str, str], moments: list[str]) -> tuple[int, int]:
        where, first, last = entry
        for name in (first, last):
            if name not in moments:
                mend = f"moments are named like the images, such as {moments[0]}"
                raise DataError(f"there is no moment {name!r}", where=where, mend=mend)
        if moments.index(first) > moments.index(last):
            raise DataError(f"{first} comes after {last}", where=where, mend="write the earlier one first")
        return moments.index(first), moments.index(last)


def _add(into: dict[str, T], name: str, value: T, where: str) -> None:
    if name in into:
        raise DataError(f"{name} is there twice", where=where, mend="keep one of the two lines")
    into[name] = value


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    return read_table(path, columns) if path.is_file() else []
