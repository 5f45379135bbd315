"""Clicks on their own: inside their image, and seen by a second view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from samepoint.data.doctor.findings import Finding
from samepoint.data.recording import Recording
from samepoint.data.rig.soundness.evidence import Mark, marks_of, sizes_of
from samepoint.data.rig.soundness.groups import Group
from samepoint.types import Size

CHECK = "labels"
EDGE = 1.0
"""Pixels by which a click may lie beyond the image."""
WASTED = 0.1
"""Share of clicks that make no point, from which it is worth a remark."""
SHOWN = 3
"""Clicks that a sentence names."""


def check_labels(recording: Recording, alone: Sequence[Group]) -> Finding:
    """`alone`: the clicks that make no point."""
    marks = marks_of(recording)
    if not marks:
        return Finding(CHECK, "not applicable", "no keypoint is labelled")
    sizes = sizes_of(recording)
    outside = [mark for mark in marks if not _inside(mark.uv, sizes[mark.camera])]
    if outside:
        height, width = sizes[outside[0].camera]
        u, v = outside[0].uv
        sentence = (
            f"{len(outside)} of {len(marks)} clicks lie outside their image:"
            f" {named(recording, outside[:1])} at ({u:g}, {v:g}) of {width}x{height}"
        )
        mend = "correct or remove these lines of labels.csv (u goes right, v down, in pixels of the recorded image)"
        return Finding(CHECK, "fault", sentence, mend, tuple(place(recording, mark) for mark in outside))
    moments = len({mark.moment for mark in marks})
    sentence = f"{len(marks)} clicks in {moments} moments, all inside their images"
    lonely = [mark for group in alone for mark in group]
    if lonely:
        more = " ..." if len(lonely) > SHOWN else ""
        sentence += (
            f"; {len(lonely)} make no point, as no other view of the moment shows their keypoint"
            f" ({named(recording, lonely[:SHOWN])}{more})"
        )
    if len(lonely) > WASTED * len(marks):
        return Finding(CHECK, "undecided", sentence, "label these keypoints in a second view")
    return Finding(CHECK, "right", sentence)


def named(recording: Recording, marks: Iterable[Mark]) -> str:
    """ "nose in left at 000003"."""
    return ", ".join(
        f"{mark.keypoint} in {mark.camera} at {recording.moments[mark.moment].name}" for mark in marks
    )


def place(recording: Recording, mark: Mark) -> str:
    """The image, as "left/000003"."""
    return f"{mark.camera}/{recording.moments[mark.moment].name}"


def _inside(uv: tuple[float, float], size: Size) -> bool:
    return -EDGE <= uv[0] <= size[1] - 1 + EDGE and -EDGE <= uv[1] <= size[0] - 1 + EDGE
