"""Objects as clusters of surface points (DBSCAN, Ester et al. 1996), on a thinned cloud."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from samepoint.fusion.open3d import open3d

NEIGHBOURS = 4
"""Thinned points within the gap that make a point one of a cluster's inside."""


def cluster(points: Float[np.ndarray, "n 3"], gap: float, smallest: float) -> Int[np.ndarray, " n"]:
    """The cluster of each point, from 0, largest first; -1 for none.

    Points within `gap` metres of one another are together; clusters whose bounding box has no edge of `smallest`
    metres are none.
    """
    labels = np.full(len(points), -1)
    if not len(points):
        return labels
    thin, back = thinned(points, gap / 3)
    cloud = open3d().geometry.PointCloud(open3d().utility.Vector3dVector(thin.astype(np.float64)))
    found = np.asarray(cloud.cluster_dbscan(gap, NEIGHBOURS))
    kept = [
        (int((found == k).sum()), k)
        for k in range(found.max(initial=-1) + 1)
        if np.ptp(thin[found == k], axis=0).max() >= smallest
    ]
    for rank, (_, k) in enumerate(sorted(kept, key=lambda item: (-item[0], item[1]))):
        labels[(found == k)[back]] = rank
    return labels


def thinned(
    points: Float[np.ndarray, "n 3"], edge: float
) -> tuple[Float[np.ndarray, "m 3"], Int[np.ndarray, " n"]]:
    """One point (the mean) for each cube of `edge` metres that holds any, and the cube of each point."""
    cubes = np.floor(points / edge).astype(np.int64)
    _, back, count = np.unique(cubes, axis=0, return_inverse=True, return_counts=True)
    back = back.reshape(-1)
    sums = np.stack([np.bincount(back, points[:, axis]) for axis in range(3)], axis=1)
    return sums / count[:, None], back


def spread(
    labels: Int[np.ndarray, " n"],
    points: Float[np.ndarray, "n 3"],
    open_: Bool[np.ndarray, " n"],
    reach: float,
) -> Int[np.ndarray, " n"]:
    """Labels with those of `open_` points without one taken from the nearest labelled point within `reach`."""
    lack = (labels < 0) & open_
    distance, owner = nearest_labelled(labels, points, points[lack])
    if not len(distance):
        return labels
    out = labels.copy()
    out[np.flatnonzero(lack)[distance <= reach]] = owner[distance <= reach]
    return out


def nearest_labelled(
    labels: Int[np.ndarray, " n"], points: Float[np.ndarray, "n 3"], places: Float[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """How far the nearest point with a label is from each place (metres), and its label; both empty if there is no
    such point or no place."""
    have = labels >= 0
    if not have.any() or not len(places):
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    search = open3d().core.nns.NearestNeighborSearch(open3d().core.Tensor(np.ascontiguousarray(points[have])))
    search.knn_index()
    nearest, squared = search.knn_search(open3d().core.Tensor(np.ascontiguousarray(places)), 1)
    return np.sqrt(squared.numpy()[:, 0]), labels[have][nearest.numpy()[:, 0]]
