"""Exact points (points.csv) against the clicks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import evenly
from samepoint.data.recording import Recording
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.groups import Group
from samepoint.data.rig.soundness.misfit import misfit

CHECK = "exact points"
EXAMINED = 150
"""Points that are taken."""


def check_exact(recording: Recording, made: Sequence[Group]) -> Finding:
    """Whether they project to where they are clicked. `made`: clicks by the point they make."""
    both = [g for g in made if g[0].keypoint in recording.moments[g[0].moment].truth]
    if not both:
        return Finding(CHECK, "not applicable", "no clicked keypoint has an exact point (points.csv)")
    evidence = Evidence.of(recording, [both[i] for i in evenly(range(len(both)), EXAMINED)])
    exact = [recording.moments[group[0].moment].truth[group[0].keypoint] for group in evidence.marks]
    fit = evidence.against(torch.stack(exact).double())
    found = misfit(evidence, fit)
    sentence = f"points.csv projects {found.pixels:.2g} px (median, in {found.camera}) from the clicks"
    if found.score <= 1:
        return Finding(CHECK, "right", sentence)
    clicked = float((evidence.fit().xyz - torch.stack(exact)).norm(dim=-1).nanmedian())
    mend = "write the points in metres, in the calibration's world"
    return Finding(CHECK, "fault", f"{sentence}, {1000 * clicked:.3g} mm from where they meet", mend)
