"""How badly clicks and calibrations fit each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from samepoint.data.rig.soundness.evidence import Evidence, Fit

ENOUGH = 3
"""Clicks of a camera from which its median is taken."""
LEAST, SHARE = 3.0, 0.01
"""Pixels, and share of the image's diagonal, from which an error is too large."""


@dataclass(frozen=True)
class Misfit:
    """Of the camera that fits worst, the median distance of its clicks from where their points project: `pixels`, and
    as a share of what is allowed (`score`, above 1 is too large). `behind`: share of clicks whose point lies behind
    the camera."""

    camera: str
    pixels: float
    score: float
    behind: float


def misfit(evidence: Evidence, fit: Fit | None = None) -> Misfit:
    """Cameras with fewer than three clicks are left out, unless there are no others."""
    fit = fit or evidence.fit()
    known = fit.residual.isfinite()
    limits, cameras = allowed(evidence), evidence.rig.cameras
    clicks = [fit.residual[known & (evidence.camera == n)] for n in range(len(cameras))]
    least = max(1, min(ENOUGH, max(map(len, clicks))))
    medians = [
        (float(residual.median()), float(limit), camera)
        for residual, limit, camera in zip(clicks, limits, cameras)
        if len(residual) >= least
    ]
    if not medians:
        return Misfit("", math.inf, math.inf, 0.0)
    pixels, limit, camera = max(medians, key=lambda found: found[0] / found[1])
    return Misfit(camera, pixels, pixels / limit, float(fit.behind.sum() / known.sum()))


def allowed(evidence: Evidence) -> Float[Tensor, " n"]:
    """The error from which a camera's median is too large, pixels."""
    return (SHARE * evidence.rig.diagonals).clamp(min=LEAST)
