"""Views without the bend of their lens: everything behind knows pinhole cameras only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from samepoint.data.decode import DecodedView, decode_view, shrunk
from samepoint.data.quantile_files import half_metres
from samepoint.data.recording import View
from samepoint.errors import DataError
from samepoint.geometry.lenses import undistort_image


def decode_straight(view: View, max_size: int | None = None) -> DecodedView:
    """`decode_view`, straightened at its own resolution and shrunk then."""
    if view.lens is None or view.lens.straight:
        return decode_view(view, max_size)
    return shrunk(straightened(view, decode_view(view)), max_size)


def straightened(view: View, arrays: DecodedView) -> DecodedView:
    """A view's arrays without the bend of its lens. DataError where that needs intrinsics and there are none."""
    if view.lens is None or view.lens.straight:
        return arrays
    if view.intrinsics is None:
        raise DataError("a bent image without intrinsics", where=view.image, mend="give its camera matrix")
    k, lens, quantiles = view.intrinsics, view.lens, arrays.depth_quantiles
    if quantiles is not None:
        layers = [undistort_image(layer.astype(np.float32), k, lens, "nearest") for layer in quantiles]
        quantiles = half_metres(np.stack(layers))
    return replace(
        arrays,
        image=undistort_image(arrays.image, k, lens),
        depth=None if arrays.depth is None else undistort_image(arrays.depth, k, lens, "nearest"),
        labels=None if arrays.labels is None else undistort_image(arrays.labels, k, lens, "nearest"),
        depth_quantiles=quantiles,
    )
