"""Frames of a LeRobot video at given times, through PyAV: AV1, H.264, HEVC and what else its FFmpeg decodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samepoint.data.readers.extra_packages import package
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable

SEEK = 1.0
"""Seconds that are decoded rather than leapt over. A leap may cost a whole group of pictures."""


def frames_at(path: Path, times: Sequence[float], spacing: float) -> Iterator[Any]:
    """The frame (av.VideoFrame) nearest to each time; `times` ascend, in seconds, `spacing` is that of the frames.

    DataError for a video that is missing, damaged or truncated, or has no frame within half the spacing of a time.
    """
    av = package("av", "reading videos of LeRobot data sets")
    if not path.is_file():
        raise DataError("this video does not exist", where=path, mend="download or copy the whole data set")
    position = -np.inf
    frames: Iterator[Any] = iter(())
    try:
        with av.open(str(path)) as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise DataError("has no video of a known codec", where=path, mend="convert it to H.264")
            for time in times:
                if time - position > SEEK:
                    frame, frames = _sought(container, time, spacing / 2)
                else:
                    frame = _first_from(frames, time - spacing / 2)
                if frame is None or frame.time > time + spacing / 2:
                    what = f"has no frame at {time:.3f} s: truncated, or not the video of this episode"
                    raise DataError(what, where=path, mend="copy it again")
                yield frame
                position = time
    except (av.FFmpegError, OSError) as error:
        what = f"cannot be decoded: damaged or truncated ({error})"
        raise explain_unreadable(path) or DataError(what, where=path, mend="copy it again") from error


def colour(frame: Any) -> np.ndarray:
    """uint8 RGB `h w 3`."""
    return frame.to_ndarray(format="rgb24")


def codes(frame: Any, path: Path) -> np.ndarray:
    """The 12-bit numbers of a depth frame, uint16 `h w`: its first plane, not through a colour conversion."""
    if frame.format.components[0].bits != 12 or not frame.format.name.endswith("le"):
        what = f"is not a depth video of LeRobot: 12 bits a pixel, found {frame.format.name}"
        raise DataError(what, where=path, mend="remove depth_key from samepoint_cameras.json")
    rows = np.frombuffer(frame.planes[0], dtype="<u2").reshape(frame.height, -1)
    return rows[:, : frame.width].astype(np.uint16)


def _sought(container: Any, time: float, tolerance: float) -> tuple[Any, Iterator[Any]]:
    """The first frame from `time - tolerance` on, and those behind it.

    A seek goes by decoding times and may land behind the frame (reordered frames, open groups of pictures): then
    ever farther back.
    """
    stream = container.streams.video[0]
    back = 0.0
    while True:
        start = max(time - tolerance - back, 0.0)
        container.seek(int(start / stream.time_base), stream=stream)
        frames = container.decode(stream)
        frame = _first_from(frames, time - tolerance)
        if start == 0.0 or (frame is not None and frame.time <= time + tolerance):
            return frame, frames
        back = 2 * back + SEEK


def _first_from(frames: Iterator[Any], time: float) -> Any:
    return next((frame for frame in frames if frame.time is not None and frame.time > time), None)
