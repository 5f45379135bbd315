"""Change detection between two scans of a place: what of a cluster is gone in the other scan, and what still stands
there, are different objects, even if they touched.

A point still stands where the other surface is near it and faces its way; it is gone if the other scan's cameras
looked through its place. What nobody saw goes with what is nearest along the surface.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, Int

from samepoint.fusion.clusters import cluster
from samepoint.fusion.frames import PosedFrame
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.surface_graph import SurfaceGraph, vertex_normals
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import Surface

CORE = 0.5
"""So many squares of `settings.smallest` of a part lie two edges of the graph or more within it; else it is a strip,
which differs along the edge of something."""
UNKNOWN, STANDS, GONE = -1, 0, 1
FACING = 0.3
"""Least cosine between the normals of a point and of the surface that is near it in the other scan. The side of an
object that stays, near the top of one that went, faces elsewhere."""
ASIDE = 1.5
"""Voxels by which the other surface may begin beside a point: its edge is not the point's surface."""


def split_by_change(
    surface: Surface,
    labels: Int[np.ndarray, " v"],
    clear: Bool[np.ndarray, " v"],
    other: MeshViews,
    frames: Iterable[PosedFrame],
    settings: FusionSettings,
) -> Int[np.ndarray, " v"]:
    """The objects, those of which a part is gone in the other scan and a part still stands cut into such parts.

    `other` is the other scan's surface, `frames` are its images, in the same world. Vertices that are not `clear` of
    the support, which stands in any case, say nothing. The largest part keeps its
    object's number. Parts whose longest edge is less than `settings.smallest`, and strips, are no objects.
    """
    points, normals, edge = surface.vertices.astype(np.float64), vertex_normals(surface), settings.gap / 3
    members = [np.flatnonzero(labels == k) for k in range(labels.max(initial=-1) + 1)]
    graphs = [SurfaceGraph(points[mine], normals[mine], edge) for mine in members]
    if not graphs:
        return labels
    places = np.concatenate([graph.points for graph in graphs])
    stands = still_standing(places, np.concatenate([graph.normals for graph in graphs]), other, settings)
    gone = looked_through(places, frames, settings.height)
    change = np.where(stands & ~gone, STANDS, np.where(gone & ~stands, GONE, UNKNOWN))
    high = [np.bincount(graph.back, clear[mine]) > 0 for mine, graph in zip(members, graphs)]
    change[~np.concatenate(high)] = UNKNOWN
    starts = np.cumsum([len(graph.points) for graph in graphs])[:-1]
    out, number = labels.copy(), len(graphs)
    for mine, graph, found in zip(members, graphs, np.split(change, starts)):
        part = parts(graph, found, settings)
        for k in range(1, part.max(initial=0) + 1):
            out[mine[part[graph.back] == k]] = number
            number += 1
    return out


def still_standing(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    other: MeshViews,
    settings: FusionSettings,
) -> Bool[np.ndarray, " n"]:
    """Where the other surface lies within `settings.height`, before or behind a point and not beside it, and faces
    the same way."""
    nearest, facing = other.closest(points)
    offset = nearest - points
    along = (offset * normals).sum(1)
    aside = np.linalg.norm(offset - along[:, None] * normals, axis=1)
    near = (np.abs(along) <= settings.height) & (aside <= np.maximum(ASIDE * settings.voxel, np.abs(along)))
    return near & ((facing * normals).sum(1) >= FACING)


def looked_through(
    points: Float[np.ndarray, "n 3"], frames: Iterable[PosedFrame], tolerance: float
) -> Bool[np.ndarray, " n"]:
    """Whether more frames saw what lies behind a place (by `tolerance` metres) than saw something there."""
    through, there = np.zeros(len(points), dtype=int), np.zeros(len(points), dtype=int)
    for frame in frames:
        turn, eye = frame.world_from_camera[:3, :3], frame.world_from_camera[:3, 3]
        image = (points - eye) @ turn @ frame.intrinsics.T
        z = image[:, 2]
        with np.errstate(all="ignore"):
            uv = np.where(z[:, None] > 0, image[:, :2] / z[:, None], -1.0).round()
        height, width = frame.depth.shape
        inside = ((uv >= 0) & (uv < (width, height))).all(1)
        column, row = uv[inside].astype(int).T
        seen = np.zeros(len(points), dtype=np.float32)
        seen[inside] = frame.depth[row, column]
        through += (seen > 0) & (seen > z + tolerance)
        there += (seen > 0) & (np.abs(seen - z) <= tolerance)
    return through > there


def parts(
    graph: SurfaceGraph, change: Int[np.ndarray, " n"], settings: FusionSettings
) -> Int[np.ndarray, " n"]:
    """The part of each of a graph's points, from 0, largest first."""
    whole = _filled(graph, change)
    whole = _filled(graph, np.where(_pieces(graph, whole, settings) == UNKNOWN, UNKNOWN, whole))
    pieces = _filled(graph, _pieces(graph, whole, settings))
    _, pieces, count = np.unique(pieces, return_inverse=True, return_counts=True)
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(count))
    return rank[pieces.reshape(-1)]


def _pieces(
    graph: SurfaceGraph, kinds: Int[np.ndarray, " n"], settings: FusionSettings
) -> Int[np.ndarray, " n"]:
    """The clusters of either kind that are no strips and not too small; unknown for the others."""
    core = np.bincount(graph.start, kinds[graph.to] != kinds[graph.start]) == 0
    least = CORE * (settings.smallest / graph.edge) ** 2
    pieces = np.full(len(kinds), UNKNOWN)
    for kind in (STANDS, GONE):
        mine = kinds == kind
        found = cluster(graph.points[mine], settings.gap, settings.smallest)
        found[np.bincount(found + 1, core[mine])[found + 1] < least] = UNKNOWN
        pieces[mine] = np.where(found >= 0, found + pieces.max(initial=-1) + 1, UNKNOWN)
    return pieces


def _filled(graph: SurfaceGraph, kinds: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Unknown ones as what is nearest along the surface; all alike if nothing is known."""
    known = np.flatnonzero(kinds != UNKNOWN)
    if not len(known) or len(known) == len(kinds):
        return np.zeros_like(kinds) if not len(known) else kinds
    return kinds[known[graph.owners(known.tolist())]]
