"""Triangles as loose corners: their normals, whether they close a body, and how to join them again."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

CREASE = np.deg2rad(40)
"""A corner whose face leans more than this from the mean of the faces around it has the face's own normal."""

Corners = Float[np.ndarray, "f 3 3"]


def without_slivers(corners: Corners) -> Int[np.ndarray, " k"]:
    """The indices of triangles that have an area."""
    size = max(float(np.ptp(corners.reshape(-1, 3), axis=0).max()), 1e-12)
    return np.flatnonzero(np.linalg.norm(_cross(corners), axis=1) > 1e-12 * size**2)


def weld(corners: Corners) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Corners at the very same place become one vertex."""
    vertices, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return vertices, index.reshape(-1, 3)


def corner_normals(corners: Corners, faces: Int[np.ndarray, "f 3"]) -> Corners:
    """The mean of the faces around a vertex, each by its angle there, but sharp at creases. `faces` are the welded
    ones. Normals in the file are not used: many files have none or wrong ones."""
    flat = _unit(_cross(corners))[:, None]
    weighted = _angles(corners)[..., None] * flat
    total = np.zeros((int(faces.max()) + 1, 3))
    for axis in range(3):
        total[:, axis] = np.bincount(faces.ravel(), weighted[..., axis].ravel(), len(total))
    smooth = _unit(total)[faces]
    return np.where((smooth * flat).sum(-1, keepdims=True) > np.cos(CREASE), smooth, flat)


def is_closed(faces: Int[np.ndarray, "f 3"]) -> bool:
    """Whether every edge of the welded faces is shared by two that go along it in opposite directions."""
    a, b = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    n = int(faces.max()) + 1
    there, back = np.sort(a.astype(np.int64) * n + b), np.sort(b.astype(np.int64) * n + a)
    return bool(np.array_equal(there, back) and (np.diff(there) > 0).all())


def volume(corners: Corners) -> float:
    """Of a closed body; negative if its faces look inwards."""
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def join(
    corners: Corners, normals: Corners, uv: Float[np.ndarray, "f 3 2"]
) -> tuple[
    Float[np.ndarray, "v 3"], Float[np.ndarray, "v 3"], Float[np.ndarray, "v 2"], Int[np.ndarray, "f 3"]
]:
    """Corners that agree in place, normal and colour become one vertex: (vertices, normals, uv, faces)."""
    table = np.concatenate([corners, normals, uv], axis=2).reshape(-1, 8).astype(np.float32)
    rows, index = np.unique(table, axis=0, return_inverse=True)
    rows = rows.astype(np.float64)
    return rows[:, :3], rows[:, 3:6], rows[:, 6:], index.reshape(-1, 3)


def _cross(corners: Corners) -> Float[np.ndarray, "f 3"]:
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _angles(corners: Corners) -> Float[np.ndarray, "f 3"]:
    ahead = _unit(np.roll(corners, -1, axis=1) - corners)
    behind = _unit(np.roll(corners, 1, axis=1) - corners)
    return np.arccos(np.clip((ahead * behind).sum(-1), -1, 1))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
