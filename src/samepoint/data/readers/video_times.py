"""Decoded frames of a video with the times that its container gives them, and what the file promises beyond these."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from samepoint.errors import DataError
from samepoint.reading import explain_unreadable

FROM_ZERO = frozenset({".mkv", ".webm"})
"""Containers whose length counts from time 0, not from the first frame."""
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
"""By the degrees that a file gives, clockwise."""
LATE = 1.5
"""Frames that may seem to be missing at the end: lengths are rounded."""


@dataclass(frozen=True)
class Header:
    """What a file says of its video: frames a second, their number (some containers: estimated), and the seconds at
    which its stream starts. 0 where it does not say."""

    rate: float
    count: int
    start: float


def read_header(path: Path) -> Header:
    """DataError for a file that cannot be opened as a video."""
    capture = _opened(path)
    try:
        rate = max(capture.get(cv2.CAP_PROP_FPS), 0.0)
        return Header(rate, max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0), _start(path, rate))
    finally:
        capture.release()


def timed_frames(path: Path) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], float]]:
    """RGB frames, turned as the file says (phones), with their time in seconds.

    Times are the presentation times of the container: they need not start at 0 nor be evenly spaced. A container
    without times gives number / rate.
    """
    header, capture = read_header(path), _opened(path)
    try:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # whether that is the default depends on the build
        turn = TURNS.get(round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360)
        last, number = -np.inf, 0
        while True:
            found, image = capture.read()
            if not found:
                return
            time = header.start + capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if time <= last:  # no time of its own
                time = last + 1 / header.rate if header.rate > 0 else last + 1.0
            upright = image if turn is None else cv2.rotate(image, turn)
            yield np.ascontiguousarray(upright[..., ::-1]), time
            last, number = time, number + 1
    finally:
        capture.release()


def missing_at_the_end(path: Path, header: Header, times: Sequence[float]) -> str | None:
    """A line if the file promises more than could be decoded (`times`): it was cut off, or its end is damaged."""
    if len(times) < 2 or header.rate <= 0 or len(times) >= header.count:
        return None
    promised = header.count / header.rate + (0.0 if path.suffix.lower() in FROM_ZERO else header.start)
    usual = float(np.median(np.diff(times)))
    lost = promised - times[-1] - usual
    if lost <= LATE * usual:
        return None
    frames = f"{len(times)} of about {header.count} frames can be decoded"
    until = f"until {times[-1]:.2f} s of {promised:.2f} s"
    return f"{path.name}: {frames}, {until}: the file is cut off or its end is damaged; copy it again"


def _opened(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        capture.release()
        what = "this video cannot be opened (damaged, truncated or of an unknown codec)"
        mend = "check that it plays, or convert it to MP4 (H.264)"
        raise explain_unreadable(path) or DataError(what, where=path, mend=mend)
    return capture


def _start(path: Path, rate: float) -> float:
    """Seconds at which the stream starts: OpenCV counts from there. Exact with PyAV (the extra "formats"); without
    it to the nearest frame."""
    try:
        av = importlib.import_module("av")
    except ImportError:
        return _rounded_start(path, rate)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return float((stream.start_time or 0) * (stream.time_base or 0))
    except (av.FFmpegError, OSError, IndexError):
        return 0.0


def _rounded_start(path: Path, rate: float) -> float:
    stamp = getattr(cv2, "CAP_PROP_PTS", None)
    capture = _opened(path)
    try:
        if stamp is None or rate <= 0 or not capture.grab():
            return 0.0
        start = capture.get(stamp) / rate - capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return start if abs(start) > 0.5 / rate else 0.0
    finally:
        capture.release()
