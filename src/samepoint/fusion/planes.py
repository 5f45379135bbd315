"""The plane that objects stand on, and walls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

ITERATIONS = 2000
BEHIND = 0.1
"""At most so many points lie behind a wall, as a share of those on it."""
MEASURED = 20_000
"""So many points are enough to find a plane by."""


@dataclass(frozen=True)
class Plane:
    """The points x with normal . x + offset = 0; the unit normal points to the side of the cameras."""

    normal: Float[np.ndarray, " 3"]
    offset: float

    def height(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Metres over the plane."""
        return points @ self.normal + self.offset


def find_plane(
    points: Float[np.ndarray, "n 3"],
    cameras: Float[np.ndarray, "m 3"],
    tolerance: float,
    generator: np.random.Generator,
) -> Plane | None:
    """The plane with most points within `tolerance`, by random triples, fitted to those points; None for too few."""
    if len(points) < 3:
        return None
    some = points[generator.choice(len(points), min(len(points), MEASURED), replace=False)].astype(np.float64)
    triples = some[generator.integers(0, len(some), (ITERATIONS, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    normals, triples = normals[lengths > 0] / lengths[lengths > 0, None], triples[lengths > 0]
    if not len(normals):
        return None
    best = max(
        zip(normals, -(normals * triples[:, 0]).sum(1)),
        key=lambda plane: int((np.abs(some @ plane[0] + plane[1]) < tolerance).sum()),
    )
    near = some[np.abs(some @ best[0] + best[1]) < tolerance]
    centre = near.mean(0)
    normal = np.linalg.svd(near - centre, full_matrices=False)[2][2]
    towards = np.median(cameras, axis=0) - centre
    normal = normal if normal @ towards > 0 else -normal
    return Plane(normal, float(-normal @ centre))


def on_plane(
    plane: Plane, points: Float[np.ndarray, "n 3"], tolerance: float, open_: bool = False
) -> Bool[np.ndarray, " n"]:
    """Which points lie on the plane or, unless it is open, behind it, seen from the cameras."""
    height = plane.height(points)
    return np.abs(height) < tolerance if open_ else height < tolerance


def is_open(plane: Plane, points: Float[np.ndarray, "n 3"], tolerance: float) -> bool:
    """Whether much lies behind the plane: it is the front of a shelf or the lid of a box rather than a wall, behind
    which there is noise."""
    height = plane.height(points)
    return bool((height <= -tolerance).sum() > BEHIND * (np.abs(height) < tolerance).sum())
