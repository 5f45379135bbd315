"""Numbers in MATLAB's .mat files of version 5 to 7: full numeric arrays, by name. No code and no objects are read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from samepoint.errors import DataError
from samepoint.reading import read_bytes

TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15
NUMERIC = range(6, 16)
"""Classes of arrays: double to uint64."""
HEAD = 512
"""Bytes of a compressed element that tell its name."""


def read_mat(path: Path, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of these names that the file holds, in MATLAB's shapes. DataError for a file that is no such one."""
    content = read_bytes(path)
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        kind = (
            "of version 7.3 (HDF5)" if content[:8] == b"\x89HDF\r\n\x1a\n" else "no MATLAB file of version 5"
        )
        mend = "save it with -v7 (MATLAB), or scipy.io.savemat"
        raise DataError(f"is {kind}, which is not read", where=path, mend=mend)
    found: dict[str, np.ndarray] = {}
    try:
        for kind, data in _elements(content[128:], order):
            if kind == COMPRESSED:
                head = zlib.decompressobj().decompress(data, HEAD)
                if _name(head[8:], order) not in wanted:
                    continue
                whole = zlib.decompress(data)
                kind, data = next(_elements(whole, order))
            if kind == MATRIX and (name := _name(data, order)) in wanted:
                found[name] = _array(data, order)
    except (ValueError, KeyError, IndexError, StopIteration, struct.error, zlib.error) as error:
        raise DataError(f"is damaged or truncated ({error})", where=path, mend="replace the file") from error
    return found


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Kind and data of each element; those of up to four bytes stand within their tag."""
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        if kind >> 16:
            yield kind & 0xFFFF, content[at + 4 : at + 4 + (kind >> 16)]
            at += 8
            continue
        if at + 8 + size > len(content):
            raise ValueError("the file ends early")
        yield kind, content[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == COMPRESSED else -size % 8)


def _name(matrix: bytes, order: str) -> str:
    """Of a matrix, whose first three parts are flags, shape and name; what comes behind may be missing."""
    at = 0
    for part in range(3):
        kind, size = struct.unpack_from(f"{order}II", matrix, at)
        small = kind >> 16
        if part == 2:
            start, length = (at + 4, small) if small else (at + 8, size)
            return matrix[start : start + length].decode("ascii", errors="replace")
        at += 8 if small else 8 + size + -size % 8
    return ""


def _array(matrix: bytes, order: str) -> np.ndarray:
    (_, flags), (_, shape), _, (kind, values), *_ = _elements(matrix, order)
    if struct.unpack_from(f"{order}I", flags)[0] & 0xFF not in NUMERIC:
        raise ValueError("an array that is not of numbers")
    dimensions = np.frombuffer(shape, f"{order}i4")
    return np.frombuffer(values, order + TYPES[kind]).reshape(dimensions, order="F")
