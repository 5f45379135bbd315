"""Truncated signed distances in blocks of voxels (Curless and Levoy 1996; Open3D's VoxelBlockGrid): memory grows
with the surface, not with the room."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32

from samepoint.errors import DataError, RunError
from samepoint.fusion.frames import PosedFrame
from samepoint.fusion.open3d import open3d
from samepoint.fusion.settings import Box

RESOLUTION = 8
"""Voxels along an edge of a block."""
MILLIMETRE = 1000.0
CORNER = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
"""Open3D reads the pixel whose square holds a point: its pixels count from the corner, ours from the centre."""


@dataclass(frozen=True)
class Surface:
    """A triangle mesh in the world frame, metres; colours in [0, 1]."""

    vertices: Float32[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]
    colours: Float32[np.ndarray, "v 3"]


class Volume:
    """Fuses frames into signed distances. `box` bounds what is kept."""

    def __init__(
        self, voxel: float, truncation: float = 5.0, box: Box | None = None, device: str = "cpu"
    ) -> None:
        o3d = open3d()
        self._core, self._image = o3d.core, o3d.t.geometry.Image
        self.voxel, self.truncation, self.box = voxel, truncation, box
        self._device = o3d.core.Device(open3d_device(device))
        names, kinds = (
            ("tsdf", "weight", "color"),
            (o3d.core.float32, o3d.core.uint16, o3d.core.uint16),
        )
        self._grid: Any = o3d.t.geometry.VoxelBlockGrid(
            names, kinds, ((1), (1), (3)), voxel, RESOLUTION, 4096, self._device
        )

    def integrate(self, frame: PosedFrame, far: float) -> None:
        """Adds a frame; depth beyond `far` metres is not used."""
        if not ((frame.depth > 0) & (frame.depth <= far)).any():
            return
        core = self._core
        depth = self._image(core.Tensor(np.ascontiguousarray(frame.depth * MILLIMETRE))).to(self._device)
        colour = self._image(core.Tensor(np.ascontiguousarray(frame.image, dtype=np.float32)))
        intrinsics = core.Tensor(frame.intrinsics + CORNER)
        camera_from_world = core.Tensor(np.linalg.inv(frame.world_from_camera))
        blocks = self._grid.compute_unique_block_coordinates(
            depth, intrinsics, camera_from_world, MILLIMETRE, far, self.truncation
        )
        blocks = self._within_box(blocks)
        if len(blocks):
            self._grid.integrate(
                *(blocks, depth, colour.to(self._device), intrinsics, intrinsics, camera_from_world),
                *(MILLIMETRE, far, self.truncation),
            )

    def surface(self, weight: float) -> Surface:
        """The mesh where at least `weight` frames agree that there is one. DataError if there is nothing."""
        if not self._grid.hashmap().size():
            raise DataError(
                "nothing was fused: no depth lies in the workspace", mend="look at near, far and box"
            )
        mesh = self._grid.extract_triangle_mesh(weight).cpu()
        if "positions" not in mesh.vertex or not len(mesh.vertex.positions):
            raise DataError("no surface was seen often enough", mend="give more frames, or a larger voxel")
        vertices = mesh.vertex.positions.numpy()
        triangles = mesh.triangle.indices.numpy().astype(np.int32)
        colours = mesh.vertex.colors.numpy() if "colors" in mesh.vertex else np.full_like(vertices, 0.5)
        colours = colours.astype(np.float32)
        return Surface(vertices, triangles, colours / 255 if colours.max(initial=0) > 1.5 else colours)

    def blocks(self) -> int:
        """How many blocks of `RESOLUTION`^3 voxels there are."""
        return int(self._grid.hashmap().size())

    def _within_box(self, blocks: Any) -> Any:
        if self.box is None:
            return blocks
        edge = RESOLUTION * self.voxel
        low = blocks.cpu().numpy() * edge
        kept = inside(low + edge, (*self.box[:3], *([np.inf] * 3))) & inside(
            low, (*([-np.inf] * 3), *self.box[3:])
        )
        return blocks[self._core.Tensor(kept).to(blocks.device)]


def fuse(volume: Volume, frames: Iterable[PosedFrame], far: float) -> Volume:
    """`volume` with all frames in it."""
    for frame in frames:
        volume.integrate(frame, far)
    return volume


def inside(points: np.ndarray, box: tuple[float, ...]) -> Bool[np.ndarray, " n"]:
    """Which points lie in the box (lowest, highest)."""
    return ((points >= np.array(box[:3])) & (points <= np.array(box[3:]))).all(1)


def open3d_device(name: str) -> str:
    """ "auto" is CUDA where there is one that Open3D was built for. RunError for "cuda" where there is none."""
    if name == "auto":
        usable = torch.cuda.is_available() and open3d().core.cuda.is_available()
        return "CUDA:0" if usable else "CPU:0"
    if name == "cuda" and not open3d().core.cuda.is_available():
        mend = "use --device auto or cpu, or install Open3D's CUDA build (open3d) in place of open3d-cpu"
        raise RunError("this build of Open3D finds no CUDA", mend=mend)
    return "CUDA:0" if name == "cuda" else "CPU:0"
