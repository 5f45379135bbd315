"""Settings of a fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from samepoint.errors import DataError

Box = tuple[float, float, float, float, float, float]
"""Lowest x y z, highest x y z; metres, world."""


@dataclass(frozen=True)
class FusionSettings:
    """How a scan becomes a mesh, and the mesh objects. Lengths are metres.

    `voxel`: edge of a voxel; `truncation`: the surface's neighbourhood that is updated, in voxels. `near`, `far`:
    depth below and above is not used (`near` cuts a gripper away that a wrist camera sees). `box`: the workspace in
    world coordinates; None: what the first, coarse pass finds round the support plane. `planes`: how many planes to
    take away: the support, then walls. `height`: what lies lower over the support is not an object's. `gap`: points
    farther apart belong to different objects. `smallest`: objects whose longest edge is shorter are dropped.
    `coarse`: voxel of the first pass. `seen`: so many frames must agree on a surface; more drop noise, and sides that
    few frames see. `refine`: make poses agree with the surface and fuse once more. `device`: of the volume.
    """

    voxel: float = 0.003
    truncation: float = 5.0
    near: float = 0.1
    far: float = 3.0
    box: Box | None = None
    planes: int = 1
    height: float = 0.01
    gap: float = 0.015
    smallest: float = 0.02
    coarse: float = 0.02
    seen: int = 2
    refine: bool = True
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        for name in ("voxel", "truncation", "height", "gap", "smallest", "coarse", "far"):
            if not 0 < getattr(self, name) < float("inf"):
                raise DataError(f"{name} is {getattr(self, name)}", mend="give metres above 0")
        if not 0 <= self.near < self.far:
            raise DataError(f"near is {self.near}, far {self.far}", mend="give 0 <= near < far")
        if self.planes < 0:
            raise DataError(f"planes is {self.planes}", mend="give 0 or more")
        if self.seen < 1:
            raise DataError(f"seen is {self.seen}", mend="give 1 or more frames")
        if self.box is not None and any(low >= high for low, high in zip(self.box[:3], self.box[3:])):
            raise DataError(f"the box {self.box} is empty", mend="give lowest x y z, then highest x y z")
