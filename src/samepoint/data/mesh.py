"""Meshes as PLY files: vertices, triangles and, where present, canonical surface coordinates (cx, cy, cz)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.data.recording import ObjectModel
from samepoint.errors import DataError
from samepoint.files import write_whole
from samepoint.reading import read_bytes

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class Mesh:
    """Triangles in the object frame. `coordinates` are canonical surface coordinates of each vertex."""

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    coordinates: Float[Tensor, "v 3"] | None = None


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[tuple[str, tuple[str, ...]], ...]  # (name, (type,)) or (name, (count type, item type))


def load_mesh(model: ObjectModel) -> Mesh:
    """The mesh of an object model, in metres."""
    if model.mesh is None:
        raise DataError("this object has no mesh", where=f"object {model.object_id}")
    return read_ply(model.mesh, scale=model.metres_per_unit)


def write_ply(path: Path, mesh: Mesh, *, scale: float = 1.0) -> None:
    """Binary little-endian PLY; vertices are multiplied by `scale` (BOP wants millimetres: 1000)."""
    columns = [mesh.vertices.detach().cpu().double().numpy() * scale]
    names = ["x", "y", "z"]
    if mesh.coordinates is not None:
        columns.append(mesh.coordinates.detach().cpu().double().numpy())
        names += ["cx", "cy", "cz"]
    table = np.concatenate(columns, axis=1).astype("<f4")
    faces = np.empty(len(mesh.faces), dtype=[("n", "u1"), ("v", "<i4", 3)])
    faces["n"], faces["v"] = 3, mesh.faces.detach().cpu().numpy()
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header += [f"property float {name}" for name in names]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    write_whole(path, "\n".join(header).encode() + table.tobytes() + faces.tobytes())


def read_ply(path: Path, *, scale: float = 1.0) -> Mesh:
    """Reads ASCII or binary PLY; polygons are split into fans, other properties are skipped.

    Vertices are multiplied by `scale`. A point cloud gives an empty `faces`. DataError on a damaged file.
    """
    content = read_bytes(path)
    try:
        order, elements, body = _header(content)
        tables = _ascii(elements, body) if order == "=" else _binary(elements, body, order)
        return _mesh(tables, scale)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"is not a PLY mesh ({error})", where=path, mend="export it again as PLY") from error


def _mesh(tables: dict[str, dict[str, np.ndarray | list[np.ndarray]]], scale: float) -> Mesh:
    vertex = tables["vertex"]

    def columns(*names: str) -> Tensor:
        return torch.from_numpy(np.stack([np.asarray(vertex[n], dtype=np.float64) for n in names], axis=-1))

    face = tables.get("face", {})
    polygons = next((face[n] for n in ("vertex_indices", "vertex_index") if n in face), [])
    vertices = (columns("x", "y", "z") * scale).float()
    faces = torch.from_numpy(_triangles(polygons))
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise ValueError("a face names a vertex that does not exist")
    coordinates = columns("cx", "cy", "cz").float() if {"cx", "cy", "cz"} <= set(vertex) else None
    return Mesh(vertices, faces, coordinates)


def _triangles(polygons: np.ndarray | list[np.ndarray]) -> np.ndarray:
    if isinstance(polygons, np.ndarray) and polygons.ndim == 2 and polygons.shape[1] == 3:
        return polygons.astype(np.int64)
    fans = [(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)]
    return np.array(fans, dtype=np.int64).reshape(-1, 3)


def _header(content: bytes) -> tuple[str, list[_Element], bytes]:
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise ValueError("no PLY header")
    order, elements = "", []
    for line in content[:end].decode("ascii", errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            order = ORDERS[words[1]]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), ()))
        elif words[:1] == ["property"]:
            types = tuple(TYPES[w] for w in words[(2 if words[1] == "list" else 1) : -1])
            last = elements[-1]
            elements[-1] = _Element(last.name, last.count, (*last.properties, (words[-1], types)))
    return order, elements, content[content.index(b"\n", end) + 1 :]


def _ascii(elements: list[_Element], body: bytes) -> dict[str, dict[str, np.ndarray | list[np.ndarray]]]:
    words = iter(body.split())
    tables: dict[str, dict[str, np.ndarray | list[np.ndarray]]] = {}
    for element in elements:
        values: dict[str, list] = {name: [] for name, _ in element.properties}
        for _ in range(element.count):
            for name, types in element.properties:
                try:
                    if len(types) == 1:
                        values[name].append(float(next(words)))
                    else:
                        values[name].append(np.array([int(next(words)) for _ in range(int(next(words)))]))
                except StopIteration:
                    raise ValueError("the file ends early") from None
        tables[element.name] = {
            name: np.array(values[name]) if len(types) == 1 else values[name]
            for name, types in element.properties
        }
    return tables


def _binary(
    elements: list[_Element], body: bytes, order: str
) -> dict[str, dict[str, np.ndarray | list[np.ndarray]]]:
    tables: dict[str, dict[str, np.ndarray | list[np.ndarray]]] = {}
    at = 0
    for element in elements:
        row = _row_type(element, body, at, order)
        if row is None:
            tables[element.name], at = _ragged(element, body, at, order)
            continue
        table = np.frombuffer(body, dtype=row, count=element.count, offset=at)
        at += table.nbytes
        tables[element.name] = {name: table[name] for name, _ in element.properties}
    return tables


def _row_type(element: _Element, body: bytes, at: int, order: str) -> np.dtype | None:
    """The fixed layout of a row, if the lists of all rows are as long as the first row's; else None."""
    fields: list[tuple] = []
    for name, types in element.properties:
        if len(types) == 2:
            if element.count == 0:
                return None
            start = at + np.dtype(fields).itemsize
            length = int(np.frombuffer(body, order + types[0], 1, start)[0])
            fields.append((f"{name} count", order + types[0]))
            fields.append((name, order + types[1], (length,)))
        else:
            fields.append((name, order + types[0]))
    row = np.dtype(fields)
    if len(body) < at + row.itemsize * element.count:
        if any(len(types) == 2 for _, types in element.properties):
            return None
        raise ValueError("the file ends early")
    table = np.frombuffer(body, row, element.count, at)
    counts = [table[n] for n in row.names or () if n.endswith(" count")]
    return row if all((c == c[0]).all() for c in counts) else None


def _ragged(
    element: _Element, body: bytes, at: int, order: str
) -> tuple[dict[str, np.ndarray | list[np.ndarray]], int]:
    values: dict[str, list] = {name: [] for name, _ in element.properties}
    for _ in range(element.count):
        for name, types in element.properties:
            count = 1
            if len(types) == 2:
                count = int(np.frombuffer(body, order + types[0], 1, at)[0])
                at += np.dtype(types[0]).itemsize
            item = np.frombuffer(body, order + types[-1], count, at)
            at += item.nbytes
            values[name].append(item if len(types) == 2 else item[0])
    lists = {name for name, types in element.properties if len(types) == 2}
    return {n: v if n in lists else np.array(v) for n, v in values.items()}, at
