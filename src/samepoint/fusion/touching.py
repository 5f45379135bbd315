"""Objects that touch: clusters that may be several are reported, and split where someone says what belongs where.

Two objects meet in a concave crease (Stein et al. 2014 cut point clouds there): steps over a crease are made long,
and each point goes to the click that is nearest along the surface.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from samepoint.fusion.clusters import thinned
from samepoint.fusion.open3d import open3d
from samepoint.fusion.volume import Surface

CREASE = 0.6
"""Difference of the unit normals of neighbours at a crease (half a right angle is .77)."""
CONVEX = 0.3
"""Normals open outwards if this much of their difference points along the step; else they bend over a crease."""
DEARER = 30.0
"""How much longer a step onto a point at a crease is."""
PART = 0.12
"""A part with less than this share of a cluster is not counted as one."""


class SurfaceGraph:
    """A thinned cluster, its normals, and its neighbours."""

    def __init__(
        self, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"], edge: float
    ) -> None:
        self.points, self.back = thinned(points, edge)
        sums = np.stack([np.bincount(self.back, normals[:, axis]) for axis in range(3)], axis=1)
        self.normals = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        search = open3d().core.nns.NearestNeighborSearch(open3d().core.Tensor(self.points))
        search.fixed_radius_index(2.0 * edge)
        found, _, splits = search.fixed_radius_search(open3d().core.Tensor(self.points), 2.0 * edge)
        to, splits = found.numpy(), splits.numpy()
        start = np.repeat(np.arange(len(self.points)), np.diff(splits))
        step = self.points[to] - self.points[start]
        self.length = np.linalg.norm(step, axis=1)
        bend = self.normals[to] - self.normals[start]
        opening = (bend * step).sum(1) / np.maximum(self.length, 1e-9)
        bend = np.linalg.norm(bend, axis=1)
        self.creased = np.zeros(len(self.points), dtype=bool)
        self.creased[start[(bend >= CREASE) & (opening < CONVEX * bend)]] = True
        self.to, self.splits = to, splits

    def parts(self) -> int:
        """How many large parts are left when the points at creases are taken away."""
        label = np.full(len(self.points), -1)
        sizes = []
        for first in range(len(self.points)):
            if label[first] >= 0 or self.creased[first]:
                continue
            label[first], stack, size = len(sizes), [first], 0
            while stack:
                point = stack.pop()
                size += 1
                for index in range(self.splits[point], self.splits[point + 1]):
                    other = self.to[index]
                    if label[other] < 0 and not self.creased[other]:
                        label[other] = len(sizes)
                        stack.append(other)
            sizes.append(size)
        return sum(size >= PART * len(self.points) for size in sizes)

    def nearest(self, seeds: Sequence[int]) -> Int[np.ndarray, " n"]:
        """For each of the cluster's points, which seed (of the thinned points) is nearest along the surface."""
        cost = self.length * (1 + DEARER * self.creased[self.to])
        best = np.full(len(self.points), np.inf)
        owner = np.zeros(len(self.points), dtype=np.int64)
        queue: list[tuple[float, int, int]] = [(0.0, seed, k) for k, seed in enumerate(seeds)]
        while queue:
            far, point, k = heapq.heappop(queue)
            if far >= best[point]:
                continue
            best[point], owner[point] = far, k
            for index in range(self.splits[point], self.splits[point + 1]):
                other, then = self.to[index], far + cost[index]
                if then < best[other]:
                    heapq.heappush(queue, (then, int(other), k))
        return owner[self.back]


def vertex_normals(surface: Surface) -> Float[np.ndarray, "v 3"]:
    """Unit normals by the areas of the triangles round each vertex."""
    a, b, c = surface.vertices[surface.triangles].transpose(1, 0, 2).astype(np.float64)
    face = np.cross(b - a, c - a)
    sums = np.stack(
        [
            sum(np.bincount(corner, face[:, axis], len(surface.vertices)) for corner in surface.triangles.T)
            for axis in range(3)
        ],
        axis=1,
    )
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def touching(
    surface: Surface, labels: Int[np.ndarray, " v"], clear: Bool[np.ndarray, " v"], gap: float
) -> list[int]:
    """For each object, how many it may be: parts between concave creases, of what is `clear` of the support (whose
    rounded seam would tie them together). 1 is an ordinary convex object; a mug with its handle may count as two."""
    points, normals = surface.vertices.astype(np.float64), vertex_normals(surface)
    found = []
    for k in range(labels.max(initial=-1) + 1):
        mine = (labels == k) & clear
        found.append(max(1, SurfaceGraph(points[mine], normals[mine], gap / 3).parts()) if mine.any() else 1)
    return found


def split(
    surface: Surface, labels: Int[np.ndarray, " v"], clicks: Float[np.ndarray, "c 3"], gap: float
) -> Int[np.ndarray, " v"]:
    """Clusters with several clicks (world points on the surface) become as many objects; the first keeps the
    number."""
    points, normals = surface.vertices.astype(np.float64), vertex_normals(surface)
    on = np.flatnonzero(labels >= 0)
    nearest = [on[((points[on] - click) ** 2).sum(1).argmin()] for click in clicks]
    out, number = labels.copy(), labels.max(initial=-1) + 1
    for k in sorted({int(labels[vertex]) for vertex in nearest}):
        mine = [vertex for vertex in nearest if labels[vertex] == k]
        if len(mine) < 2:
            continue
        members = np.flatnonzero(labels == k)
        graph = SurfaceGraph(points[members], normals[members], gap / 3)
        place = {int(vertex): i for i, vertex in enumerate(members)}
        owner = graph.nearest([int(graph.back[place[int(vertex)]]) for vertex in mine])
        for part in range(1, len(mine)):
            out[members[owner == part]] = number
            number += 1
    return out
