"""The frames of a scan as fusion takes them: decoded one at a time, never all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from samepoint.data.decode import DecodedView, decode_view
from samepoint.data.recording import Recording, View
from samepoint.errors import DataError

EDGE = 0.03
"""A depth that differs by more than this share from a neighbour's may be a mixture of both: it is not fused."""


@dataclass(frozen=True)
class PosedFrame:
    """Colour, depth in metres (0 unknown), camera matrix and `world_from_camera`."""

    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    intrinsics: Float64[np.ndarray, "3 3"]
    world_from_camera: Float64[np.ndarray, "4 4"]


def usable_views(recording: Recording) -> list[View]:
    """The views with depth, pose and camera matrix. DataError if there are none."""
    views = [
        view
        for view in recording.views()
        if view.depth is not None and view.world_from_camera is not None and view.intrinsics is not None
    ]
    if not views:
        raise DataError(
            "no image has depth, pose and intrinsics",
            where=recording.name,
            mend="fuse a registered RGB-D recording",
        )
    return views


def read_frames(
    views: Sequence[View], near: float, far: float, ignored: Bool[np.ndarray, "h w"] | None = None
) -> Iterator[PosedFrame]:
    """The frames with depth outside of near..far, at depth edges and at `ignored` pixels (of the robot) left out."""
    for view in views:
        arrays = decode_view(view)
        metres = depth_of(arrays)
        kept = (metres >= near) & (metres <= far) & smooth(metres)
        if ignored is not None:
            kept &= ~ignored
        yield PosedFrame(
            arrays.image,
            np.where(kept, metres, np.float32(0.0)),
            *camera_of(view),
        )


def depth_of(arrays: DecodedView) -> Float32[np.ndarray, "h w"]:
    """Metres, 0 unknown."""
    if arrays.depth is None or arrays.metres_per_unit is None:
        return np.zeros(arrays.image.shape[:2], dtype=np.float32)
    return arrays.depth.astype(np.float32) * np.float32(arrays.metres_per_unit)


def camera_of(view: View) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "4 4"]]:
    """Camera matrix and `world_from_camera` of a usable view."""
    if view.intrinsics is None or view.world_from_camera is None:
        raise DataError("this image has no pose or no camera matrix", where=view.image)
    return view.intrinsics.double().numpy(), view.world_from_camera.double().numpy()


def smooth(depth: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Where no known neighbour's depth differs by more than `EDGE` of it."""
    known = depth > 0
    kernel = np.ones((3, 3), np.uint8)
    highest = cv2.dilate(depth, kernel)
    lowest = cv2.erode(np.where(known, depth, np.float32(np.inf)), kernel)
    return known & (highest - lowest <= EDGE * depth)
