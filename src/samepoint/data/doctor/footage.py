"""The views of a recording in the order of time, and some of them decoded.

Lists of one take are one again (`takes`). Masks are not decoded: `masks` looks at their files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from samepoint.data.decode import DecodedView, decode_view
from samepoint.data.recording import Dataset, Mode, Recording, View
from samepoint.data.takes import takes
from samepoint.geometry.lenses import undistort_image
from samepoint.geometry.pixels import resize_intrinsics

WIDE = 320
"""Images are reduced to this long side for everything but registration."""


@dataclass(frozen=True)
class Footage:
    """Views in order. `moments` and `times` (seconds) are those of each view."""

    name: str
    mode: Mode
    views: tuple[View, ...]
    moments: tuple[int, ...]
    times: tuple[float | None, ...]


@dataclass(frozen=True)
class Shot:
    """A decoded view: depth in metres as written, 0 unknown; intrinsics of the reduced image."""

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    depth: Float[Tensor, "h w"] | None
    intrinsics: Float[Tensor, "3 3"] | None

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]


def footage_of(dataset: Dataset) -> tuple[Footage, ...]:
    """One a take: the lists of one pass of a camera are one."""
    return tuple(_footage(take.whole) for take in takes(dataset.recordings) if next(take.whole.views(), None))


def evenly(items: Iterable[int], number: int) -> list[int]:
    """At most `number` of the items, evenly spread, in order."""
    items = list(items)
    if len(items) <= number:
        return items
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, number).round().astype(int))]


def shoot(
    footage: Footage, numbers: Iterable[int], invalid: Collection[int] = (), long_side: int = WIDE
) -> dict[int, Shot]:
    """The views of these numbers, decoded. Depth of the raw values `invalid` is unknown."""
    return {i: _shot(footage.views[i], invalid, long_side) for i in sorted(set(numbers))}


def straight(view: View, arrays: DecodedView) -> DecodedView:
    """The arrays without the bending of the view's lens."""
    if view.lens is None or view.lens.straight or view.intrinsics is None:
        return arrays
    k, lens = view.intrinsics, view.lens
    depth = None if arrays.depth is None else undistort_image(arrays.depth, k, lens, "nearest")
    return replace(arrays, image=undistort_image(arrays.image, k, lens), depth=depth)


def _shot(view: View, invalid: Collection[int], long_side: int) -> Shot:
    bare = replace(view, placements=(), depth_quantiles=None)
    bent = view.lens is not None and not view.lens.straight
    arrays = straight(view, decode_view(bare, None if bent else long_side))
    depth, intrinsics, size = None, view.intrinsics, (arrays.image.shape[0], arrays.image.shape[1])
    if arrays.depth is not None and arrays.metres_per_unit is not None:
        raw = np.where(np.isin(arrays.depth, list(invalid)), 0, arrays.depth)
        depth = torch.from_numpy(raw.astype(np.float32) * np.float32(arrays.metres_per_unit))
    if intrinsics is not None:
        intrinsics = resize_intrinsics(intrinsics, arrays.source_size, size)
    return Shot(view.image.name, arrays.image, depth, intrinsics)


def _footage(recording: Recording) -> Footage:
    entries = [(view, m, moment.time) for m, moment in enumerate(recording.moments) for view in moment.views]
    return Footage(
        recording.name,
        recording.mode,
        tuple(view for view, _, _ in entries),
        tuple(m for _, m, _ in entries),
        tuple(None if time is None else float(time) for _, _, time in entries),
    )
