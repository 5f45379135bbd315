"""Whether the clicks of several views meet in one point, as calibrations say; and if not, why."""

from __future__ import annotations

from collections.abc import Sequence

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import evenly
from samepoint.data.recording import Recording
from samepoint.data.rig.soundness.causes import SURPLUS, Cause, find_cause
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.groups import Group
from samepoint.data.rig.soundness.misfit import Misfit, misfit

CHECK = "calibration"
FEW = 3
"""Points from which a calibration can be called right."""
EXAMINED = 150
"""Points by which mistakes are looked for."""
DOUBTFUL = 0.5
"""Share of the allowed error from which mistakes are looked for: one that explains it is a fault too."""
BEHIND = 0.1
"""Share of clicks whose point lies behind the camera, from which something is at fault."""
GUESS = 5
"""Rank of a cause that only says which camera it is."""


def check_calibration(recording: Recording, made: Sequence[Group]) -> Finding:
    """`made`: clicks by the point they make."""
    if not made:
        return Finding(CHECK, "not applicable", "no keypoint is labelled in two views")
    evidence = Evidence.of(recording, made)
    fit = evidence.fit()
    written = misfit(evidence, fit)
    error = fit.residual[fit.residual.isfinite()]
    numbers = (
        f"clicks are {float(error.quantile(0.5)):.2g} px (median; {written.camera} {written.pixels:.2g} px,"
        f" worst {float(error.max()):.3g} px) from where their points project"
    )
    points = f"{len(made)} point{'s' * (len(made) != 1)}"
    bad = written.score > 1 or written.behind > BEHIND
    if len(made) < FEW:
        return _of_few(points, numbers, bad)
    some = evidence.some(evenly(range(len(made)), EXAMINED))
    cause = find_cause(some, misfit(some)) if bad or written.score > DOUBTFUL else None
    if cause is not None and (bad or cause.rank < GUESS):
        return Finding(CHECK, "fault", _explained(written, cause), cause.mend)
    if bad:
        behind = f", {written.behind:.0%} of them behind the camera" if written.behind > 0 else ""
        few = evidence.surplus < SURPLUS
        tried = "there are too few clicks to say why" if few else "no simple mistake explains it"
        mend = "calibrate again, and check that labels, images and calibration belong together"
        return Finding(CHECK, "fault", f"{numbers}{behind}; {tried}", mend)
    return Finding(CHECK, "right", f"{numbers} ({points}, up to {max(map(len, made))} views)")


def _of_few(points: str, numbers: str, bad: bool) -> Finding:
    if bad:
        mend = "look at these clicks and at the calibration; a few more points may say which is wrong"
        return Finding(CHECK, "fault", f"{numbers} ({points}); there are too few clicks to say why", mend)
    few = f"{points} {'is' if points == '1 point' else 'are'} too few to judge calibrations by: {numbers}"
    return Finding(CHECK, "undecided", few, "label more keypoints in two views")


def _explained(written: Misfit, cause: Cause) -> str:
    behind = f", {written.behind:.0%} of them behind the camera" if written.behind > 0 else ""
    return (
        f"{cause.what}: clicks in {written.camera} are {written.pixels:.3g} px (median) from where their points"
        f" project{behind}; with that undone at most {cause.left.pixels:.2g} px"
    )
