"""The ways in which the numbers of a recording may be meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from samepoint.data.corrections import Axes, Corrections, Direction, as_meant
from samepoint.geometry.pixels import resize_matrix

STEPS = 7200
"""Sizes are fractions of this: halves to tenths of an image are exact."""


@dataclass(frozen=True)
class Reading:
    """One way to read poses, depth and intrinsics.

    `poses`, `axes`: see `Corrections`. `scale`: metres a metre of depth as read, in the unit of the poses: frames
    cannot tell a depth unit that is too large from a unit of the poses that is too small. `along`: depth is measured
    along the optical axis or along each pixel's ray. `size`: the camera matrix is of an image so many times smaller.
    `focal`: the true focal length over the written one. `late`: the pose of frame n stands at frame n + late.
    """

    poses: Direction = "camera-to-world"
    axes: Axes = "opencv"
    scale: float = 1.0
    along: Literal["axis", "ray"] = "axis"
    size: float = 1.0
    focal: float = 1.0
    late: int = 0

    @staticmethod
    def given(corrections: Corrections) -> Reading:
        """The reading that the command line asks for. (Its depth scale is applied when depth is decoded.)"""
        return Reading(corrections.poses, corrections.axes, 1 / corrections.world_scale)

    def world_from_camera(self, written: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
        """Poses as read; translations in metres of depth as written."""
        pose = as_meant(written, self.poses, self.axes)
        pose[..., :3, 3] /= self.scale
        return pose

    def camera(self, written: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
        """Intrinsics as read."""
        matrix = written.clone()
        matrix[..., :2, :2] *= self.focal
        if self.size == 1.0:
            return matrix
        larger = round(STEPS * self.size)
        return matrix.new_tensor(resize_matrix((STEPS, STEPS), (larger, larger))) @ matrix
