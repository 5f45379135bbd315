"""Objects that touch: clusters that may be several are reported, and split where someone says what belongs where.

Two objects meet in a concave crease (Stein et al. 2014 cut point clouds there) or over a narrow neck. A cluster that
can be cut in two at little cost is reported. With clicks, each point goes to the click that is nearest along the
surface, where steps over a crease are long.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from samepoint.fusion.cuts import cheapest_cut
from samepoint.fusion.surface_graph import SurfaceGraph, vertex_normals
from samepoint.fusion.volume import Surface

CHEAP = 0.22
"""Clusters that a cheaper cut parts may be several objects. Chosen on half of the scans of benchmarks/touching.py."""


def touching(
    surface: Surface, labels: Int[np.ndarray, " v"], clear: Bool[np.ndarray, " v"], gap: float
) -> list[int]:
    """For each object 2 if it may be two or more, else 1: whether what is `clear` of the support (whose rounded seam
    would tie them together) has a cheap cut. So may things with a neck have (a drill, a doll)."""
    points, normals = surface.vertices.astype(np.float64), vertex_normals(surface)
    found = []
    for k in range(labels.max(initial=-1) + 1):
        mine = (labels == k) & clear
        cost = cheapest_cut(SurfaceGraph(points[mine], normals[mine], gap / 3)) if mine.any() else np.inf
        found.append(2 if cost < CHEAP else 1)
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
