"""The unit of depth against that of the poses, and whether depth is along the axis or along the ray."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from samepoint.data.doctor.diagnosis import Diagnosis
from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Shot
from samepoint.data.doctor.poses import without_evidence
from samepoint.data.plausible import PICTURE, DepthRange

UNIT, ALONG = "depth unit", "depth along"
COMMON = (1.0, 0.01, 0.001, 0.0005, 0.00025, 0.0002, 0.0001, 1 / 256)
"""Metres of a depth unit that are in use."""
RIVAL = 0.8
POSSIBLE = DepthRange(0.005, 300.0)
"""Metres between which a median depth is at most unusual: through a magnifier, from the air."""


def median_depth(shots: list[Shot]) -> float:
    """Metres as written; NaN if nothing is known."""
    values = [shot.depth[shot.depth > 0].numpy() for shot in shots if shot.depth is not None]
    together = np.concatenate(values) if values else np.zeros(0, np.float32)
    return float(np.median(together)) if len(together) else math.nan


def check_unit(diagnosis: Diagnosis, median: float, metres_per_unit: float | None) -> Finding:
    """`median`: metres of depth as read; `metres_per_unit`: of the depth files, as read."""
    if metres_per_unit is None:
        return Finding(UNIT, "not applicable", "there is no depth")
    if math.isnan(median):
        return Finding(UNIT, "fault", "depth is unknown everywhere", "check the depth files")
    if diagnosis.scale != 1.0:
        return _wrong(diagnosis, median, metres_per_unit)
    plausible = PICTURE.holds(median)
    blind = without_evidence(diagnosis, UNIT)
    if blind is not None or not diagnosis.case.has_depth:
        if plausible:
            return Finding(
                UNIT, "undecided", f"the median depth is {median:.3g} m, which can be; {_why(blind)}"
            )
        if POSSIBLE.holds(median):
            return Finding(UNIT, "undecided", f"the median depth is {median:.3g} m, unusual; {_why(blind)}")
        unit = metres_per_unit * PICTURE.factor(median)
        return Finding(UNIT, "fault", f"the median depth is {median:.3g} m", f"--depth-scale {unit:.6g}")
    evidence = diagnosis.evidence()
    around = {
        s: diagnosis.evidence(replace(diagnosis.found, scale=diagnosis.found.scale * s)) for s in (0.2, 5.0)
    }
    rival = max(around, key=lambda s: around[s].score)
    sentence = f"median {median:.3g} m, {evidence}; {rival:g} times as far {around[rival].score:.2f} of 1"
    if not plausible:
        factor = PICTURE.factor(median)
        world = factor / diagnosis.found.scale
        what = f"depth and poses fit together, but the median depth is {median:.3g} m"
        if POSSIBLE.holds(median):
            return Finding(UNIT, "undecided", f"{what}, unusual: from very near, or from the air?")
        mend = f"--depth-scale {metres_per_unit * factor:.6g} --world-scale {world:.6g}"
        return Finding(UNIT, "fault", what, mend)
    if around[rival].score >= RIVAL * evidence.score:
        return Finding(UNIT, "undecided", f"{sentence}: the camera moves too little to tell")
    return Finding(UNIT, "right", sentence)


def check_along(diagnosis: Diagnosis) -> Finding:
    """Depth along the optical axis (z), or the length of each pixel's ray."""
    if all(view.depth is None for view in diagnosis.case.footage.views):
        return Finding(ALONG, "not applicable", "there is no depth")
    blind = without_evidence(diagnosis, ALONG)
    if blind is not None:
        return blind
    if not diagnosis.case.has_depth:
        return Finding(ALONG, "undecided", "too little depth is known to compare views")
    evidence = diagnosis.evidence()
    if diagnosis.found.along == "ray":
        as_written = diagnosis.evidence(diagnosis.without("along"))
        sentence = f"as depth along the optical axis {as_written}, as length of the ray {evidence}"
        return Finding(
            ALONG, "fault", sentence, "divide depth by the length of the ray (x, y, 1) of its pixel"
        )
    ray = diagnosis.evidence(replace(diagnosis.found, along="ray"))
    scores = f"{evidence.score:.2f} of 1, as length of the ray {ray.score:.2f}"
    if ray.score >= 0.97 * evidence.score:
        return Finding(ALONG, "undecided", f"{scores}: cannot be told apart here")
    return Finding(ALONG, "right", f"along the optical axis: {scores}")


def _wrong(diagnosis: Diagnosis, median: float, metres_per_unit: float) -> Finding:
    scale = diagnosis.scale
    as_written = diagnosis.evidence(diagnosis.without("scale"))
    depth = f"--depth-scale {metres_per_unit * scale:.6g}"
    world = f"--world-scale {1 / diagnosis.found.scale:.6g}"
    first, second = (depth, world) if _of_depth(median, metres_per_unit, scale) else (world, depth)
    much = f"{1 / scale:g} times too large" if scale < 1 else f"{scale:g} times too small"
    sentence = (
        f"depth is {much} for the poses (median {median:.3g} m): as written {as_written}, "
        f"scaled {diagnosis.evidence()}; the other way to mend it: {second}"
    )
    return Finding(UNIT, "fault", sentence, first)


def _of_depth(median: float, metres_per_unit: float, scale: float) -> bool:
    """Whether the depth unit is at fault rather than the unit of the poses."""
    now, then = (PICTURE.holds(m) for m in (median, median * scale))
    if now and then:
        return any(abs(metres_per_unit * scale / unit - 1) < 0.02 for unit in COMMON)
    return then or not now


def _why(blind: Finding | None) -> str:
    return "nothing to compare it with" if blind is None else blind.sentence
