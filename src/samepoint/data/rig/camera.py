"""A calibrated camera of a rig: what a calibration file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from samepoint.geometry.lenses import Lens
from samepoint.types import Size


@dataclass(frozen=True)
class Camera:
    """`size` (height, width) of its images; `intrinsics` of the image as recorded, in pixels of that size; `lens`
    what bends it (None: nothing). `world_from_camera`: metres, OpenCV axes; the world is the calibration's own."""

    name: str
    size: Size
    intrinsics: Float[Tensor, "3 3"]
    world_from_camera: Float[Tensor, "4 4"]
    lens: Lens | None = None


Calibration = Mapping[str, Camera]
"""Cameras by name."""
