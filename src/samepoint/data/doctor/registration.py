"""Whether depth lies on colour: edges of depth against edges of colour, shifted over a window.

Where depth jumps, an object ends, and there colour mostly has an edge of the same direction. The shift at which most
of them meet is the registration's error. Both images are reduced to at most 640 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Shot

CHECK = "registration"
FRAMES, LONG_SIDE = 12, 640
REACH = 16
"""Pixels to either side that are tried."""
JUMP = 0.02
"""Slope of the logarithm of depth, a pixel, that is an edge."""
LARGE, LOOSE = 0.012, 0.005
"""Shares of the width: a shift above the first is a fault; above the second it is mentioned."""
LEAST_PIXELS = 1.5
CONTRAST, GAIN, HARDLY = 0.06, 0.35, 0.2
"""How far the best shift must stand out of all shifts; which share of that must be lost without the shift to make it
a fault; and for it to be worth a word."""
ENOUGH_EDGES = 200


@dataclass(frozen=True)
class Shift:
    """Where colour fits depth best: its edges lie (u, v) pixels from those of depth, of an image `width` wide.

    `best`, `here` and `usual`: how well edges meet there, without shift, and at the median of all shifts, in [0, 1].
    """

    u: float
    v: float
    width: int
    edges: int
    best: float
    here: float
    usual: float

    @property
    def length(self) -> float:
        return float(np.hypot(self.u, self.v))


def check_registration(shift: Shift | None) -> Finding:
    if shift is None:
        return Finding(CHECK, "not applicable", "there is no depth")
    if shift.edges < ENOUGH_EDGES:
        return Finding(CHECK, "undecided", f"depth has too few edges ({shift.edges} pixels)")
    stands_out = shift.best - shift.usual
    if stands_out < CONTRAST:
        return Finding(CHECK, "undecided", "edges of depth and of colour meet nowhere better than elsewhere")
    where = f"{shift.length:.1f} pixels ({shift.u:+.0f}, {shift.v:+.0f}) of {shift.width}"
    meet = f"edges meet there {shift.best:.2f} of 1, unshifted {shift.here:.2f}"
    lost = (shift.best - shift.here) / stands_out
    if shift.length > max(LEAST_PIXELS, LARGE * shift.width) and lost > GAIN:
        mend = f"register depth to colour again, or shift depth by ({shift.u:+.0f}, {shift.v:+.0f}) pixels"
        return Finding(CHECK, "fault", f"colour lies {where} from depth: {meet}", mend)
    if shift.length > max(LEAST_PIXELS, LOOSE * shift.width) and lost < HARDLY:
        return Finding(
            CHECK, "undecided", f"edges of depth are too rough: best {where} away, but hardly; {meet}"
        )
    if shift.length > max(LEAST_PIXELS, LOOSE * shift.width):
        return Finding(CHECK, "undecided", f"colour may lie {where} from depth, a loose registration: {meet}")
    return Finding(CHECK, "right", f"edges of depth and colour fit within {where}: {meet}")


def measure_shift(shots: Sequence[Shot]) -> Shift | None:
    """The shift that fits all shots best; None without depth."""
    side = 2 * REACH + 1
    total, edges, width = np.zeros((side, side)), 0, 0
    for shot in shots:
        if shot.depth is None or min(shot.size) < 4 * REACH:
            continue
        width = shot.size[1]
        met, number = _meeting(shot.image, np.ascontiguousarray(shot.depth.numpy(), dtype=np.float32))
        total += met
        edges += number
    if width == 0:
        return None
    total /= max(edges, 1)
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    u, v = float(column) - REACH, float(row) - REACH
    return Shift(u, v, width, edges, float(total.max()), float(total[REACH, REACH]), float(np.median(total)))


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
) -> tuple[Float64[np.ndarray, "s s"], int]:
    """For every shift (v, u): the sum over depth's edges of colour's edge across them, each at most 1."""
    edge, along_u, along_v = depth_edges(depth)
    margin = REACH + 2
    inner = np.zeros_like(edge)
    inner[margin:-margin, margin:-margin] = edge[margin:-margin, margin:-margin]
    rows, columns = np.nonzero(inner)
    side = 2 * REACH + 1
    met = np.zeros((side, side))
    if not len(rows):
        return met, 0
    colour_u, colour_v = _colour_edges(image)
    du, dv = along_u[rows, columns], along_v[rows, columns]
    for i in range(side):
        for j in range(side):
            at = rows + i - REACH, columns + j - REACH
            met[i, j] = np.minimum(np.abs(colour_u[at] * du + colour_v[at] * dv), 1).sum()
    return met, len(rows)


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
