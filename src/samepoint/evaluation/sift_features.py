"""OpenCV's SIFT descriptors at any point, scale and orientation.

A scale is an exponent in thirds of an octave: the blur is sigma = 1.6 * 2^(exponent / 3) pixels (Lowe 2004,
three layers an octave), the descriptor 4 x 4 bins of 3 sigma each. OpenCV reads it from its Gaussian pyramid
and rounds the position to whole pixels of the octave it is told to use, that is to 2^octave image pixels. So
there are two ways to ask: `coarse` (Lowe's octave: fast, rounded more at large scales) and `fine` (the lowest
octave that still has the scale: slower, rounded to one pixel up to exponent 5).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

SIGMA = 1.6
LAYERS = 3
LOWEST = -2
"""The smallest exponent OpenCV has: the image enlarged two times."""

Octave = Literal["coarse", "fine"]


def describe(
    grey: UInt8[np.ndarray, "h w"],
    uv: Float[np.ndarray, "n 2"],
    exponents: Int[np.ndarray, "n e"],
    angles: Float[np.ndarray, " n"],
    *,
    octave: Octave = "coarse",
    root: bool = True,
) -> Float[np.ndarray, "n e 128"]:
    """Unit descriptors of every point, at its own orientation (degrees) and its own scales.

    `root`: RootSIFT (Arandjelovic and Zisserman 2012), square roots of the L1-normalised values, so that the
    dot product is the Hellinger kernel. Points are rounded as the module says and clamped to the image. One
    call for many points is much faster than many calls: each builds the pyramid.
    """
    height, width = grey.shape
    places = np.clip(uv, 0, [width - 1, height - 1]).tolist()
    points = [
        _keypoint(u, v, exponent, angle, octave)
        for (u, v), scales, angle in zip(places, exponents.tolist(), angles.tolist(), strict=True)
        for exponent in scales
    ]
    if not points:
        return np.zeros((*exponents.shape, 128), dtype=np.float32)
    kept, values = cv2.SIFT.create(nOctaveLayers=LAYERS).compute(grey, points)
    if len(kept) != len(points):
        raise RuntimeError("OpenCV dropped keypoints")  # it does not, for points inside the image
    return normalised(values, root).reshape(*exponents.shape, 128)


def detect(
    grey: UInt8[np.ndarray, "h w"], *, contrast: float = 0.01, root: bool = True
) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, "k 128"]]:
    """SIFT's own keypoints (position; descriptor at their own scale and orientation).

    `contrast`: OpenCV's contrastThreshold; lower than its default keeps more of them.
    """
    sift = cv2.SIFT.create(nOctaveLayers=LAYERS, contrastThreshold=contrast)
    points, values = sift.compute(grey, sift.detect(grey))
    if values is None:
        return np.zeros((0, 2), dtype=np.float32), np.zeros((0, 128), dtype=np.float32)
    return np.array([point.pt for point in points], dtype=np.float32), normalised(values, root)


def normalised(values: Float[np.ndarray, "n d"], root: bool) -> Float[np.ndarray, "n d"]:
    """RootSIFT, or unit Euclidean length; a descriptor of a flat patch is zero."""
    if root:
        return np.sqrt(values / np.maximum(values.sum(1, keepdims=True), 1e-6))
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _keypoint(u: float, v: float, exponent: int, angle: float, octave: Octave) -> cv2.KeyPoint:
    exponent = max(exponent, LOWEST)
    if octave == "coarse" or exponent <= 0:
        level = (exponent - 1) // LAYERS
    else:
        level = max(0, -((LAYERS + 2 - exponent) // LAYERS))
    layer = exponent - LAYERS * level
    size = 2 * SIGMA * 2 ** (exponent / LAYERS)
    return cv2.KeyPoint(u, v, size, angle, 0.0, (level & 255) | (layer << 8), -1)
