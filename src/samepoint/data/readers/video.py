"""Frames of a video as image files: extracted once, written whole, sharp and different ones only."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from samepoint.data.cache import Hold, hold, make_room
from samepoint.data.file_kinds import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from samepoint.data.quality import QualityFilter, Selection, measure, select
from samepoint.data.readers.video_times import missing_at_the_end, read_header, timed_frames
from samepoint.data.recording import Dataset, Moment, Recording, View
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors, read_json, write_json
from samepoint.surroundings import cache_root

JPEG_QUALITY = 95
_holds: dict[Path, Hold] = {}
"""Of the folders of frames that this process uses."""


def read_video(path: Path, folder: Path, criteria: QualityFilter, max_frames: int) -> Dataset:
    """The kept frames of a video as a recording of mode "photos"; `time` is the container's, in seconds.

    At most `max_frames`, evenly chosen of those that pass `criteria`. They are kept as JPEG below `folder`. The notes
    say which frames were left out, and what is missing at the end.
    """
    key = f"{_identity(path)} {criteria} {max_frames}"
    target = _extracted(path, key, folder, lambda draft: _extract(path, draft, criteria, max_frames))
    index = read_json(target / "index.json")
    moments = tuple(
        Moment((View("cam0", target / name),), time=time)
        for name, time in zip(index["images"], index["times"], strict=True)
    )
    return Dataset(path, (Recording(path.stem, "photos", moments),), notes=tuple(index["notes"]))


@dataclass(frozen=True)
class VideoFrames:
    """Every frame of a video: its JPEG file and its time (the container's, seconds). `notes`: what is missing."""

    images: tuple[Path, ...]
    times: tuple[float, ...]
    notes: tuple[str, ...]


def all_frames(path: Path, folder: Path) -> VideoFrames:
    """Every frame of a video as a JPEG file, 000000.jpg and on, kept below `folder`."""
    target = _extracted(path, f"{_identity(path)} all", folder, lambda draft: _extract_all(path, draft))
    index = read_json(target / "index.json")
    images = tuple(target / name for name in index["images"])
    return VideoFrames(images, tuple(index["times"]), tuple(index["notes"]))


def _identity(path: Path) -> str:
    """What a file's frames are kept under. The number grows with what the index says."""
    status = path.stat()
    return f"2 {path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _extracted(video: Path, key: str, folder: Path, extract: Callable[[Path], None]) -> Path:
    """The folder below `folder` that `extract` filled for this key, now or before: whole, or not there.

    The files have the time of the video: frames that are extracted anew, after they were evicted, are the same data.
    """
    target = folder / hashlib.sha256(key.encode()).hexdigest()[:32]
    if (target / "index.json").exists() and _kept(target):
        return target
    with clear_disk_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder, prefix=".building-"))
        try:
            extract(draft)
            stamp = video.stat().st_mtime_ns
            for file in draft.iterdir():
                os.utime(file, ns=(stamp, stamp))
            if not target.exists():
                os.rename(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    _kept(target)
    if folder == cache_root() / "videos":
        make_room(0)
    return target


def _kept(target: Path) -> bool:
    """Whether the frames are whole, held until the process ends: data sets name their files."""
    if target not in _holds and (held := hold(target)) is not None:
        _holds[target] = held
    return (target / "index.json").exists()


def _extract_all(path: Path, draft: Path) -> None:
    names: list[str] = []
    times: list[float] = []
    for image, time in timed_frames(path):
        names.append(_write_frame(draft, len(names), image))
        times.append(time)
    _check_some(path, times)
    write_json(draft / "index.json", {"images": names, "times": times, "notes": _missing(path, times)})


def _check_some(path: Path, times: list[float]) -> None:
    if not times:
        raise DataError("no frame of this video can be decoded", where=path, mend="convert it to MP4 (H.264)")


def _missing(path: Path, times: list[float]) -> list[str]:
    missing = missing_at_the_end(path, read_header(path), times)
    return [] if missing is None else [missing]


def _write_frame(folder: Path, i: int, image: np.ndarray) -> str:
    _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    name = f"{i:06d}.jpg"
    (folder / name).write_bytes(content.tobytes())
    return name


def _extract(path: Path, draft: Path, criteria: QualityFilter, max_frames: int) -> None:
    measures, times = [], []
    for image, time in timed_frames(path):
        measures.append(measure(image))
        times.append(time)
    _check_some(path, times)
    selection = select(measures, criteria)
    chosen = list(selection.kept)
    if len(chosen) > max_frames:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, max_frames).round().astype(int)]
    wanted = set(chosen)
    for i, (image, _) in enumerate(timed_frames(path)):
        if i in wanted:
            _write_frame(draft, i, image)
    index = {
        "images": [f"{i:06d}.jpg" for i in chosen],
        "times": [times[i] for i in chosen],
        "notes": _missing(path, times) + _left_out(path, selection, len(chosen)),
    }
    write_json(draft / "index.json", index)


def _left_out(path: Path, selection: Selection, chosen: int) -> list[str]:
    kept = len(selection.kept)
    if chosen == kept and not selection.blurred and not selection.duplicates:
        return []
    return [f"{path.name}: {selection}" + (f", of these {chosen} evenly chosen" if chosen < kept else "")]
