"""The density along each ray of a NeRF, read as a distribution of depths.

A ray has n samples at depths `z`, ascending, with weights that are at least 0 and sum to its opacity (at most 1).
Divided by their sum, the weights are the probabilities of the depths. Both functions return depths of samples, never
something between two of them: between a near and a far surface there is nothing to see.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32

BLOCK = 2**21
"""Samples that are looked at together: 16 MB in double precision."""
OPAQUE = 0.5


def ray_quantiles(
    z: Float[np.ndarray, "h w n"], weight: Float[np.ndarray, "h w n"], number: int
) -> Float32[np.ndarray, "m h w"]:
    """The depths at the probabilities (k + 1/2) / number of every ray, k = 0 ... number - 1.

    The quantile is the first depth at which the cumulated probability reaches it. NaN where the weights sum to 0 or
    one is negative or not finite. The arrays may be memory maps: they are read a block of rows at a time.
    """
    quantiles = np.full((number, *z.shape[:2]), np.nan, dtype=np.float32)
    for rows in row_blocks(z.shape):
        depths, share = z[rows], weight[rows]
        cumulated = np.cumsum(share, axis=2, dtype=np.float64)
        total = cumulated[..., -1]
        known = np.isfinite(total) & (total > 0) & (share >= 0).all(axis=2)
        for k in range(number):
            reached = (cumulated < (k + 0.5) / number * total[..., None]).sum(axis=2)
            quantiles[k, rows] = np.where(known, _at(depths, np.where(known, reached, 0)), np.nan)
    return quantiles


def likeliest_depth(
    z: Float[np.ndarray, "h w n"], weight: Float[np.ndarray, "h w n"]
) -> Float32[np.ndarray, "h w"]:
    """The depth of the largest weight; 0, unknown, on rays that are less than half opaque or not finite."""
    depth = np.zeros(z.shape[:2], dtype=np.float32)
    for rows in row_blocks(z.shape):
        share = weight[rows]
        opaque = share.sum(axis=2, dtype=np.float64) >= OPAQUE  # false for NaN
        depth[rows] = np.where(opaque, _at(z[rows], share.argmax(axis=2)), 0)
    return depth


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of rows of an array `h w n` with about BLOCK samples each."""
    step = max(1, BLOCK // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], step):
        yield slice(start, start + step)


def _at(depths: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(depths, index[..., None], axis=2)[..., 0]
