"""Surfaces as grids: a part is a grid of points; rows go down and columns right, seen from outside.

That one rule makes faces point outwards and keeps textures from being mirrored. Families build every part
with the same number of rows and columns whatever the shape, so all instances share their mesh topology.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

Rectangle = tuple[float, float, float, float]
"""(left, top, right, bottom) of a panel in the texture, fractions, top left is (0, 0)."""

Grid = Float[np.ndarray, "r s 3"]

Numbers = np.ndarray | Sequence[Any] | float | int
"""What numpy makes an array of: a number, (nested) tuples or lists of numbers, an array."""


@dataclass(frozen=True)
class Part:
    """A named piece of surface (metres) and its panel of the texture: rows run down it, columns right."""

    name: str
    grid: Grid
    panel: Rectangle


@dataclass(frozen=True)
class Surface:
    """A triangle mesh put together from parts; `uv` is (right, down) in the texture, fractions."""

    vertices: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    uv: Float[np.ndarray, "v 2"]
    faces: Int[np.ndarray, "f 3"]


def smooth(points: Numbers, count: int) -> Float[np.ndarray, "n d"]:
    """`count` points, evenly spaced along a Catmull-Rom curve through `points`."""
    p = np.asarray(points, dtype=float)
    ends = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, 24, endpoint=False)[:, None]
    dense = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(ends[:-3], ends[1:-2], ends[2:-1], ends[3:])
    ]
    return spaced(np.concatenate([*dense, p[-1:]]), count)


def spaced(points: Numbers, count: int) -> Float[np.ndarray, "n d"]:
    """`count` points evenly spaced by length along straight segments."""
    p = np.asarray(points, dtype=float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, column) for column in p.T], axis=1)


def around(count: int, exponent: Numbers = 2.0) -> Float[np.ndarray, "*r s 2"]:
    """A closed superellipse of radius 1, anticlockwise from above, the front (-y) at the middle column."""
    theta = -np.pi / 2 + 2 * np.pi * (np.linspace(0, 1, count + 1) - 0.5)
    power = 2.0 / np.asarray(exponent, dtype=float)[..., None]
    unit = np.stack([np.cos(theta), np.sin(theta)], axis=-1)
    if power.ndim == 1:
        return np.sign(unit) * np.abs(unit) ** power[0]
    return np.sign(unit)[None] * np.abs(unit)[None] ** power[..., None]


def revolve(
    profile: Numbers,
    segments: int,
    exponent: Numbers = 2.0,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Grid:
    """A profile of (radius, z), outside going down, around the z axis; `exponent` > 2 squares the ring."""
    p = np.asarray(profile, dtype=float)
    ring = np.broadcast_to(around(segments, exponent), (len(p), segments + 1, 2))
    xy = ring * p[:, None, :1] * np.asarray(stretch)
    return np.concatenate([xy, np.broadcast_to(p[:, None, 1:], (*xy.shape[:2], 1))], axis=2)


def tube(
    path: Numbers,
    radii: Numbers,
    segments: int,
    side: Numbers = (0.0, 1.0, 0.0),
    exponent: Numbers = 2.0,
) -> Grid:
    """A ring swept along `path`. `radii`: one number, one a row, or (along `side`, across) a row.

    `side` must never be parallel to the path; the column in the middle points across, to path x side.
    """
    p = np.asarray(path, dtype=float)
    r = np.asarray(radii, dtype=float)
    r = np.broadcast_to(r[:, None] if r.ndim == 1 else r, (len(p), 2))
    tangent = _unit(np.gradient(p, axis=0))
    across = _unit(np.cross(np.asarray(side, dtype=float), tangent))
    right = _unit(np.cross(tangent, across))
    ring = np.broadcast_to(around(segments, exponent), (len(p), segments + 1, 2))
    return (
        p[:, None]
        + ring[..., :1] * r[:, None, :1] * right[:, None]
        + ring[..., 1:] * r[:, None, 1:] * across[:, None]
    )


def closed_tube(
    path: Numbers,
    radii: Numbers,
    segments: int,
    side: Numbers = (0.0, 1.0, 0.0),
    exponent: Numbers = 2.0,
) -> Grid:
    """A tube with a flat lid at both ends."""
    grid = tube(path, radii, segments, side, exponent)
    p = np.asarray(path, dtype=float)
    start = np.broadcast_to(p[:1, None], grid[:1].shape)
    end = np.broadcast_to(p[-1:, None], grid[-1:].shape)
    return np.concatenate([start, grid[:1], grid, grid[-1:], end])


def ellipsoid(
    centre: Numbers,
    radii: Numbers,
    rows: int = 12,
    segments: int = 16,
    exponent: Numbers = 2.0,
) -> Grid:
    """Poles up and down (z), the front (-y) at the middle column."""
    phi = np.linspace(0, np.pi, rows + 1)
    grid = revolve(np.stack([np.sin(phi), np.cos(phi)], axis=1), segments, exponent)
    return grid * np.asarray(radii, dtype=float) + np.asarray(centre, dtype=float)


def plate(top_left: Numbers, right: Numbers, down: Numbers, rows: int, columns: int) -> Grid:
    """A flat rectangle from its top left corner, seen from outside."""
    v, u = np.meshgrid(np.linspace(0, 1, rows + 1), np.linspace(0, 1, columns + 1), indexing="ij")
    return np.asarray(top_left) + u[..., None] * np.asarray(right) + v[..., None] * np.asarray(down)


def rotate(grid: Grid, axis: int, angle: float, about: Numbers = (0.0, 0.0, 0.0)) -> Grid:
    """Turns a grid by `angle` radians around the x, y or z axis through `about`."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    origin = np.asarray(about, dtype=float)
    return (grid - origin) @ turn.T + origin


def assemble(parts: Sequence[Part], template: Sequence[Part], margin: float = 0.003) -> Surface:
    """One mesh of all parts. Faces without area in the template are left out, in every instance alike."""
    vertices = np.concatenate([part.grid.reshape(-1, 3) for part in parts])
    normals = np.concatenate([_normals(part.grid).reshape(-1, 3) for part in parts])
    uv = np.concatenate([_panel_uv(t.grid, t.panel, margin).reshape(-1, 2) for t in template])
    faces, start = [], 0
    for part in template:
        faces.append(_grid_faces(part.grid) + start)
        start += part.grid.shape[0] * part.grid.shape[1]
    return Surface(vertices, normals, uv, np.concatenate(faces))


def _grid_faces(grid: Grid) -> Int[np.ndarray, "f 3"]:
    rows, columns = grid.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2).reshape(-1, 3)
    return faces[np.linalg.norm(_cross(grid.reshape(-1, 3), faces), axis=1) > 1e-10]


def _cross(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    p, q, r = (points[faces[:, k]] for k in range(3))
    return np.cross(q - p, r - p)


def _normals(grid: Grid) -> Grid:
    """Area-weighted vertex normals; columns that meet and rows that are one point share theirs."""
    rows, columns = grid.shape[:2]
    points, faces = grid.reshape(-1, 3), _grid_faces(grid)
    total = np.zeros_like(points)
    weighted = _cross(points, faces)
    for k in range(3):
        np.add.at(total, faces[:, k], weighted)
    total = total.reshape(rows, columns, 3)
    if np.allclose(grid[:, 0], grid[:, -1], atol=1e-7):
        total[:, 0] = total[:, -1] = total[:, 0] + total[:, -1]
    for row in range(rows):
        if np.ptp(grid[row], axis=0).max() < 1e-7:
            total[row] = total[row].sum(0)
    return _unit(total, fallback=(0.0, 0.0, 1.0))


def _panel_uv(grid: Grid, panel: Rectangle, margin: float) -> Float[np.ndarray, "r s 2"]:
    """Positions in the texture, spaced by the mean length of rows and columns on the template."""
    left, top, right, bottom = panel
    u, v = _along(grid, axis=1), _along(grid, axis=0)
    u = left + margin + (right - left - 2 * margin) * u
    v = top + margin + (bottom - top - 2 * margin) * v
    return np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=-1)


def _along(grid: Grid, axis: int) -> Float[np.ndarray, " n"]:
    steps = np.linalg.norm(np.diff(grid, axis=axis), axis=2).mean(1 - axis)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return total / max(total[-1], 1e-12)


def _unit(vectors: np.ndarray, fallback: Numbers | None = None) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    out = vectors / np.maximum(length, 1e-12)
    return out if fallback is None else np.where(length > 1e-14, out, np.asarray(fallback))
