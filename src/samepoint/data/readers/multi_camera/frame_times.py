"""When frames were taken, by a file beside the footage (a line a frame) or by the names of the images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from samepoint.errors import DataError
from samepoint.text import read_lines

PLACES = (
    "{camera}_timestamps", "{camera}_times", "{camera}-timestamps", "{camera}.timestamps", "timestamps_{camera}",
    "timestamps/{camera}", "times/{camera}", "{camera}/timestamps", "{camera}/times",
)  # fmt: skip
"""Where recorders put them, with one of SUFFIXES; and CAMERA.txt."""
SUFFIXES = (".csv", ".txt", ".tsv")
STAMP = re.compile(r"(?:.*?\D)?(\d{9,}(?:\.\d+)?|\d+\.\d+)")
"""An image name that ends in a time: nine digits and more, or decimals."""
UNITS = ((1e11, 1.0), (1e14, 1e-3), (1e17, 1e-6), (np.inf, 1e-9))
"""Seconds a unit of times since 1970, by what they are below."""
FASTEST, SLOWEST = 2e-4, 100.0
"""Seconds from frame to frame of a camera."""


def read_frame_times(
    folder: Path, camera: str, frames: Sequence[str]
) -> tuple[tuple[float, ...] | None, Path | None]:
    """The times of a camera's frames (seconds) and the file that says them; None without one.

    The file has a line a frame: a time, or the frame's name or number and its time; a first line of words and lines
    of # are passed over. Seconds, milliseconds, microseconds and nanoseconds are told apart by what a camera can do.
    DataError for a line that is none, and for more or fewer lines than frames.
    """
    places = [folder / (place.format(camera=camera) + suffix) for place in PLACES for suffix in SUFFIXES]
    file = next((place for place in (*places, folder / f"{camera}.txt") if place.is_file()), None)
    if file is None or not frames:
        return None, None
    rows = [(n, re.split(r"[,;\s]+", line)) for n, line in enumerate(read_lines(file), 1) if line]
    rows = [(n, [word for word in row if word]) for n, row in rows if not row[0].startswith("#")]
    if rows and _number(rows[0][1][-1]) is None:
        rows = rows[1:]
    stamps = _by_name(rows, frames)
    if stamps is None:
        if len(rows) != len(frames):
            mend = f"write one line a frame, or take {file.name} away"
            what = f"has {len(rows)} times for {len(frames)} frames of {camera}"
            raise DataError(what, where=file, mend=mend)
        stamps = [(n, row[-1] if len(row) < 3 else row[1]) for n, row in rows]
    values = []
    for n, word in stamps:
        value = _number(word)
        if value is None:
            what = f"{word!r} is not a time"
            raise DataError(what, where=f"{file}, line {n}", mend="write seconds, a line a frame")
        values.append(value)
    return _seconds(values), file


def times_in_names(names: Sequence[Sequence[str]]) -> list[tuple[float, ...]] | None:
    """Seconds by the names of the images of each camera, where all are times; None where they are not."""
    matches = [[STAMP.fullmatch(name) for name in of_camera] for of_camera in names]
    if any(match is None for of_camera in matches for match in of_camera):
        return None
    values = [[float(match[1]) for match in of_camera if match] for of_camera in matches]
    unit = _unit(max(values, key=len))
    return [tuple(value * unit for value in of_camera) for of_camera in values]


def _by_name(rows: Sequence[tuple[int, list[str]]], frames: Sequence[str]) -> list[tuple[int, str]] | None:
    """The words beside the frames' names; None unless each frame has one."""
    for name, time in ((0, 1), (1, 0)):
        named = {Path(row[name]).stem: (n, row[time]) for n, row in rows if len(row) > 1}
        if all(frame in named for frame in frames):
            return [named[frame] for frame in frames]
    return None


def _seconds(values: Sequence[float]) -> tuple[float, ...]:
    unit = _unit(values)
    return tuple(value * unit for value in values)


def _unit(values: Sequence[float]) -> float:
    """Seconds a unit: by the size of times since 1970, else by the step from frame to frame."""
    largest = max(map(abs, values), default=0.0)
    if largest >= 1e9:
        return next(unit for below, unit in UNITS if largest < below)
    steps = np.diff(np.asarray(values)) if len(values) > 1 else np.ones(1)
    step = float(np.median(np.abs(steps)))
    fitting = [unit for unit in (1.0, 1e-3, 1e-6, 1e-9) if FASTEST <= step * unit <= SLOWEST]
    likely = [unit for unit in fitting if step * unit <= 1.0]
    return next(iter(likely or fitting), 1.0)


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
