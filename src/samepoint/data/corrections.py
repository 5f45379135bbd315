"""What a recording's maker may have written otherwise than its form says, put right as it is read.

`samepoint data doctor` finds out which of these a recording needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.recording import Dataset, DepthQuantiles, View
from samepoint.errors import DataError
from samepoint.geometry.motions import invert

Axes = Literal["opencv", "opengl", "left-handed", "turned"]
Direction = Literal["camera-to-world", "world-to-camera"]
OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
"""camera_opengl from camera_opencv, and back."""
TURNED = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
"""The same for a camera whose x points left and y up (RLBench)."""
MIRROR = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))
"""From a left-handed frame (x right, y up, z forward) to a right-handed one, and back."""


@dataclass(frozen=True)
class Corrections:
    """How poses and depth are written.

    `axes`: the camera's axes in its poses, "opencv" (x right, y down, z forward), "opengl" (x right, y up, z
    backward), "left-handed" (x right, y up, z forward, and the world left-handed too: ICL-NUIM, Unity) or "turned" (x
    left, y up, z forward: RLBench). `poses`: "camera-to-world" or "world-to-camera". `depth_scale`: metres a depth
    unit, in place of what the recording says. `world_scale`: metres a unit of the poses.
    """

    axes: Axes = "opencv"
    poses: Direction = "camera-to-world"
    depth_scale: float | None = None
    world_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("depth_scale", "world_scale"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise DataError(f"{name} is {value}", mend="give the metres of one unit, such as 0.001")


def as_meant(written: Float[Tensor, "*b 4 4"], poses: Direction, axes: Axes) -> Float[Tensor, "*b 4 4"]:
    """`world_from_camera` with OpenCV's axes, a new tensor, of poses that are written otherwise."""
    pose = invert(written) if poses == "world-to-camera" else written
    if axes == "left-handed":
        return MIRROR @ pose @ MIRROR
    if axes == "turned":
        return pose @ TURNED
    return pose @ OPENGL if axes == "opengl" else pose.clone()


def corrected(dataset: Dataset, corrections: Corrections) -> Dataset:
    """The data set with poses and depth as the contract wants them."""
    if corrections == Corrections():
        return dataset
    change = partial(_view, corrections)
    return replace(dataset, recordings=tuple(r.with_views(change) for r in dataset.recordings))


def _view(corrections: Corrections, view: View) -> View:
    pose, depth, quantiles = view.world_from_camera, view.depth, view.depth_quantiles
    if pose is not None:
        pose = as_meant(pose, corrections.poses, corrections.axes)
        pose[:3, 3] *= corrections.world_scale
    if depth is not None and corrections.depth_scale is not None:
        quantiles = _scaled(quantiles, corrections.depth_scale / depth.metres_per_unit)
        depth = replace(depth, metres_per_unit=corrections.depth_scale)
    return replace(view, world_from_camera=pose, depth=depth, depth_quantiles=quantiles)


def _scaled(quantiles: DepthQuantiles | None, factor: float) -> DepthQuantiles | None:
    """Quantiles grow as the depth beside them does, whatever the units of both."""
    if quantiles is None:
        return None
    return replace(quantiles, metres_per_unit=quantiles.metres_per_unit * factor)
