"""Which 3-D models a folder holds, and the triangles that trimesh finds in one. Errors name the file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.data.readers.extra_packages import package
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable, walk

SUFFIXES = (".obj", ".ply", ".glb", ".stl")
OTHERS = frozenset(
    {
        *(".gltf", ".off", ".dae", ".fbx", ".3ds", ".3mf", ".step", ".stp", ".iges", ".igs", ".usd", ".usda"),
        *(".usdz", ".blend", ".wrl", ".x3d", ".vtp", ".vtk", ".3dm", ".sldprt", ".f3d", ".amf"),
    }
)
"""Models of other programs, which are named where they are left out."""
log = logging.getLogger(__name__)
MEND = "export it again, or take it out of the folder"


def find_meshes(where: Path) -> tuple[Path, ...]:
    """The files of a folder and its sub-folders, sorted by name; or the one file that `where` is.

    DataError if there is none, MissingDependencyError without trimesh.
    """
    _trimesh()
    where = Path(where)
    if where.is_file():
        return (where,)
    files = [path for _, files in walk(where) for path in files] if where.is_dir() else []
    found = [path for path in files if path.suffix.lower() in SUFFIXES]
    others = sorted(path.name for path in files if path.suffix.lower() in OTHERS)
    shown = f"{', '.join(others[:3])}{', ...' * (len(others) > 3)}"
    if not found:
        line = "holds no meshes" if where.is_dir() else "does not exist"
        mend = f"export {shown} as" if others else "name a folder with"
        raise DataError(line, where=where, mend=f"{mend} {', '.join(SUFFIXES)} files")
    if others:
        log.warning("%s: %d models of other kinds are not used (%s)", where, len(others), shown)
    return tuple(sorted(found, key=lambda path: mesh_name(where, path)))


def mesh_name(where: Path, path: Path) -> str:
    """The name of a file below `where`, the same on every machine."""
    return path.name if path == where else path.relative_to(where).as_posix()


def read_parts(path: Path) -> list[tuple[Any, Float[np.ndarray, "4 4"]]]:
    """The triangle meshes (trimesh.Trimesh) of a file and the pose of each in it, z up where the format has an up.

    glTF says that y is up and is turned; OBJ, PLY and STL say nothing and are taken as they are.
    Raises DataError on a file that cannot be read or holds no triangles.
    """
    trimesh = _trimesh()
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"is not one of {', '.join(SUFFIXES)}", where=path, mend="export it as one of them")
    try:
        _refuse_half_a_line(path)
        _refuse_half_a_solid(path)
        loaded = trimesh.load(str(path), process=False)
        placed = [(loaded, np.eye(4))]
        if isinstance(loaded, trimesh.Scene):
            nodes = [loaded.graph[node] for node in sorted(loaded.graph.nodes_geometry)]
            placed = [(loaded.geometry[name], np.asarray(pose, dtype=float)) for pose, name in nodes]
        parts = [
            (mesh, pose) for mesh, pose in placed if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces)
        ]
    except DataError:
        raise
    except Exception as error:  # trimesh raises whatever its parsers stumble over
        line = f"cannot be read as a mesh ({_first_line(error)})"
        raise explain_unreadable(path) or DataError(line, where=path, mend=MEND) from error
    if not parts:
        raise explain_unreadable(path) or DataError("holds no triangles", where=path, mend=MEND)
    up = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    turn = up if path.suffix.lower() == ".glb" else np.eye(4)
    return [(_outwards(mesh, pose), turn @ pose) for mesh, pose in parts]


def _outwards(mesh: Any, pose: Float[np.ndarray, "4 4"]) -> Any:
    """A part that is placed as its mirror image has its triangles the other way round."""
    if np.linalg.det(pose[:3, :3]) >= 0:
        return mesh
    mesh = mesh.copy()
    mesh.faces = np.ascontiguousarray(mesh.faces[:, ::-1])
    return mesh


def _refuse_half_a_line(path: Path) -> None:
    """OBJ has no length to compare with: a file that was cut short shows it by its last line, if at all."""
    if path.suffix.lower() != ".obj":
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        words = file.read().split(b"\n")[-1].split()
    if words[:1] in ([b"f"], [b"v"], [b"vn"]) and (len(words) < 4 or words[-1].endswith((b"/", b"-", b"."))):
        line = f"ends in the middle of a line ({b' '.join(words).decode(errors='replace')})"
        raise DataError(line, where=path, mend=MEND)


def _refuse_half_a_solid(path: Path) -> None:
    """STL as text ends with "endsolid"; binary STL, which may begin with "solid" too, says its length."""
    if path.suffix.lower() != ".stl":
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(84)
        file.seek(max(0, size - 4096))
        tail = file.read()
    if len(head) == 84 and size == 84 + 50 * int.from_bytes(head[80:], "little"):
        return
    text = head.lstrip()[:5].lower() == b"solid" and b"\0" not in head
    if not text or b"endsolid" not in tail.lower():
        damaged = DataError("is cut off, or no STL file", where=path, mend=MEND)
        raise explain_unreadable(path) or damaged


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__


def _trimesh() -> Any:
    return package("trimesh", "rendering meshes from files", extra="meshes")
