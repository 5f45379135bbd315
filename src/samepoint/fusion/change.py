"""Change detection (the masks of Dense Object Nets): what lies before the surface of the empty scene is an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from samepoint.fusion.frames import PosedFrame
from samepoint.fusion.views import MeshViews

DEEPER = 0.01
"""Metres (and this share of the depth) by which the empty scene must lie behind what is measured."""


def changed(frames: Iterable[PosedFrame], empty: MeshViews) -> Iterator[PosedFrame]:
    """The frames with nothing but what the empty scene does not show. Where it was not seen, all is kept."""
    for frame in frames:
        size = (frame.depth.shape[0], frame.depth.shape[1])
        behind, _ = empty.render(frame.intrinsics, frame.world_from_camera, size)
        before = (behind == 0) | (frame.depth < behind - DEEPER * (1 + frame.depth))
        yield replace(frame, depth=np.where(before, frame.depth, np.float32(0.0)))
