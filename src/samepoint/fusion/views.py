"""What a labelled mesh looks like from the cameras: clean depth and one mask an object; and how far away it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from samepoint.fusion.open3d import open3d
from samepoint.fusion.volume import Surface
from samepoint.types import Size


class MeshViews:
    """Casts rays at a mesh whose triangles have labels (-1: background)."""

    def __init__(self, surface: Surface, labels: Int[np.ndarray, " t"]) -> None:
        core: Any = open3d().core
        self._tensor = core.Tensor
        self._scene: Any = open3d().t.geometry.RaycastingScene()
        self._scene.add_triangles(
            core.Tensor(np.ascontiguousarray(surface.vertices, dtype=np.float32)),
            core.Tensor(np.ascontiguousarray(surface.triangles, dtype=np.uint32)),
        )
        self._labels = np.append(labels, -1)

    def distance(self, points: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, " n"]:
        """Metres from points of the world to the mesh."""
        queries = self._tensor(np.ascontiguousarray(points, dtype=np.float32))
        return self._scene.compute_distance(queries).numpy()

    def closest(
        self, points: Float[np.ndarray, "n 3"]
    ) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n 3"]]:
        """The mesh's nearest points, and the unit normals of the triangles that they lie on."""
        queries = self._tensor(np.ascontiguousarray(points, dtype=np.float32))
        found = self._scene.compute_closest_points(queries)
        return found["points"].numpy(), found["primitive_normals"].numpy()

    def render(
        self,
        intrinsics: Float[np.ndarray, "3 3"],
        world_from_camera: Float[np.ndarray, "4 4"],
        size: Size,
    ) -> tuple[Float32[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
        """Depth in metres along the optical axis (0: nothing there) and the label of each pixel."""
        height, width = size
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        rays = np.stack((u, v, np.ones_like(u)), axis=-1) @ np.linalg.inv(intrinsics).T
        rays = (
            rays @ world_from_camera[:3, :3].T
        )  # z = 1 in the camera frame, so that a ray's length is depth
        origin = np.broadcast_to(world_from_camera[:3, 3], rays.shape)
        cast = self._scene.cast_rays(self._tensor(np.concatenate((origin, rays), -1).astype(np.float32)))
        depth, triangle = cast["t_hit"].numpy(), cast["primitive_ids"].numpy().astype(np.int64)
        hit = np.isfinite(depth)
        triangle[~hit] = len(self._labels) - 1
        return np.where(hit, depth, np.float32(0)), self._labels[triangle]


def triangle_labels(
    labels: Int[np.ndarray, " v"], triangles: Int[np.ndarray, "t 3"]
) -> Int[np.ndarray, " t"]:
    """A triangle has the label that two of its vertices share, else that of the first."""
    a, b, c = labels[triangles].T
    return np.where(b == c, b, a)
