"""The objects of a fused surface: what stands on the support plane, in clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from samepoint.fusion.clusters import cluster, nearest_labelled, spread
from samepoint.fusion.planes import Plane, find_plane, is_open, on_plane
from samepoint.fusion.settings import Box, FusionSettings
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import Surface, inside

SKIN = 0.3
"""Of `height`: what is lower than this share of it over the plane is the plane."""
HANGING = 3.0
"""Gaps by which a part of an object may be apart from what stands under it."""
MARGIN = 0.1
"""Metres that the workspace is larger than what the coarse pass found in it."""


@dataclass(frozen=True)
class FoundObjects:
    """The object of each vertex (from 0, largest first; -1 background), whether it is clear of the planes, and the
    planes that were taken away, the support first."""

    labels: Int[np.ndarray, " v"]
    clear: Bool[np.ndarray, " v"]
    planes: tuple[Plane, ...]

    @property
    def number(self) -> int:
        return int(self.labels.max(initial=-1)) + 1


def find_objects(
    surface: Surface,
    cameras: Float[np.ndarray, "m 3"],
    settings: FusionSettings,
    empty: MeshViews | None = None,
) -> FoundObjects:
    """Clusters of what is left after the planes. With one plane an object must stand on it, within its bounds. What
    lies behind the support goes with it, and what little lies behind a wall.

    With the `empty` scene (the change detection of Dense Object Nets) that is what is left, in place of planes: all
    that is not where the empty scene's surface is. Points a little over a plane, or that surface, go to the object
    beside which they are: its lowest part.
    """
    points = surface.vertices.astype(np.float64)
    generator = np.random.default_rng(settings.seed)
    free, low, planes = np.ones(len(points), dtype=bool), np.ones(len(points), dtype=bool), []
    if empty is not None:
        away = empty.distance(points)
        free, low = away >= settings.height, away >= SKIN * settings.height
    for _ in range(settings.planes if empty is None else 0):
        plane = find_plane(points[free], cameras, settings.height, generator)
        if plane is None:
            break
        opened = bool(planes) and is_open(plane, points[free], settings.height)
        planes.append(plane)
        free &= ~on_plane(plane, points, settings.height, opened)
        low &= ~on_plane(plane, points, SKIN * settings.height, opened)
    labels = np.full(len(points), -1)
    labels[free] = cluster(points[free], settings.gap, settings.smallest)
    if len(planes) == 1:
        labels = _standing(labels, points, planes[0], settings)
    labels = spread(labels, points, low, settings.height)
    return FoundObjects(labels, free, tuple(planes))


def find_workspace(
    surface: Surface,
    cameras: Float[np.ndarray, "m 3"],
    settings: FusionSettings,
    empty: MeshViews | None = None,
) -> Box:
    """A box round what stands on the support plane of a coarse surface; round all of it if nothing stands out."""
    rough = FusionSettings(
        height=2 * settings.coarse, gap=3 * settings.coarse, smallest=settings.smallest, seed=settings.seed
    )
    one = empty is not None or settings.planes == 1
    found = find_objects(surface, cameras, rough, empty) if one else None
    points = surface.vertices.astype(np.float64)
    kept = points if found is None or not found.number else points[found.labels >= 0]
    low, high = kept.min(0) - MARGIN, kept.max(0) + MARGIN
    return (float(low[0]), float(low[1]), float(low[2]), float(high[0]), float(high[1]), float(high[2]))


def _standing(
    labels: Int[np.ndarray, " n"], points: Float[np.ndarray, "n 3"], plane: Plane, settings: FusionSettings
) -> Int[np.ndarray, " n"]:
    """Without clusters outside of the plane's bounds or in the air. What hangs near something that stands belongs to
    it: between a head and its body no camera may have seen the neck."""
    heights = plane.height(points)
    bounds = _bounds(plane, points[np.abs(heights) < settings.height])
    inside_bounds = [
        k
        for k in range(labels.max(initial=-1) + 1)
        if _within(bounds, plane, points[labels == k].mean(0)[None])[0]
    ]
    standing = [k for k in inside_bounds if heights[labels == k].min() < settings.height + settings.gap]
    out = np.full_like(labels, -1)
    for new, old in enumerate(standing):
        out[labels == old] = new
    stands = out.copy()
    for k in set(inside_bounds) - set(standing):
        distance, owner = nearest_labelled(stands, points, points[labels == k])
        if len(distance) and distance.min() < HANGING * settings.gap:
            out[labels == k] = owner[distance.argmin()]
    return out


def _axes(plane: Plane) -> Float[np.ndarray, "3 2"]:
    """Two directions in the plane."""
    helper = np.eye(3)[np.abs(plane.normal).argmin()]
    first = np.cross(plane.normal, helper)
    first /= np.linalg.norm(first)
    return np.stack((first, np.cross(plane.normal, first)), axis=1)


def _bounds(plane: Plane, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " 4"]:
    flat = points @ _axes(plane)
    return np.concatenate((np.quantile(flat, 0.002, axis=0), np.quantile(flat, 0.998, axis=0)))


def _within(
    bounds: Float[np.ndarray, " 4"], plane: Plane, points: Float[np.ndarray, "n 3"]
) -> Bool[np.ndarray, " n"]:
    flat = points @ _axes(plane)
    return ((flat >= bounds[:2]) & (flat <= bounds[2:])).all(1)


def within_box(surface: Surface, box: Box) -> Surface:
    """The triangles whose vertices all lie in the box."""
    return part(surface, inside(surface.vertices, box))


def part(surface: Surface, kept: Bool[np.ndarray, " v"]) -> Surface:
    """The triangles whose vertices are all kept."""
    triangles = surface.triangles[kept[surface.triangles].all(1)]
    number = np.cumsum(kept) - 1
    return Surface(surface.vertices[kept], number[triangles].astype(np.int32), surface.colours[kept])
