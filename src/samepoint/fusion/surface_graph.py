"""A surface as a graph: thinned points, their normals, and steps to their neighbours, long over concave creases."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from samepoint.fusion.clusters import thinned
from samepoint.fusion.open3d import open3d
from samepoint.fusion.volume import Surface

CREASE = 0.6
"""Difference of the unit normals of neighbours at a crease (half a right angle is .77)."""
CONVEX = 0.3
"""Normals open outwards if this much of their difference points along the step; else they bend over a crease."""
DEARER = 30.0
"""How much longer a step onto a point at a crease is."""


class SurfaceGraph:
    """A cluster thinned to a point each cube of `edge` metres; steps of up to two edges.

    Step i goes from point `start[i]` to `to[i]` over `length[i]` metres; those of point k are `splits[k]` to
    `splits[k + 1]`. `concave[i]` is how much the normals at its ends lean towards each other (sum of the sines: above
    0 in a valley, below on a ridge). `back` is the thinned point of each point.
    """

    def __init__(
        self, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"], edge: float
    ) -> None:
        self.edge = edge
        self.points, self.back = thinned(points, edge)
        sums = np.stack([np.bincount(self.back, normals[:, axis]) for axis in range(3)], axis=1)
        self.normals = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        search = open3d().core.nns.NearestNeighborSearch(open3d().core.Tensor(self.points))
        search.fixed_radius_index(2.0 * edge)
        found, _, splits = search.fixed_radius_search(open3d().core.Tensor(self.points), 2.0 * edge)
        to, splits = found.numpy(), splits.numpy()
        start = np.repeat(np.arange(len(self.points)), np.diff(splits))
        self.start = start
        step = self.points[to] - self.points[start]
        self.length = np.linalg.norm(step, axis=1)
        bend = self.normals[to] - self.normals[start]
        opening = (bend * step).sum(1) / np.maximum(self.length, 1e-9)
        self.concave = -opening
        bend = np.linalg.norm(bend, axis=1)
        self.creased = np.zeros(len(self.points), dtype=bool)
        self.creased[start[(bend >= CREASE) & (opening < CONVEX * bend)]] = True
        self.to, self.splits = to, splits

    def nearest(self, seeds: Sequence[int]) -> Int[np.ndarray, " n"]:
        """For each of the cluster's points, which seed (of the thinned points) is nearest along the surface."""
        return self.owners(seeds)[self.back]

    def owners(self, seeds: Sequence[int]) -> Int[np.ndarray, " m"]:
        """The same for each thinned point."""
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
        return owner


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
