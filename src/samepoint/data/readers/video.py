"""Frames of a video as image files: extracted once, written whole, sharp and different ones only."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from samepoint.data.file_kinds import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from samepoint.data.quality import QualityFilter, measure, select
from samepoint.data.recording import Moment, Recording, View
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors, read_json, write_json

JPEG_QUALITY = 95
log = logging.getLogger(__name__)


def read_video(path: Path, folder: Path, criteria: QualityFilter, max_frames: int) -> Recording:
    """The kept frames of a video as a recording of mode "photos"; `time` is in seconds from the start.

    At most `max_frames`, evenly chosen of those that pass `criteria`. They are kept as JPEG below `folder`.
    """
    status = path.stat()
    key = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {criteria} {max_frames}"
    target = _extracted(key, folder, lambda draft: _extract(path, draft, criteria, max_frames))
    index = read_json(target / "index.json")
    log.info("%s: %s", path, index["selection"])
    moments = tuple(
        Moment((View("cam0", target / name),), time=time)
        for name, time in zip(index["images"], index["times"])
    )
    return Recording(path.stem, "photos", moments)


def all_frames(path: Path, folder: Path) -> list[Path]:
    """Every frame of a video as a JPEG file, 000000.jpg and on, kept below `folder`."""
    status = path.stat()
    key = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} all"
    target = _extracted(key, folder, lambda draft: _extract_all(path, draft))
    return [target / name for name in read_json(target / "index.json")["images"]]


def _extracted(key: str, folder: Path, extract: Callable[[Path], None]) -> Path:
    """The folder below `folder` that `extract` filled for this key, now or before: whole, or not there."""
    target = folder / hashlib.sha256(key.encode()).hexdigest()[:32]
    if (target / "index.json").exists():
        return target
    with clear_disk_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder, prefix=".building-"))
        try:
            extract(draft)
            if not target.exists():
                os.rename(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return target


def _extract_all(path: Path, draft: Path) -> None:
    names = [_write_frame(draft, i, image) for i, (image, _) in enumerate(_frames(path))]
    if not names:
        raise DataError("no frame of this video can be decoded", where=path, mend="convert it to MP4 (H.264)")
    write_json(draft / "index.json", {"images": names})


def _write_frame(folder: Path, i: int, image: np.ndarray) -> str:
    _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    name = f"{i:06d}.jpg"
    (folder / name).write_bytes(content.tobytes())
    return name


def _extract(path: Path, draft: Path, criteria: QualityFilter, max_frames: int) -> None:
    measures, times = [], []
    for image, time in _frames(path):
        measures.append(measure(image))
        times.append(time)
    if not measures:
        raise DataError("no frame of this video can be decoded", where=path, mend="convert it to MP4 (H.264)")
    selection = select(measures, criteria)
    chosen = list(selection.kept)
    if len(chosen) > max_frames:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, max_frames).round().astype(int)]
    wanted = set(chosen)
    for i, (image, _) in enumerate(_frames(path)):
        if i in wanted:
            _write_frame(draft, i, image)
    text = str(selection) + (
        f", of these {len(chosen)} evenly chosen" if len(chosen) < len(selection.kept) else ""
    )
    index = {
        "images": [f"{i:06d}.jpg" for i in chosen],
        "times": [times[i] for i in chosen],
        "selection": text,
    }
    write_json(draft / "index.json", index)


def _frames(path: Path) -> Iterator[tuple[np.ndarray, float]]:
    """RGB frames, turned as the file says, with their time in seconds."""
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            mend = "check that it plays, or convert it to MP4 (H.264)"
            raise DataError(
                "this video cannot be opened (damaged, truncated or of an unknown codec)",
                where=path,
                mend=mend,
            )
        rate = capture.get(cv2.CAP_PROP_FPS)
        number = 0
        while True:
            found, image = capture.read()
            if not found:
                return
            yield np.ascontiguousarray(image[..., ::-1]), number / rate if rate > 0 else float(number)
            number += 1
    finally:
        capture.release()
