"""Which depth image, pose or mask belongs to which colour image, where their names differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from samepoint.data.readers.name_roles import key_of
from samepoint.errors import DataError


@dataclass(frozen=True)
class Matched:
    """`of`: by image, its file. `how`: "name", "number" or "time". `left`: files of no image."""

    of: dict[Path, Path]
    how: str
    left: tuple[Path, ...]


def matched(images: Sequence[Path], files: Sequence[Path], what: str) -> Matched:
    """Pairs of images and files of `what` (depth, pose, mask).

    By name, then by what is left of the names without words such as "color" and "depth", then by the only number
    that differs between the names of each side, then by time: stamps with decimals or of ten digits, each the other's
    nearest and nearer than half the usual step. By number and by time only where one side finds all its partners.
    DataError, which says what was found on each side, where nothing fits, or in two ways.
    """
    if not files or not images:
        return Matched({}, "name", tuple(files))
    for how, key in (("name", _stem), ("name", key_of), ("number", _number_of)):
        sides = _keyed(images, key), _keyed(files, key)
        if sides[0] is None or sides[1] is None:
            continue
        of = {image: sides[1][k] for k, image in sides[0].items() if k in sides[1]}
        if of and (how == "name" or len(of) == min(len(images), len(files))):
            return _result(of, how, files)
    of = _by_time(images, files)
    if of:
        return _result(of, "time", files)
    found = f"{_shown(images)} and {_shown(files)}"
    mend = f"give the {what} the name of its image"
    raise DataError(
        f"no {what} file has the name of an image: found {found}", where=files[0].parent, mend=mend
    )


def _result(of: dict[Path, Path], how: str, files: Sequence[Path]) -> Matched:
    used = set(of.values())
    return Matched(of, how, tuple(path for path in files if path not in used))


def _shown(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:2])
    return f"{paths[0].parent.name}/ with {len(paths)} ({names}{', ...' * (len(paths) > 2)})"


def _keyed(paths: Sequence[Path], key: Callable[[Path], str | None]) -> dict[str, Path] | None:
    """The files by key; None if one has none or two share one."""
    keys = [key(path) for path in paths]
    if None in keys or max(Counter(keys).values()) > 1:
        return None
    return {str(k): path for k, path in zip(keys, paths)}


def _stem(path: Path) -> str:
    return path.stem


def _number_of(path: Path) -> str | None:
    """The last whole number of the name, without leading zeros; None for stamps, whose decimals are no number."""
    if _seconds(path) is not None:
        return None
    numbers = re.findall(r"\d+", key_of(path))
    return str(int(numbers[-1])) if numbers else None


def _seconds(path: Path) -> float | None:
    """The time in a name, in its own unit: a decimal number, or a whole one of ten digits and more."""
    found = re.findall(r"\d+\.\d+|\d{10,}", path.stem)
    return float(found[0]) if len(found) == 1 else None


def _by_time(images: Sequence[Path], files: Sequence[Path]) -> dict[Path, Path]:
    """Mutual nearest in time; empty unless all of the smaller side have partners, nearer than half a usual step."""
    sides = _stamped(images), _stamped(files)
    if len(sides[0]) < len(images) or len(sides[1]) < len(files) or min(map(len, sides)) < 2:
        return {}
    steps = [sorted(b[0] - a[0] for a, b in pairwise(side)) for side in map(sorted, sides)]
    reach = min(side[len(side) // 2] for side in steps) / 2
    of: dict[Path, Path] = {}
    for time, image in sides[0]:
        there = min(sides[1], key=lambda entry: abs(entry[0] - time))
        back = min(sides[0], key=lambda entry: abs(entry[0] - there[0]))
        if back[1] == image and abs(there[0] - time) < reach:
            of[image] = there[1]
    return of if len(of) == min(len(images), len(files)) else {}


def _stamped(paths: Sequence[Path]) -> list[tuple[float, Path]]:
    times = ((_seconds(path), path) for path in paths)
    return [(time, path) for time, path in times if time is not None]
