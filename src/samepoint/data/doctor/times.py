"""Time stamps: their order, their repeats, their gaps and their unit."""

from __future__ import annotations

import math

import numpy as np

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Footage

CHECK = "time stamps"
GAP = 10.0
"""Times the usual step."""
UNITS = ((1e-3, "milliseconds"), (1e-6, "microseconds"), (1e-9, "nanoseconds"))
LONG, SHORT = 1000.0, 1e-4
"""Seconds from frame to frame that no camera takes."""
MINUTE, HOUR = 60.0, 3600.0
PUNCTUAL = 5.0
"""Seconds by which a time-lapse may be early or late."""
SLOW = 10.0
"""Seconds from frame to frame that may as well be milliseconds."""


def check_times(footage: Footage) -> Finding:
    """Of moments; views of one moment share a time."""
    stamps: dict[int, tuple[float | None, str]] = {}
    for moment, time, view in zip(footage.moments, footage.times, footage.views, strict=True):
        stamps.setdefault(moment, (time, view.image.name))
    timed = [(time, name) for time, name in stamps.values() if time is not None]
    if len(timed) < 2:
        return Finding(CHECK, "not applicable", "there are no time stamps")
    times, names = np.array([time for time, _ in timed]), [name for _, name in timed]
    if not np.isfinite(times).all():
        wrong = tuple(name for name, bad in zip(names, ~np.isfinite(times)) if bad)
        return Finding(CHECK, "fault", f"{len(wrong)} are not finite", "give seconds", wrong)
    step = np.diff(times)
    for what, bad, mend in (
        ("go backwards", step < 0, "sort the frames by time, or check which stamp belongs to which frame"),
        ("repeat the one before", step == 0, "give every moment its own time"),
    ):
        if bad.any():
            which = tuple(names[i + 1] for i in np.flatnonzero(bad))
            worst = f" (by up to {-float(step.min()):.3g} s)" if what == "go backwards" else ""
            sentence = f"{len(which)} of {len(times)} {what}{worst}, first at {which[0]}"
            return Finding(CHECK, "fault", sentence, mend, which)
    return _of_steps(step, names)


def _of_steps(step: np.ndarray, names: list[str]) -> Finding:
    usual = float(np.median(step))
    whole = MINUTE if usual < 2 * HOUR else HOUR
    if usual > LONG and bool((np.abs(step - whole * np.rint(step / whole)) < PUNCTUAL).all()):
        words = "minutes" if whole == MINUTE else "hours"
        sentence = f"{usual:.4g} s from frame to frame, whole {words}: a time-lapse, or not seconds"
        return Finding(CHECK, "undecided", sentence)
    if usual > LONG or usual < SHORT:
        unit = next((name for factor, name in UNITS if 1e-3 <= usual * factor <= SLOW), None)
        looks = f": they look like {unit}" if unit else ""
        return Finding(CHECK, "fault", f"{usual:.4g} s from frame to frame{looks}", "give seconds")
    if usual > SLOW:
        rate = 1000 / usual
        sentence = (
            f"{usual:.4g} s from frame to frame, which as milliseconds would be {rate:.3g} frames a second"
        )
        return Finding(CHECK, "undecided", sentence)
    gaps = np.flatnonzero(step > GAP * usual)
    sentence = f"in order, {usual:.3g} s from frame to frame ({1 / usual:.3g} a second)"
    if len(gaps):
        longest = float(step[gaps].max())
        sentence += (
            f"; {len(gaps)} gap{'s' * (len(gaps) > 1)} of up to {longest:.3g} s, after {names[gaps[0]]}"
        )
    if math.isclose(float(step.min()), float(step.max()), rel_tol=1e-3):
        sentence += ", even"
    return Finding(CHECK, "right", sentence)
