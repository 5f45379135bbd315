"""Files of OpenCV's FileStorage (YAML, XML, JSON) as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from samepoint.data.rig.camera_checks import AGAIN
from samepoint.errors import DataError
from samepoint.text import read_text

SUFFIXES = frozenset({".yml", ".yaml", ".xml", ".json"})
Value = float | str | np.ndarray


def read_storage(path: Path) -> dict[str, Value]:
    """The numbers, words, matrices (float64) and lists of numbers (one axis) of a file's top level, by key; what is
    nested deeper is left out. YAML needs no %YAML line, so that ROS's camera_info is read too."""
    text = read_text(path)
    if path.suffix.lower() in (".yml", ".yaml") and not text.startswith("%YAML"):
        text = "%YAML:1.0\n---\n" + text.removeprefix("---").lstrip("\n")
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        root = storage.root()
        keys = root.keys() if root.isMap() else ()
        values = {key: _value(root.getNode(key), f"{path}, {key}") for key in keys}
    except (cv2.error, SystemError) as error:
        what = f"is not a file of OpenCV's FileStorage, or breaks off ({_reason(error)})"
        raise DataError(what, where=path, mend=AGAIN) from error
    return {key: value for key, value in values.items() if value is not None}


def _value(node: cv2.FileNode, where: str) -> Value | None:
    if node.isInt() or node.isReal():
        return float(node.real())
    if node.isString():
        return node.string()
    if node.isMap() and {"rows", "cols", "data"} <= set(node.keys()):
        rows, cols = (int(node.getNode(key).real()) for key in ("rows", "cols"))
        found = np.array(list(_numbers(node.getNode("data"))))
        if len(found) != rows * cols:
            what = f"the matrix of {rows}x{cols} holds {len(found)} numbers"
            raise DataError(what, where=where, mend=AGAIN)
        return found.reshape(rows, cols)
    if node.isSeq():
        return np.array(list(_numbers(node)))
    return None


def _numbers(node: cv2.FileNode) -> Iterator[float]:
    """All numbers of lists in lists, in order; what is no number is NaN."""
    for index in range(node.size() if node.isSeq() else 0):
        entry = node.at(index)
        if entry.isSeq():
            yield from _numbers(entry)
        else:
            yield float(entry.real()) if entry.isInt() or entry.isReal() else np.nan


def _reason(error: BaseException) -> str:
    cause = error if isinstance(error, cv2.error) else error.__cause__
    return " ".join(str(getattr(cause, "err", "") or "it cannot be parsed").split())
