"""The lists of a TUM RGB-D sequence: what was measured when, and which entries of two lists belong together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from samepoint.data.readers.pose_times import nearest
from samepoint.errors import DataError
from samepoint.text import read_lines, read_text

WITHIN = 0.02
"""Seconds between two entries that belong together (what TUM's own tool takes)."""


COLOUR, DEPTH, POSES = "rgb.txt", "depth.txt", "groundtruth.txt"
ASSOCIATED = ("associations.txt", "association.txt", "associate.txt", "associated.txt")
ICL_POSES = "*.gt.freiburg"


@dataclass(frozen=True)
class TumList:
    """File names, relative to the sequence, and their times in order (seconds)."""

    where: Path
    times: Float64[np.ndarray, " n"]
    names: list[str]


@dataclass(frozen=True)
class TumLists:
    """`head` is the start of the first list. `counted`: the times only number the frames. `paired`: entry i of both
    lists belong together, whatever their times."""

    colour: TumList
    depth: TumList | None
    head: str
    counted: bool = False
    paired: bool = False


def is_tum(root: Path) -> bool:
    """Whether a folder has a list of colour images beside one of depth images or poses, or a list of both."""
    beside = any((root / name).is_file() for name in (DEPTH, POSES))
    return ((root / COLOUR).is_file() and beside) or _associated(root) is not None


def poses_file(root: Path) -> Path | None:
    """groundtruth.txt, or the one that ICL-NUIM publishes."""
    others = sorted(root.glob(ICL_POSES))
    return next((path for path in (root / POSES, *others) if path.exists()), None)


def read_lists(root: Path) -> TumLists:
    """The lists of colour and depth images: rgb.txt and depth.txt, else associations.txt."""
    path = root / COLOUR
    if path.is_file():
        depth = _names(root / DEPTH) if (root / DEPTH).exists() else None
        return TumLists(_names(path), depth, _head(path))
    path = _associated(root)
    if path is None:
        mend = f"give the folder of one sequence (or one with {ASSOCIATED[0]})"
        raise DataError(f"has no {COLOUR}", where=root, mend=mend)
    times, fields = read_list(path, 4)
    others = floats([f[1] for f in fields], str(path))
    first_is_depth = ["depth" in f[0].lower() for f in fields]
    if first_is_depth != ["depth" not in f[2].lower() for f in fields] or len(set(first_is_depth)) > 1:
        mend = "name the folder of the depth images depth/: time rgb/NAME time depth/NAME"
        raise DataError("does not tell colour from depth", where=path, mend=mend)
    first, second = (times, [f[0] for f in fields]), (others, [f[2] for f in fields])
    colour, depth = (second, first) if first_is_depth[0] else (first, second)
    order = np.argsort(colour[0], kind="stable")
    lists = [TumList(path, t[order], [names[i] for i in order]) for t, names in (colour, depth)]
    counted = np.array_equal(lists[0].times, np.arange(len(times)) + lists[0].times[0])
    return TumLists(
        lists[0], lists[1], _head(path), counted=bool(counted and lists[0].times[0] < 2), paired=True
    )


def _associated(root: Path) -> Path | None:
    return next((root / name for name in ASSOCIATED if (root / name).is_file()), None)


def _names(path: Path) -> TumList:
    times, fields = read_list(path, 2)
    return TumList(path, times, [name for (name,) in fields])


def _head(path: Path) -> str:
    return read_text(path)[:1000]


def read_list(path: Path, fields: int) -> tuple[Float64[np.ndarray, " n"], list[list[str]]]:
    """Times (seconds, in order) and the other fields of each line. Commas are blanks, # starts a comment. Of two
    fields the second is a file name, which may hold blanks.

    DataError for a line with fewer or more fields, a time that is no number, and a list without entries.
    """
    entries: list[tuple[float, list[str]]] = []
    for number, line in enumerate(read_lines(path), 1):
        time, *rest = line.replace(",", " ").split(None, 1 if fields == 2 else -1) or ["#"]
        if time.startswith("#"):
            continue
        where = f"{path}, line {number}"
        if len(rest) + 1 != fields:
            raise DataError(f"has {len(rest) + 1} fields, not {fields}", where=where, mend="write it again")
        entries.append((float(floats([time], where)[0]), [field.strip() for field in rest]))
        if not np.isfinite(entries[-1][0]):
            raise DataError(f"the time is {time}", where=where, mend="give seconds")
    if not entries:
        raise DataError("lists nothing", where=path, mend="write it again")
    entries.sort(key=lambda entry: entry[0])
    return np.array([time for time, _ in entries]), [rest for _, rest in entries]


def floats(texts: list[str], where: str) -> Float64[np.ndarray, " n"]:
    try:
        return np.array([float(text) for text in texts])
    except ValueError as error:
        raise DataError(f"{' '.join(texts)!r} are not numbers", where=where, mend="write it again") from error


def pairs(times: Float64[np.ndarray, " n"], of: Float64[np.ndarray, " m"]) -> Int64[np.ndarray, " n"]:
    """The entry `of` the other list nearest to each time, each used once at most: -1 where none is `WITHIN`, or where
    the nearest lies nearer to another time."""
    found, back = nearest(times, of, WITHIN), nearest(of, times, WITHIN)
    return np.where((found >= 0) & (back[found] == np.arange(len(times))), found, -1)
