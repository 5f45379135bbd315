"""Files of OpenCV's FileStorage (YAML, XML, JSON) as plain values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from samepoint.data.rig.camera_checks import AGAIN
from samepoint.errors import DataError
from samepoint.text import read_text

SUFFIXES = frozenset({".yml", ".yaml", ".xml", ".json"})
Value = float | str | np.ndarray | dict[str, Any]
"""A dict holds values by key: what stands below a key, or of a list of such by name."""
NAMED = ("name", "camera_name", "camera", "id", "serial")
"""Keys that name an entry of a list; else it is cam0, cam1, ..."""
BLANKS = re.compile(r"(?<=[\d.])[ \t]+(?=[-+.\d])")
"""Between numbers that no comma parts."""


def read_storage(path: Path) -> dict[str, Value]:
    """The numbers, words, matrices (float64), lists of numbers (one axis) and mappings of a file, by key. YAML needs
    no %YAML line, and no commas in lists, so that ROS's camera_info is read too; JSON may be any."""
    text = read_text(path)
    if path.suffix.lower() == ".json":
        return _of_json(text, path)
    if path.suffix.lower() in (".yml", ".yaml"):
        text = re.sub(r"\[[^\[\]]*\]", lambda found: BLANKS.sub(", ", found[0]), text)
        if not text.startswith("%YAML"):
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
    if node.isMap():
        inner = {key: _value(node.getNode(key), f"{where}, {key}") for key in node.keys()}  # noqa: SIM118
        return {key: value for key, value in inner.items() if value is not None}
    if node.isSeq() and node.size() and node.at(0).isMap():
        return _named([_value(node.at(index), where) for index in range(node.size())])
    if node.isSeq():
        return np.array(list(_numbers(node)))
    return None


def _of_json(text: str, path: Path) -> dict[str, Value]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON ({error})", where=path, mend=AGAIN) from error
    value = _plain_value(content, str(path))
    return value if isinstance(value, dict) else {}


def _plain_value(content: Any, where: str) -> Value | None:
    if isinstance(content, dict):
        if {"rows", "cols", "data"} <= content.keys() and isinstance(content["data"], list):
            found = np.array(list(_flat(content["data"])))
            if len(found) != content["rows"] * content["cols"]:
                what = f"the matrix of {content['rows']}x{content['cols']} holds {len(found)} numbers"
                raise DataError(what, where=where, mend=AGAIN)
            return found.reshape(int(content["rows"]), int(content["cols"]))
        inner = {str(key): _plain_value(value, f"{where}, {key}") for key, value in content.items()}
        return {key: value for key, value in inner.items() if value is not None}
    if isinstance(content, list):
        if content and isinstance(content[0], dict):
            return _named([_plain_value(entry, where) for entry in content])
        return np.array(list(_flat(content)))
    if isinstance(content, bool | int | float):
        return float(content)
    return content if isinstance(content, str) else None


def _named(entries: list[Value | None]) -> dict[str, Value]:
    """Entries of a list by what they call themselves."""
    out: dict[str, Value] = {}
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            said = next((entry[key] for key in NAMED if key in entry), f"cam{index}")
            out[f"{said:g}" if isinstance(said, float) else str(said)] = entry
    return out


def _flat(values: Any) -> Iterator[float]:
    """All numbers of lists in lists, in order; what is no number is NaN."""
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield float(value) if isinstance(value, int | float) else np.nan


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
