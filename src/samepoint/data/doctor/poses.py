"""The direction and axes of poses, and whether they belong to the images they stand at."""

from __future__ import annotations

from dataclasses import replace

from samepoint.data.doctor.diagnosis import Diagnosis, pose_readings
from samepoint.data.doctor.evidence import ENOUGH_POINTS
from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.readings import Reading

CHECK, SYNC = "poses", "sync"
NONE_AGREES, FEW_AGREE = 0.2, 0.4
"""Shares of points that agree in depth, below which no reading is right, and below which none is certain."""
RIVAL = 0.8
"""Another way to read poses that scores this much of the best leaves it open which is right."""
STILL = 0.97
"""The same for poses one frame late: the camera is too slow to tell."""


def check_poses(diagnosis: Diagnosis) -> Finding:
    """Camera-to-world or world-to-camera, OpenCV's or OpenGL's axes."""
    open_question = without_evidence(diagnosis, CHECK)
    if open_question is not None:
        return open_question
    written, found, evidence = diagnosis.written, diagnosis.found, diagnosis.evidence()
    as_written = diagnosis.evidence(diagnosis.without("poses", "axes"))
    if (found.poses, found.axes) != (written.poses, written.axes):
        sentence = f"as {_named(written)} {as_written}, as {_named(found)} {evidence}"
        words = [f"--poses {found.poses}"] * (found.poses != written.poses)
        words += [f"--axes {found.axes}"] * (found.axes != written.axes)
        return Finding(CHECK, "fault", sentence, " ".join(words))
    if evidence.depth is not None and evidence.depth.seen < ENOUGH_POINTS:
        return Finding(CHECK, "undecided", "the views hardly overlap: too few points of one lie in another")
    if evidence.depth is not None and evidence.depth.share < NONE_AGREES:
        sentence = f"under no reading of poses and depth do the frames agree: at best {evidence}"
        mend = "check that poses, depth and images belong together and that nothing moved but the camera"
        return Finding(CHECK, "fault", sentence, mend)
    if _weak(diagnosis):
        return Finding(CHECK, "undecided", f"too little agrees to be sure: {evidence}")
    rivals = pose_readings(found)[1:]
    rival = max(rivals, key=lambda reading: diagnosis.evidence(reading).score)
    other = diagnosis.evidence(rival)
    if other.score >= RIVAL * evidence.score:
        sentence = (
            f"as {_named(found)} {evidence}, but as {_named(rival)} {other}: the camera moves too little"
        )
        return Finding(CHECK, "undecided", sentence)
    sentence = f"{_named(found)}: {evidence}; the next best reading, {_named(rival)}: {other}"
    return Finding(CHECK, "right", sentence)


def check_sync(diagnosis: Diagnosis) -> Finding:
    """Poses that stand some frames before or after their image."""
    if diagnosis.case.latest == 0:
        what = "too few frames in a row" if diagnosis.case.footage.mode == "scan" else "no moving camera"
        return Finding(SYNC, "not applicable", what)
    open_question = without_evidence(diagnosis, SYNC)
    if open_question is not None:
        return open_question
    found, evidence = diagnosis.found, diagnosis.evidence()
    if found.late:
        as_written = diagnosis.evidence(diagnosis.without("late"))
        side = "late" if found.late > 0 else "early"
        frames = "1 frame" if abs(found.late) == 1 else f"{abs(found.late)} frames"
        sentence = f"poses are {frames} {side}: as written {as_written}, shifted back {evidence}"
        return Finding(
            SYNC, "fault", sentence, f"give image n the pose that stands at image n {_signed(found.late)}"
        )
    if _weak(diagnosis):
        return Finding(SYNC, "undecided", f"too little agrees to be sure: {evidence}")
    late, early = (diagnosis.evidence(replace(found, late=found.late + step)) for step in (1, -1))
    scores = f"shifted by one frame {max(late.score, early.score):.2f} of 1, unshifted {evidence.score:.2f}"
    if max(late.score, early.score) >= STILL * evidence.score:
        return Finding(SYNC, "undecided", f"{scores}: the camera moves too slowly to tell")
    return Finding(SYNC, "right", f"poses fit their own images best: {scores}")


def without_evidence(diagnosis: Diagnosis, check: str) -> Finding | None:
    """Why nothing can be said, if so."""
    footage, case = diagnosis.case.footage, diagnosis.case
    if all(view.world_from_camera is None for view in footage.views):
        return Finding(check, "not applicable", "there are no camera poses")
    if all(view.intrinsics is None for view in footage.views):
        return Finding(check, "not applicable", "there are no intrinsics")
    if footage.mode not in ("scan", "rig"):
        return Finding(
            check, "not applicable", f"in a recording of mode {footage.mode} no two views share a scene"
        )
    if not case.pairs:
        return Finding(check, "undecided", "no two views are turned against each other by 8 to 75 degrees")
    if not diagnosis.evidence().enough:
        return Finding(check, "undecided", f"too little can be compared: {diagnosis.evidence()}")
    return None


def _weak(diagnosis: Diagnosis) -> bool:
    evidence = diagnosis.evidence()
    if evidence.depth is not None:
        return evidence.depth.share < FEW_AGREE
    return evidence.fit < FEW_AGREE * evidence.matches


def _signed(number: int) -> str:
    return f"{'+' if number > 0 else '-'} {abs(number)}"


def _named(reading: Reading) -> str:
    axes = {"opencv": "OpenCV's", "opengl": "OpenGL's"}.get(reading.axes, reading.axes)
    return f"{reading.poses} with {axes} axes"
