"""Static ranges in which something moved: clicks of their moments agree each on their own, and not together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import evenly
from samepoint.data.recording import Recording
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.groups import Group, by_moment, in_ranges
from samepoint.data.rig.soundness.misfit import allowed

CHECK = "static scenes"
MOMENTS = 8
"""Labelled moments of a range that are compared."""
ALONE = 0.5
"""Share of the error of all clicks together that those of single moments may have, if it is the scene that moved."""


@dataclass(frozen=True)
class Apart:
    """A keypoint whose clicks disagree: `together` and `single`, median errors in pixels of all clicks of the range
    and of each moment's own (None where no moment has two), and the metres between its places in two moments."""

    clicks: Group
    together: float
    single: float | None
    metres: float


def check_still(recording: Recording) -> Finding:
    """Of every range (`Recording.still`), the keypoints that are labelled in more than one moment."""
    if not recording.still:
        return Finding(CHECK, "not applicable", "no range of moments is said to be static")
    groups = [group for group in map(_spread, in_ranges(recording)) if len(by_moment(group)) > 1]
    plural = "s" * (len(recording.still) != 1)
    ranges = f"{len(recording.still)} range{plural}"
    if not groups:
        return Finding(CHECK, "right", f"{ranges}; in none is a keypoint labelled in two moments")
    evidence = Evidence.of(recording, groups)
    residual, limits = evidence.fit().residual, allowed(evidence)
    errors = [float(row[row.isfinite()].quantile(0.5)) for row in residual]
    bad = [g for g, error in enumerate(errors) if error > float(limits[evidence.camera[g, 0]])]
    apart = [found for g in bad if (found := _apart(recording, groups[g], errors[g])) is not None]
    if not apart:
        apart_by = f"clicks at most {max(errors):.2g} px (median) from one point"
        return Finding(CHECK, "right", f"{ranges}; {len(groups)} keypoints in several moments, {apart_by}")
    return _fault(recording, max(apart, key=lambda found: found.together), len(apart), len(groups))


def _spread(group: Group) -> Group:
    """The clicks of some of its moments."""
    moments = by_moment(group)
    return tuple(mark for m in evenly(range(len(moments)), MOMENTS) for mark in moments[m])


def _apart(recording: Recording, group: Group, together: float) -> Apart | None:
    """None where the clicks of single moments fit as badly: then it is not the scene."""
    single = [moment for moment in by_moment(group) if len(moment) > 1]
    if not single:
        return Apart(group, together, None, 0.0)
    fit = Evidence.of(recording, single).fit()
    own = float(fit.residual[fit.residual.isfinite()].quantile(0.5))
    places = fit.xyz[fit.xyz.isfinite().all(1)]
    metres = float(torch.cdist(places, places).max()) if len(places) else 0.0
    return Apart(group, together, own, metres) if own <= ALONE * together else None


def _fault(recording: Recording, worst: Apart, number: int, of: int) -> Finding:
    marks: Sequence = worst.clicks
    first, last = (recording.moments[marks[i].moment].name for i in (0, -1))
    own = "" if worst.single is None else f", those of each moment {worst.single:.2g} px"
    far = f": it moved by {1000 * worst.metres:.3g} mm" if worst.metres > 0 else ""
    sentence = (
        f"{number} of {of} keypoints do not stand still: the clicks of {marks[0].keypoint} from {first} to {last} are"
        f" {worst.together:.3g} px (median) from one point{own}{far}"
    )
    mend = "end the range in still.csv before the scene moves, or check the poses of cameras that move"
    return Finding(CHECK, "fault", sentence, mend)
