"""How many moments each camera saw."""

from __future__ import annotations

from samepoint.data.doctor.findings import Finding
from samepoint.data.recording import Recording

CHECK = "images"
HALF = 0.5
"""Share of the moments that a camera should have."""


def check_images(recording: Recording) -> Finding:
    """A camera that stops early may have lost frames on the way; one that misses most moments is hardly used."""
    cameras = list(dict.fromkeys(view.camera for view in recording.views()))
    seen = {
        name: [m for m, moment in enumerate(recording.moments) if any(v.camera == name for v in moment.views)]
        for name in cameras
    }
    number = len(recording.moments)
    few = sum(len(moment.views) < 2 for moment in recording.moments)
    unused = f"; {few} moments are seen by one camera and not used" if few else ""
    counts = ", ".join(f"{name} {len(moments)}" for name, moments in seen.items())
    short = {name: moments for name, moments in seen.items() if len(moments) < number}
    if few == number:
        mend = "images of one moment have the same name in every camera's folder"
        return Finding(CHECK, "fault", f"no moment is seen by two cameras ({counts})", mend)
    if not short:
        return Finding(CHECK, "right", f"{number} moments, all seen by {len(cameras)} cameras")
    sentence = f"{number} moments, of which cameras have: {counts}{unused}"
    rare = [name for name, moments in short.items() if len(moments) < HALF * number]
    if rare:
        mend = f"add the images of {', '.join(rare)}, or leave the camera out"
        return Finding(CHECK, "undecided", f"{', '.join(rare)} misses more than half: {sentence}", mend)
    early = [name for name, moments in short.items() if moments == list(range(len(moments)))]
    if early:
        mend = "if frames were lost on the way, images of one name are not of one moment: give times.csv"
        return Finding(CHECK, "undecided", f"{', '.join(early)} ends before the others: {sentence}", mend)
    return Finding(CHECK, "right", sentence)
