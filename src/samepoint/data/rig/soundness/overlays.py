"""What a picture of a recording shows: all views of one labelled moment, its clicks, and the points these make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

from samepoint.data.decode import decode_view
from samepoint.data.recording import Moment, Recording
from samepoint.data.rig.reprojection import recorded_pixels
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.groups import Group
from samepoint.geometry.pixels import resize_pixels

LONG_SIDE = 640
"""Images are reduced to this."""

Places = Mapping[str, tuple[float, float]]
"""Pixels of the reduced image, by keypoint."""


@dataclass(frozen=True)
class ClickedView:
    """An image as recorded; where keypoints are clicked in it, and where their 3-D points project."""

    camera: str
    image: UInt8[np.ndarray, "h w 3"]
    clicks: Places
    points: Places


@dataclass(frozen=True)
class ClickedMoment:
    """All views of a moment, and the median distance from clicks to projections, pixels as recorded."""

    name: str
    views: tuple[ClickedView, ...]
    pixels: float


def worst_moment(recording: Recording, made: Sequence[Group]) -> ClickedMoment | None:
    """The labelled moment with the click that is furthest from the projection of its point; None without one.

    `made`: clicks by the point they make."""
    if not made:
        return None
    evidence = Evidence.of(recording, made)
    fit = evidence.fit()
    worst = fit.residual.nan_to_num(nan=0.0).max(1).values
    m = made[int(worst.argmax())][0].moment
    here = [g for g, group in enumerate(made) if group[0].moment == m]
    points = {made[g][0].keypoint: fit.xyz[g] for g in here}
    residual = fit.residual[here]
    moment = recording.moments[m]
    pixels = float(residual[residual.isfinite()].quantile(0.5))
    return ClickedMoment(str(moment.name), _views(moment, points), pixels)


def _views(moment: Moment, points: Mapping[str, torch.Tensor]) -> tuple[ClickedView, ...]:
    xyz, out = torch.stack(list(points.values())), []
    for view in moment.views:
        arrays = decode_view(view, LONG_SIDE)
        size = (arrays.image.shape[0], arrays.image.shape[1])
        clicks = moment.clicks.get(view.camera, {})
        clicked = torch.tensor(list(clicks.values()), dtype=torch.float64).reshape(-1, 2)
        places = [
            {
                name: (u, v)
                for name, (u, v) in zip(names, resize_pixels(uv, arrays.source_size, size).tolist())
            }
            for names, uv in ((clicks, clicked), (points, recorded_pixels(view, xyz)))
        ]
        out.append(ClickedView(view.camera, arrays.image, *places))
    return tuple(out)
