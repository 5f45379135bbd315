"""The robot in a wrist camera's view, from a recording that shows nothing else: it stays where it is in the image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from samepoint.data.decode import decode_view
from samepoint.data.recording import View
from samepoint.errors import DataError
from samepoint.fusion.frames import depth_of

REACH = 0.5
"""Metres: what is farther from a wrist camera is not its gripper."""
STEADY = 0.01
"""Metres by which the gripper's depth varies."""
SEEN = 0.6
"""Share of the images in which a pixel of the robot has depth."""
BORDER = 5
"""Pixels that are added round the robot."""


def robot_pixels(views: Sequence[View]) -> Bool[np.ndarray, "h w"]:
    """The pixels whose depth is near and hardly changes over a robot-only recording. DataError for images of
    different sizes."""
    depths: list[Float32[np.ndarray, "h w"]] = [depth_of(decode_view(view)) for view in views[:200]]
    if len({depth.shape for depth in depths}) != 1:
        raise DataError("the images of the robot-only recording differ in size", where=views[0].image.parent)
    stack = np.stack(depths)
    stack[stack <= 0] = np.nan
    seen = np.isfinite(stack).mean(0) >= SEEN
    with np.errstate(all="ignore"):
        low, middle, high = np.nanquantile(np.where(seen, stack, 0.0), (0.1, 0.5, 0.9), axis=0)
    still = seen & (middle < REACH) & (middle > 0) & (high - low < STEADY)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BORDER + 1, 2 * BORDER + 1))
    return cv2.dilate(still.astype(np.uint8), kernel).astype(bool)
