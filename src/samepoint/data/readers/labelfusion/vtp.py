"""Meshes in VTK's XML form (.vtp, PolyData): points and polygons.

    <VTKFile type="PolyData" byte_order="LittleEndian" [header_type="UInt32"] [compressor="vtkZLibDataCompressor"]>
      <PolyData> <Piece> <Points> <DataArray type="Float32" format="ascii|binary|appended" ...>
                         <Polys>  <DataArray Name="connectivity"> <DataArray Name="offsets">
      <AppendedData encoding="base64|raw"> _ ...

https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html. Not read: strips, lines, colours, normals,
and compression other than zlib.
"""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch

from samepoint.data.mesh import Mesh
from samepoint.errors import DataError
from samepoint.reading import read_bytes

TYPES = {"Float32": "f4", "Float64": "f8", "UInt8": "u1"} | {
    f"{sign}Int{bits}": f"{kind}{bits // 8}"
    for sign, kind in (("", "i"), ("U", "u"))
    for bits in (16, 32, 64)
}
APPENDED = re.compile(rb'<AppendedData[^>]*encoding="(\w+)"[^>]*>\s*_')


def read_vtp(path: Path) -> Mesh:
    """The mesh, in the file's own units; polygons are split into fans. DataError on a damaged file."""
    content = read_bytes(path)
    try:
        return _mesh(*_parsed(content))
    except (ValueError, KeyError, IndexError, zlib.error, ElementTree.ParseError) as error:
        what = f"is not a VTP mesh ({' '.join(str(error).split())})"
        raise DataError(what, where=path, mend="export it again") from error


@dataclass(frozen=True)
class _Encoding:
    """How a file writes its arrays. `appended`: what follows the underscore, `raw` or in base64."""

    order: str
    header: np.dtype
    compressed: bool
    appended: bytes
    raw: bool


def _parsed(content: bytes) -> tuple[ElementTree.Element, _Encoding]:
    start = APPENDED.search(content)
    body = content if start is None else content[: start.start()] + b"</VTKFile>"
    root = ElementTree.fromstring(body)
    if root.tag != "VTKFile" or root.get("type") != "PolyData":
        raise ValueError("no VTKFile of type PolyData")
    compressor = root.get("compressor")
    if compressor not in (None, "vtkZLibDataCompressor"):
        raise ValueError(f"compressed by {compressor}")
    order = {"LittleEndian": "<", "BigEndian": ">"}[root.get("byte_order", "LittleEndian")]
    header = np.dtype(order + TYPES[root.get("header_type", "UInt32")])
    appended = b"" if start is None else content[start.end() :]
    raw = start is not None and start[1] == b"raw"
    return root, _Encoding(order, header, compressor is not None, appended, raw)


def _mesh(root: ElementTree.Element, encoding: _Encoding) -> Mesh:
    vertices, faces, known = [np.zeros((0, 3))], [np.zeros((0, 3), np.int64)], 0
    for piece in root.iter("Piece"):
        points = _array(piece.find("Points/DataArray"), encoding).reshape(-1, 3)
        polygons = {a.get("Name"): _array(a, encoding) for a in piece.findall("Polys/DataArray")}
        if polygons:
            corners = polygons["connectivity"].astype(np.int64)
            triangles = _triangles(corners, polygons["offsets"].astype(np.int64))
            if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(points):
                raise ValueError("a face names a vertex that does not exist")
            faces.append(triangles + known)
        vertices.append(points)
        known += len(points)
    if not known:
        raise ValueError("no points")
    return Mesh(
        torch.from_numpy(np.concatenate(vertices)).float(),
        torch.from_numpy(np.concatenate(faces)),
    )


def _triangles(corners: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Fans of the polygons that end at `ends` in the list of corners."""
    if np.array_equal(ends, np.arange(3, len(corners) + 1, 3)):
        return corners.reshape(-1, 3)
    starts = np.concatenate(([0], ends[:-1]))
    fans = [
        (corners[start], corners[i], corners[i + 1])
        for start, end in zip(starts, ends, strict=True)
        for i in range(start + 1, end - 1)
    ]
    return np.array(fans, dtype=np.int64).reshape(-1, 3)


def _array(element: ElementTree.Element | None, encoding: _Encoding) -> np.ndarray:
    if element is None:
        raise ValueError("no points")
    kind, form, text = TYPES[element.get("type", "")], element.get("format"), (element.text or "").strip()
    if form == "ascii":
        return np.array(text.split(), dtype=kind)
    if form == "appended":
        data = _decoded(encoding.appended, int(element.get("offset", "0")), encoding, encoding.raw)
    elif form == "binary":
        data = _decoded(text.encode(), 0, encoding, False)
    else:
        raise ValueError(f"an array of format {form}")
    return np.frombuffer(data, encoding.order + kind)


def _decoded(source: bytes, at: int, encoding: _Encoding, raw: bool) -> bytes:
    """The bytes of an array. Its header is their number, or (number of blocks, size, last size, compressed sizes)."""
    word = encoding.header

    def part(start: int, length: int) -> bytes:
        if raw:
            return source[start : start + length]
        return base64.b64decode(source[start : after(start, length)], validate=True)[:length]

    def after(start: int, length: int) -> int:
        return start + (length if raw else -(-length // 3) * 4)

    count = int(np.frombuffer(part(at, word.itemsize), word)[0])
    if not encoding.compressed:
        beyond = after(at, word.itemsize)
        if not raw and b"=" in source[at:beyond]:  # the number is encoded on its own
            return part(beyond, count)
        return part(at, word.itemsize + count)[word.itemsize :]
    length = (3 + count) * word.itemsize
    ends = np.frombuffer(part(at, length), word)[3:].astype(np.int64).cumsum()
    blocks = part(after(at, length), int(ends[-1]) if count else 0)
    pieces = zip(np.concatenate(([0], ends[:-1])), ends, strict=True) if count else ()
    return b"".join(zlib.decompress(blocks[start:end]) for start, end in pieces)
