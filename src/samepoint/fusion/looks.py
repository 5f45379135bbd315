"""Where a scan's cameras look: what the recording is about, apart from the room that is seen behind it.

The plane with most points in a scan may be the floor or a wall. What counts is near the points that the middles of
the images show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from samepoint.fusion.frames import PosedFrame

MIDDLE = 0.5
"""Share of the width and of the height of an image."""
REACH = 0.8
"""Of the cameras' (median) distance from what they look at."""
AGREE = 0.1
"""Share of the cameras that must look near a point. Not all: a camera may sweep along a table."""


@dataclass(frozen=True)
class Look:
    """The point (world) on the optical axis at the median depth of the middle of the image; that depth (metres)."""

    point: Float64[np.ndarray, " 3"]
    distance: float


def look_of(frame: PosedFrame) -> Look | None:
    """None where the middle has no depth."""
    height, width = frame.depth.shape
    top, left = int(height * (1 - MIDDLE) / 2), int(width * (1 - MIDDLE) / 2)
    middle = frame.depth[top : height - top, left : width - left]
    if not (middle > 0).any():
        return None
    distance = float(np.median(middle[middle > 0]))
    pose = frame.world_from_camera
    return Look(pose[:3, 3] + distance * pose[:3, 2], distance)


def noting(frames: Iterable[PosedFrame], looks: list[Look]) -> Iterator[PosedFrame]:
    """The same frames; their looks are added to the list on the way."""
    for frame in frames:
        look = look_of(frame)
        if look is not None:
            looks.append(look)
        yield frame


def looked_at(points: Float[np.ndarray, "n 3"], looks: Sequence[Look]) -> Bool[np.ndarray, " n"]:
    """Which points enough of the cameras look near; all of them without looks."""
    if not looks:
        return np.ones(len(points), dtype=bool)
    reach = REACH * float(np.median([look.distance for look in looks]))
    near = sum((np.linalg.norm(points - look.point, axis=1) < reach).astype(np.int64) for look in looks)
    return np.asarray(near >= AGREE * len(looks))
