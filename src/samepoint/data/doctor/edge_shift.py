"""Edges of depth against edges of colour, shifted over a window: where they meet best.

Where depth jumps, an object ends, and there colour mostly has an edge of the same direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8

from samepoint.data.doctor.footage import Shot

REACH = 16
"""Pixels to either side that are tried."""
LEAST_SIDE = 4 * REACH
"""Pixels of an image's shorter side below which nothing is measured."""
JUMP = 0.02
"""Slope of the logarithm of depth, a pixel, that is an edge."""
NEIGHBOURS = 3
"""Pixels round the best shift that are no other place."""
SIDE_SHARE = 0.08
"""Of all edges, what a direction must have to be a side."""
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Into which edges are sorted, by the direction (u, v) in which depth grows."""


@dataclass(frozen=True)
class Shift:
    """Where colour fits depth best: its edges lie (u, v) pixels from those of depth, of an image `width` wide.

    `best`, `here` and `usual`: how well edges meet there, without shift, and at the median of all shifts, in [0, 1].
    `rival`: how well at the best other place. `deviations`: how far the best exceeds other places, in their standard
    deviations. `halves`: the largest distance of the best shift of a half of the frames from that of all, pixels.
    `sides`: what edges that face along the shift and against it gain, as far as there are such.
    """

    u: float
    v: float
    width: int
    edges: int
    best: float
    here: float
    usual: float
    rival: float = 0.0
    deviations: float = math.inf
    halves: float = 0.0
    sides: tuple[float, ...] = ()

    @property
    def length(self) -> float:
        return float(np.hypot(self.u, self.v))

    @property
    def stands_out(self) -> float:
        return self.best - self.usual

    @property
    def lost(self) -> float:
        """Share of what the best place stands out by that is lost without the shift."""
        return (self.best - self.here) / max(self.stands_out, 1e-9)


def measure_shift(shots: Sequence[Shot]) -> Shift | None:
    """The shift that fits all shots best, of width 0 where they are too small; None without depth."""
    found: list[tuple[Float64[np.ndarray, "4 s s"], Int[np.ndarray, " 4"]]] = []
    there, width = False, 0
    for shot in shots:
        there = there or shot.depth is not None
        if shot.depth is None or min(shot.size) < LEAST_SIDE:
            continue
        width = shot.size[1]
        found.append(_meeting(shot.image, np.ascontiguousarray(shot.depth.numpy(), dtype=np.float32)))
    if not found:
        return Shift(0.0, 0.0, 0, 0, 0.0, 0.0, 0.0) if there else None
    met, number = np.stack([one for one, _ in found]), np.stack([count for _, count in found])
    edges = int(number.sum())
    total = met.sum((0, 1)) / max(edges, 1)
    u, v = _best(total)
    here, best, usual = float(total[REACH, REACH]), float(total.max()), float(np.median(total))
    row, column = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    others = total[np.hypot(column - u, row - v) > NEIGHBOURS]
    halves = [_best(met[start::2].sum((0, 1))) for start in (0, 1)] if len(met) > 1 else [(np.inf, np.inf)]
    return Shift(
        float(u),
        float(v),
        width,
        edges,
        best,
        here,
        usual,
        float(others.max()),
        float((best - others.mean()) / max(others.std(), 1e-9)),
        max(float(np.hypot(a - u, b - v)) for a, b in halves),
        _sides(met.sum(0), number.sum(0), int(u), int(v)),
    )


def _best(met: Float64[np.ndarray, "s s"]) -> tuple[float, float]:
    row, column = np.unravel_index(int(met.argmax()), met.shape)
    return float(column) - REACH, float(row) - REACH


def _sides(
    met: Float64[np.ndarray, "4 s s"], number: Int[np.ndarray, " 4"], u: int, v: int
) -> tuple[float, ...]:
    """What edges of each direction along the shift (u, v) or against it gain by it."""
    gains = []
    for direction, one, count in zip(DIRECTIONS, met, number, strict=True):
        along = abs(direction[0] * u + direction[1] * v) / max(math.hypot(u, v), 1e-9)
        if along > 0.5 and count > SIDE_SHARE * number.sum():
            gains.append(float(one[v + REACH, u + REACH] - one[REACH, REACH]) / int(count))
    return tuple(gains)


def depth_edges(
    depth: Float32[np.ndarray, "h w"],
) -> tuple[Bool[np.ndarray, "h w"], Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Pixels where depth jumps, and the direction of the jump (u, v), a unit vector. Small holes are closed."""
    whole = cv2.medianBlur(closed(depth), 5)
    sure = cv2.erode((whole > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    logarithm = np.log(np.maximum(whole, 1e-6)).astype(np.float32)
    u, v = (cv2.Sobel(logarithm, cv2.CV_32F, *axis) / 8 for axis in ((1, 0), (0, 1)))
    steep = np.where(sure, np.hypot(u, v), 0).astype(np.float32)
    crest = steep >= 0.99 * cv2.dilate(steep, np.ones((3, 3), np.uint8))
    length = np.maximum(steep, 1e-9)
    return (steep > JUMP) & crest, u / length, v / length


def _meeting(
    image: UInt8[np.ndarray, "h w 3"], depth: Float32[np.ndarray, "h w"]
) -> tuple[Float64[np.ndarray, "4 s s"], Int[np.ndarray, " 4"]]:
    """For each of `DIRECTIONS` and every shift (v, u): the sum over depth's edges of colour's edge across them, each
    at most 1; and how many edges there are."""
    edge, along_u, along_v = depth_edges(depth)
    margin = REACH + 2
    inner = np.zeros_like(edge)
    inner[margin:-margin, margin:-margin] = edge[margin:-margin, margin:-margin]
    rows, columns = np.nonzero(inner)
    side = 2 * REACH + 1
    met = np.zeros((4, side, side))
    if not len(rows):
        return met, np.zeros(4, np.int64)
    colour_u, colour_v = _colour_edges(image)
    du, dv = along_u[rows, columns], along_v[rows, columns]
    direction = np.rint(np.arctan2(dv, du) / (np.pi / 2)).astype(np.int64) % 4
    for i in range(side):
        for j in range(side):
            at = rows + i - REACH, columns + j - REACH
            across = np.minimum(np.abs(colour_u[at] * du + colour_v[at] * dv), 1)
            met[:, i, j] = np.bincount(direction, across, minlength=4)
    return met, np.bincount(direction, minlength=4)


def _colour_edges(
    image: UInt8[np.ndarray, "h w 3"],
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """The gradient of the channel that changes most, in units of the image's 90th percentile."""
    soft = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    u, v = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    length = np.hypot(u, v)
    channel = length.argmax(2)[..., None]
    u, v, length = (np.take_along_axis(values, channel, 2)[..., 0] for values in (u, v, length))
    usual = np.float32(np.quantile(length, 0.9) + 1e-6)
    return u / usual, v / usual


def closed(depth: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Holes of a few pixels filled with the mean of what is known around them."""
    filled = depth
    for width in (3, 5, 7):
        there = (filled > 0).astype(np.float32)
        total = cv2.boxFilter(filled, -1, (width, width), normalize=False)
        number = cv2.boxFilter(there, -1, (width, width), normalize=False)
        mean = np.where(number >= 2, total / np.maximum(number, 1), 0)
        filled = np.where(filled > 0, filled, mean).astype(np.float32)
    return filled
