"""The lists of a TUM RGB-D sequence: what was measured when, and which entries of two lists belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from samepoint.errors import DataError
from samepoint.text import read_lines

WITHIN = 0.02
"""Seconds between two entries that belong together (what TUM's own tool takes)."""


def read_list(path: Path, fields: int) -> tuple[Float64[np.ndarray, " n"], list[list[str]]]:
    """Times (seconds, in order) and the other fields of each line. Commas are blanks, # starts a comment.

    DataError for a line with fewer or more fields, a time that is no number, and a list without entries.
    """
    entries: list[tuple[float, list[str]]] = []
    for number, line in enumerate(read_lines(path), 1):
        time, *rest = line.replace(",", " ").split() or ["#"]
        if time.startswith("#"):
            continue
        where = f"{path}, line {number}"
        if len(rest) + 1 != fields:
            raise DataError(f"has {len(rest) + 1} fields, not {fields}", where=where, mend="write it again")
        entries.append((float(floats([time], where)[0]), rest))
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


def nearest(times: Float64[np.ndarray, " n"], of: Float64[np.ndarray, " m"]) -> Int64[np.ndarray, " n"]:
    """The entry `of` the other list that is nearest to each time; -1 where none is `WITHIN`. Both in order."""
    right = np.searchsorted(of, times).clip(1, len(of) - 1) if len(of) > 1 else np.zeros(len(times), np.int64)
    left = np.maximum(right - 1, 0)
    found = np.where(np.abs(of[left] - times) <= np.abs(of[right] - times), left, right)
    return np.where(np.abs(of[found] - times) <= WITHIN, found, -1)


def pairs(times: Float64[np.ndarray, " n"], of: Float64[np.ndarray, " m"]) -> Int64[np.ndarray, " n"]:
    """As `nearest`, each entry used once at most: -1 where the found one lies nearer to another time."""
    found, back = nearest(times, of), nearest(of, times)
    return np.where((found >= 0) & (back[found] == np.arange(len(times))), found, -1)
