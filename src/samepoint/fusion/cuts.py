"""The cheapest cut of a surface in two (normalised cuts, Shi and Malik 2000; on patches, along concave creases)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from samepoint.fusion.clusters import thinned
from samepoint.fusion.surface_graph import SurfaceGraph

PATCH = 4
"""Edge of a patch in edges of the graph. Patches end at creases, because steps over these are long."""
PATCHES = 600
"""At most about so many; larger surfaces have larger patches."""
FLAT, FALL = 0.2, 5.0
"""A step costs 1 up to a concavity of FLAT, and then falls e-fold in 1/FALL."""
SMALLEST = 0.05
"""Neither side of a cut is a smaller share of the surface."""
VECTORS = 8
"""Many, because the first may be spent on specks that hang together with nothing."""


def cheapest_cut(graph: SurfaceGraph) -> float:
    """What the cheapest cut of the surface in two costs: 0 if it is in pieces, infinite if it is too small to cut.

    A cut costs the steps over it, cheap where they are concave, by the mean number of steps of a point, over the
    square root of the points of its smaller side: a length over that of a side, which does not depend on the size of
    the surface. A sphere's equator costs about 1.
    """
    patch = patches(graph)
    number = int(patch.max(initial=-1)) + 1
    if number < 3:
        return float("inf")
    cost = np.exp(-FALL * np.maximum(graph.concave - FLAT, 0.0))
    pair = patch[graph.start] * number + patch[graph.to]
    weights = np.bincount(pair, cost, number * number).reshape(number, number)
    np.fill_diagonal(weights, 0.0)
    sizes = np.bincount(patch, minlength=number).astype(float)
    return best_sweep(weights, sizes) * len(graph.points) / len(graph.to)


def best_sweep(weights: Float[np.ndarray, "m m"], sizes: Float[np.ndarray, " m"]) -> float:
    """The least of weight cut / sqrt(size of the smaller side), over the cuts between neighbours in the order of an
    eigenvector of low frequency. Weights are symmetric, with an empty diagonal."""
    scale, degree = 1 / np.sqrt(sizes), weights.sum(1)
    waves = np.linalg.eigh(scale[:, None] * (np.diag(degree) - weights) * scale)[1] * scale[:, None]
    best = np.inf
    for wave in waves[:, 1 : 1 + VECTORS].T:
        order = np.argsort(wave)
        inside = np.triu(weights[np.ix_(order, order)], 1).sum(0).cumsum()
        cut = degree[order].cumsum() - 2 * inside
        size = sizes[order].cumsum()
        smaller = np.minimum(size, sizes.sum() - size)
        fit: Bool[np.ndarray, " m"] = smaller >= SMALLEST * sizes.sum()
        if fit.any():
            best = min(best, float((np.maximum(cut[fit], 0.0) / np.sqrt(smaller[fit])).min()))
    return best


def patches(graph: SurfaceGraph) -> Int[np.ndarray, " m"]:
    """The patch of each of the graph's points: which of evenly spread points is nearest along the surface."""
    many = len(graph.points) / PATCH**2 / PATCHES
    middle, cube = thinned(graph.points, PATCH * graph.edge * max(1.0, many) ** 0.5)
    order = np.argsort(((graph.points - middle[cube]) ** 2).sum(1), kind="stable")
    seeds = order[np.unique(cube[order], return_index=True)[1]]
    return graph.owners(seeds.tolist())
