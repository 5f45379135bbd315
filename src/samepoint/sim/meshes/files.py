"""Which 3-D models a folder holds, and the triangles that trimesh finds in one. Errors name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.data.readers.extra_packages import package
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable, walk

SUFFIXES = (".obj", ".ply", ".glb")
MEND = "export it again, or take it out of the folder"


def find_meshes(where: Path) -> tuple[Path, ...]:
    """The files of a folder and its sub-folders, sorted by name; or the one file that `where` is.

    DataError if there is none, MissingDependencyError without trimesh.
    """
    _trimesh()
    where = Path(where)
    if where.is_file():
        return (where,)
    found = [p for _, files in walk(where) for p in files if p.suffix.lower() in SUFFIXES]
    if not found:
        line = "holds no meshes" if where.is_dir() else "does not exist"
        raise DataError(line, where=where, mend=f"name a folder with {', '.join(SUFFIXES)} files in it")
    return tuple(sorted(found, key=lambda path: mesh_name(where, path)))


def mesh_name(where: Path, path: Path) -> str:
    """The name of a file below `where`, the same on every machine."""
    return path.name if path == where else path.relative_to(where).as_posix()


def read_parts(path: Path) -> list[tuple[Any, Float[np.ndarray, "4 4"]]]:
    """The triangle meshes (trimesh.Trimesh) of a file and the pose of each in it, z up where the format has an up.

    glTF says that y is up and is turned; OBJ and PLY say nothing and are taken as they are.
    Raises DataError on a file that cannot be read or holds no triangles.
    """
    trimesh = _trimesh()
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"is not one of {', '.join(SUFFIXES)}", where=path, mend="export it as one of them")
    try:
        _refuse_half_a_line(path)
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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__


def _trimesh() -> Any:
    return package("trimesh", "rendering meshes from files", extra="meshes")
