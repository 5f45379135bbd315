"""Whether the cameras' clocks say that the images of one moment were taken at one time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from samepoint.data.doctor.findings import Finding
from samepoint.data.recording import Recording

CHECK = "clocks"
ONE_MOMENT = 0.02
"""Seconds that the cameras of a moment may be apart where there is only one; else half the time between moments."""
SHARE = 0.5
NOTICED = 0.02
"""Seconds apart from which it is worth a remark."""
LONG = 5
"""Moments from which a drift can be seen."""
DRIFT = 0.8
"""Correlation of a camera's differences with time from which it drifts."""


def check_clocks(recording: Recording) -> Finding:
    """Of moments outside static ranges; in these it does not matter."""
    names = list(dict.fromkeys(view.camera for view in recording.views()))
    still = {m for first, last in recording.still for m in range(first, last + 1)}
    moving = [moment for m, moment in enumerate(recording.moments) if m not in still]
    if not any(moment.times for moment in moving):
        return Finding(CHECK, "not applicable", "there are no times of cameras (times.csv)")
    times = np.array([[moment.times.get(name, np.nan) for name in names] for moment in moving])
    views = sum(len(moment.views) for moment in moving)
    missing = views - int(np.isfinite(times).sum())
    absent = f"; {missing} of {views} images have no time" if missing else ""
    known = np.isfinite(times).sum(1) > 1
    if not known.any():
        return Finding(CHECK, "undecided", f"no moment has the times of two cameras{absent}")
    moving = [moment for moment, k in zip(moving, known) if k]
    spread = np.ptp(np.ma.masked_invalid(times[known]), axis=1).filled(0)
    limit = _limit(times[known])
    numbers = (
        f"cameras of one moment are {np.median(spread):.2g} s apart (median; at most {spread.max():.2g} s),"
        f" {limit:.2g} s are allowed{absent}"
    )
    if spread.max() <= limit:
        remark = missing > 0 or float(np.median(spread)) > NOTICED
        return Finding(CHECK, "undecided" if remark else "right", numbers)
    name, what = _camera(names, times[known], int(spread.argmax()), limit)
    mend = f"synchronise {name}, and give images of one time the same name"
    moments = tuple(str(moment.name) for moment, apart in zip(moving, spread) if apart > limit)
    return Finding(CHECK, "fault", f"{what}; {numbers}", mend, moments)


def _limit(times: Float[np.ndarray, "m n"]) -> float:
    """Seconds that the cameras of one moment may be apart."""
    each = np.nanmedian(times - np.nanmedian(_later(times), axis=0), axis=1)
    steps = np.abs(np.diff(each))
    return SHARE * float(np.median(steps)) if len(steps) else ONE_MOMENT


def _later(times: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "m n"]:
    """How much later each camera is than the median of the others of its moment; 0 where that is unknown."""
    out = np.zeros_like(times)
    for column in range(times.shape[1]):
        others = np.delete(times, column, axis=1)
        known = np.isfinite(times[:, column]) & np.isfinite(others).any(1)
        out[known, column] = times[known, column] - np.nanmedian(others[known], axis=1)
    return out


def _camera(names: list[str], times: Float[np.ndarray, "m n"], worst: int, limit: float) -> tuple[str, str]:
    """The camera that is furthest off at the `worst` moment, and what its clock does: it is off all the time, more
    and more, or now and then."""
    later = _later(times)
    column = int(np.abs(later[worst]).argmax())
    known = np.isfinite(times[:, column])
    name, by, when = names[column], later[known, column], np.nanmedian(times[known], axis=1)
    usual = float(np.median(by))
    varies = len(by) >= LONG and min(np.std(by), np.std(when)) > 0
    grows = varies and abs(np.corrcoef(when, by)[0, 1]) > DRIFT
    if grows and abs(by[-1] - by[0]) > limit:
        slope = 1000 * float(np.polyfit(when - when[0], by, 1)[0])
        return name, f"{name} drifts by {slope:+.3g} ms a second, from {by[0]:+.2g} s to {by[-1]:+.2g} s"
    if abs(usual) > limit / 2:
        return (
            name,
            f"{name} is {abs(usual):.3g} s {'later' if usual > 0 else 'earlier'} than the others throughout",
        )
    often = max(1, int((np.abs(by) > limit).sum()))
    return name, f"{name} is up to {np.abs(by).max():.3g} s off at {often} of {len(by)} moments"
