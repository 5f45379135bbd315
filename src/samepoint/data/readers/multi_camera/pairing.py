"""Which frames of several cameras are one moment: those of one name, or those of one time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from samepoint.data.natural_order import natural_key
from samepoint.data.readers.multi_camera.calibrations import PAIR_BY, Pairing
from samepoint.data.readers.multi_camera.footage import Footage
from samepoint.errors import DataError

APART = 0.45
"""Share of the time from frame to frame that frames of one moment may be apart."""
NEW = 0.75
"""Share of it by which a frame is away from all moments that it begins a moment of its own."""
ALIKE = 0.01
"""Share by which rates may differ that are called the same."""


@dataclass(frozen=True)
class Paired:
    """Moments by name, in order: the name of each camera's frame. `times`: seconds of the frames by camera and frame,
    where they are known. `notes`: how, and what is left out."""

    moments: Mapping[str, Mapping[str, str]]
    times: Mapping[str, Mapping[str, float]]
    by_time: bool
    notes: tuple[str, ...] = ()

    def moment_of(self, camera: str) -> dict[str, str]:
        """The moment of each frame of a camera that is used."""
        return {frames[camera]: name for name, frames in self.moments.items() if camera in frames}


def paired(footage: Mapping[str, Footage], how: Pairing = "auto") -> Paired:
    """Frames of one name are one moment unless the times of all cameras say otherwise; then frames of one time are,
    of each camera that which is nearest, at most half the slowest camera's step away.

    By time, moments are named by their number, or like the images of the slowest camera where names are times.
    DataError where time is wanted (`how`) and not known.
    """
    timed = all(shot.times is not None for shot in footage.values())
    if how == "time" and not timed:
        bare = next(shot.name for shot in footage.values() if shot.times is None)
        mend = f"give {bare.rstrip('/')}_timestamps.csv, or take {PAIR_BY} out of the calibration"
        raise DataError(f"{PAIR_BY} is 'time', and nothing says the times of {bare}", mend=mend)
    known = timed and how != "number"
    if known and (how == "time" or not _one_clock(footage)):
        return _by_time(footage)
    return _by_name(footage, timed=known)


def _one_clock(footage: Mapping[str, Footage]) -> bool:
    """Whether frames of one name are of one time, where two cameras have them."""
    stamps: dict[str, list[float]] = {}
    for shot in footage.values():
        for name, time in zip(shot.images, shot.times or ()):
            stamps.setdefault(name, []).append(time)
    shared = [max(times) - min(times) for times in stamps.values() if len(times) > 1]
    step = max(map(_step, footage.values()))
    return bool(shared) and max(shared) <= APART * step


def _step(shot: Footage) -> float:
    """The usual time from frame to frame; 0 of a single frame."""
    times = np.sort(np.asarray(shot.times or ()))
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _by_name(footage: Mapping[str, Footage], timed: bool) -> Paired:
    names = sorted({name for shot in footage.values() for name in shot.images}, key=natural_key)
    moments = {
        name: {camera: name for camera, shot in footage.items() if name in shot.images} for name in names
    }
    times = {camera: dict(zip(shot.images, shot.times or ())) for camera, shot in footage.items()}
    return Paired(moments, times if timed else {}, False, tuple(_ends(footage, moments)))


def _by_time(footage: Mapping[str, Footage]) -> Paired:
    slowest = sorted(footage.values(), key=_step, reverse=True)
    step = _step(slowest[0])
    founders: list[tuple[float, str]] = []
    for shot in slowest:
        _found(founders, shot, NEW * step)
    grid = np.array([time for time, _ in founders])
    numbered = any(shot.video for shot in slowest) or len({name for _, name in founders}) < len(founders)
    names = [f"{k:06d}" if numbered else name for k, (_, name) in enumerate(founders)]
    moments: dict[str, dict[str, str]] = {name: {} for name in names}
    for camera, shot in footage.items():
        for k, frame in _nearest(shot, grid, step / 2).items():
            moments[names[k]][camera] = frame
    times = {camera: dict(zip(shot.images, shot.times or ())) for camera, shot in footage.items()}
    notes = (_how(footage, moments), *_ends(footage, moments))
    return Paired(moments, times, True, notes)


def _found(founders: list[tuple[float, str]], shot: Footage, away: float) -> None:
    """Adds the frames of a camera that are away from all moments there are."""
    for name, time in zip(shot.images, shot.times or ()):
        k = bisect_left(founders, (time, ""))
        near = founders[max(k - 1, 0) : k + 1]
        if all(abs(time - other) >= away for other, _ in near):
            founders.insert(k, (time, name))


def _nearest(shot: Footage, grid: np.ndarray, most: float) -> dict[int, str]:
    """The frame that is nearest to each moment, by the moment's place; each frame belongs to one moment."""
    best: dict[int, tuple[float, str]] = {}
    for name, time in zip(shot.images, shot.times or ()):
        k = int(np.abs(grid - time).argmin())
        apart = abs(float(grid[k]) - time)
        if apart <= most + 1e-9 and (k not in best or apart < best[k][0]):
            best[k] = apart, name
    return {k: name for k, (_, name) in best.items()}


def _how(footage: Mapping[str, Footage], moments: Mapping[str, Mapping[str, str]]) -> str:
    """That frames are paired by time, why, and how many are not used."""
    clocks = " and ".join(dict.fromkeys(shot.clock for shot in footage.values()))
    line = f"frames are paired by their times ({clocks}), not by their numbers: {rates_line(footage)}"
    first = {shot.name: min(shot.times or (0.0,)) for shot in footage.values()}
    start = min(first.values())
    step = max(map(_step, footage.values()))
    line += "".join(
        f"; {name} starts {time - start:.3g} s later"
        for name, time in first.items()
        if time - start > APART * step
    )
    used = {camera: sum(camera in frames for frames in moments.values()) for camera in footage}
    left = [
        f"{len(shot.images) - used[camera]} of the {len(shot.images)} frames of {shot.name}"
        for camera, shot in footage.items()
        if used[camera] < len(shot.images)
    ]
    return line + (f"; not used are {', '.join(left)}" if left else "")


def rates_line(footage: Mapping[str, Footage]) -> str:
    """How many frames a second each camera has, cameras of one rate together."""
    groups: list[tuple[float, list[str]]] = []
    for shot in footage.values():
        rate = 1 / _step(shot) if _step(shot) > 0 else 0.0
        mine = next((names for other, names in groups if abs(rate - other) <= ALIKE * other), None)
        if mine is None:
            groups.append((rate, [shot.name]))
        else:
            mine.append(shot.name)
    return ", ".join(f"{' and '.join(names)} {rate:.4g} frames a second" for rate, names in groups)


def _ends(footage: Mapping[str, Footage], moments: Mapping[str, Mapping[str, str]]) -> Sequence[str]:
    """A line for each video that is cut off or that does not show all moments."""
    lines = []
    for camera, shot in footage.items():
        missing = sum(camera not in frames for frames in moments.values())
        if shot.broken:
            lines.append(shot.broken)
        if missing and shot.video:
            lines.append(f"{shot.name} has no frame of {missing} of {len(moments)} moments")
    return lines
