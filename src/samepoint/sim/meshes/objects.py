"""A file becomes an object: metres, standing on z = 0, with one texture; refused where its size or form cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from samepoint.errors import DataError
from samepoint.geometry.meshes import extreme_points
from samepoint.sim.families import Model
from samepoint.sim.meshes import soup
from samepoint.sim.meshes.colours import paint_part, side_by_side
from samepoint.sim.meshes.files import MEND, read_parts
from samepoint.sim.patterns import Colour, Picture

SMALLEST, LARGEST = 0.005, 3.0
"""Metres: the longest side of an object lies between these, or its unit was mistaken."""
MOST_FACES = 200_000
THINNEST = 1e-4
"""Metres: the physics needs something thicker to stand on."""


@dataclass(frozen=True)
class FileObject:
    """An object read from a file. `outline`: points that bound it (metres, object frame). `two_sided`: the surface
    is open, so that both of its sides can be seen. `textured`: it has more than plain colours. `moved`: object
    coordinates minus the file's (metres, after glTF was turned to z up)."""

    model: Model
    texture: Picture
    outline: Float[np.ndarray, "p 3"]
    two_sided: bool
    textured: bool
    moved: Float[np.ndarray, " 3"]


def read_object(path: Path, scale: float, plain: Colour) -> FileObject:
    """The object of a file whose unit is `scale` metres; `plain` colours what the file does not.

    The object frame is the file's, moved so that the middle of the bounding box is above the origin and its lowest
    point at z = 0. Canonical coordinates are the object's own: moved to the origin, divided by the longest side.
    Raises DataError naming the file if it cannot be read, has over 200000 triangles, is flat, or has a size that
    tells of another unit.
    """
    parts = read_parts(path)
    _check_number(path, sum(len(mesh.faces) for mesh, _ in parts))
    corners = np.concatenate([_corners(np.asarray(mesh.vertices), mesh.faces, pose) for mesh, pose in parts])
    corners = (corners * scale).astype(np.float32).astype(np.float64)
    _check_size(path, corners, scale)
    try:
        painting = side_by_side([paint_part(mesh, plain) for mesh, _ in parts])
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"its texture cannot be read ({error})", where=path, mend=MEND) from error
    kept = soup.without_slivers(corners)
    corners, uv = corners[kept], painting.uv[kept]
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    moved = -np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    _, faces = soup.weld(corners)
    closed = soup.is_closed(faces)
    if closed and soup.volume(corners) < 0:
        corners, uv, faces = corners[:, ::-1], uv[:, ::-1], faces[:, ::-1]
    vertices, normals, uv, faces = soup.join(corners + moved, soup.corner_normals(corners, faces), uv)
    coordinates = (vertices - vertices.min(axis=0)) / np.ptp(vertices, axis=0).max()
    model = Model(vertices, normals, uv, faces, coordinates, {})
    outline = vertices[extreme_points(torch.from_numpy(vertices), 200).numpy()]
    return FileObject(model, painting.picture, outline, not closed, painting.textured, moved)


def welded(model: Model) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"], Float[np.ndarray, "v 3"]]:
    """Vertices, faces and canonical coordinates without the copies that creases and seams of the texture need."""
    vertices, faces = soup.weld(model.vertices[model.faces])
    coordinates = (vertices - vertices.min(axis=0)) / np.ptp(vertices, axis=0).max()
    return vertices, faces, coordinates


def _corners(
    vertices: np.ndarray, faces: np.ndarray, file_from_part: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "f 3 3"]:
    return (vertices.astype(np.float64) @ file_from_part[:3, :3].T + file_from_part[:3, 3])[faces]


def _check_number(path: Path, faces: int) -> None:
    if faces > MOST_FACES:
        mend = f"simplify it to fewer than {MOST_FACES} (Blender: the Decimate modifier)"
        raise DataError(f"has {faces} triangles, too many to render fast", where=path, mend=mend)


def _check_size(path: Path, corners: Float[np.ndarray, "f 3 3"], scale: float) -> None:
    points = corners.reshape(-1, 3)
    if not np.isfinite(points).all():
        raise DataError("has vertices that are not finite", where=path, mend=MEND)
    size = np.ptp(points, axis=0)
    shown = f"is {size[0]:.3g} x {size[1]:.3g} x {size[2]:.3g} m in size"
    if size.max() > LARGEST:
        mend = f"if its unit is the millimetre, add --mesh-scale {scale * 0.001:g}"
        raise DataError(f"{shown}, more than {LARGEST:g} m", where=path, mend=mend)
    if size.max() < SMALLEST:
        mend = f"if it is drawn a thousand times too small, add --mesh-scale {scale * 1000:g}"
        raise DataError(f"{shown}, less than {SMALLEST * 1000:g} mm", where=path, mend=mend)
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    if np.ptp(centred @ axes[:, 0]) < THINNEST:
        raise DataError("is flat, so that it cannot lie on a table", where=path, mend="give it a thickness")
