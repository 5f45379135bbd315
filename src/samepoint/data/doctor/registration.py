"""Whether depth lies on colour: the shift at which edges of depth and of colour meet best (`edge_shift`).

In a busy print edges meet somewhere by chance. So a place that is far off must stand out, be the same in either half
of the frames, and gain on both sides of objects; or colour matches must say the same (`shifted_matches`). Both
images are reduced to at most 640 pixels.
"""

from __future__ import annotations

from samepoint.data.doctor.edge_shift import LEAST_SIDE, Shift
from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.shifted_matches import MatchesSay

CHECK = "registration"
FRAMES, LONG_SIDE = 12, 640
LARGE, LOOSE = 0.012, 0.005
"""Shares of the width: a shift above the first is a fault; above the second it is mentioned."""
LEAST_PIXELS = 1.5
CONTRAST, GAIN, HARDLY = 0.06, 0.35, 0.2
"""How far the best shift must stand out of all shifts; which share of that must be lost without the shift to make it
a fault; and for it to be worth a word."""
ENOUGH_EDGES, MANY_EDGES, PLENTY = 200, 1000, 5000
"""Pixels on edges of depth: below the first nothing is said; below the second both sides of objects must gain; from
the third on, a place need not stand out where edges of depth are rough."""
DEVIATIONS, CLEARLY = 4.0, 6.0
"""Standard deviations of other shifts by which the best must exceed their mean; beyond which repeats do not count."""
RIVAL = 0.1
"""How far below the best place the next best must stay, as a share of what the best stands out by."""
ALIKE = 2.5
"""Pixels by which the shifts of two halves of the frames may differ."""
SIDE_GAIN = 0.25
"""What edges that face along the shift, and those that face against it, must gain, as a share of what the best place
stands out by."""


def check_registration(shift: Shift | None, said: MatchesSay | None = None) -> Finding:
    """`said`: what colour matches between views say of the shift, where there are any."""
    if shift is None:
        return Finding(CHECK, "not applicable", "there is no depth")
    if shift.width == 0:
        return Finding(CHECK, "undecided", f"images below {LEAST_SIDE} pixels are too small to tell")
    if shift.edges < ENOUGH_EDGES:
        return Finding(CHECK, "undecided", f"depth has too few edges ({shift.edges} pixels)")
    if shift.stands_out < CONTRAST:
        return Finding(CHECK, "undecided", "edges of depth and of colour meet nowhere better than elsewhere")
    where = f"{shift.length:.1f} pixels ({shift.u:+.0f}, {shift.v:+.0f}) of {shift.width}"
    meet = f"edges meet there {shift.best:.2f} of 1, unshifted {shift.here:.2f}"
    if shift.length > max(LEAST_PIXELS, LARGE * shift.width) and shift.lost > GAIN:
        return _far(shift, said, where, meet)
    if shift.length > max(LEAST_PIXELS, LOOSE * shift.width) and shift.lost < HARDLY:
        return Finding(
            CHECK, "undecided", f"edges of depth are too rough: best {where} away, but hardly; {meet}"
        )
    if shift.length > max(LEAST_PIXELS, LOOSE * shift.width):
        return Finding(CHECK, "undecided", f"colour may lie {where} from depth, a loose registration: {meet}")
    return Finding(CHECK, "right", f"edges of depth and colour fit within {where}: {meet}")


def _far(shift: Shift, said: MatchesSay | None, where: str, meet: str) -> Finding:
    """Of a shift that would be a fault: whether it is one."""
    if said is not None and said.against:
        return Finding(
            CHECK, "right", f"colour matches fit unshifted, {said}; edges meet by chance {where} away"
        )
    if said is not None and said.agree:
        meet = f"{meet}; colour matches say so too, {said}"
    elif (doubt := _doubt(shift, said)) is not None:
        return Finding(CHECK, "undecided", f"edges meet best {where} away, but {doubt}: {meet}")
    mend = f"register depth to colour again, or shift depth by ({shift.u:+.0f}, {shift.v:+.0f}) pixels"
    return Finding(CHECK, "fault", f"colour lies {where} from depth: {meet}", mend)


def _doubt(shift: Shift, said: MatchesSay | None) -> str | None:
    """Why the edges may meet there by chance; None if they hardly can."""
    if shift.halves > ALIKE:
        return "another half of the frames meets elsewhere"
    least = min(shift.sides) if len(shift.sides) > 1 else 0.0
    if shift.edges >= PLENTY and least > 0 and said is not None and said.leans:
        return None
    if shift.deviations < DEVIATIONS:
        return "they meet about as well at many places"
    if shift.deviations < CLEARLY and shift.best - shift.rival < RIVAL * shift.stands_out:
        return "they meet as well at another place, as in a print that repeats"
    if shift.edges < MANY_EDGES and least < SIDE_GAIN * shift.stands_out:
        return f"there are few edges of depth ({shift.edges} pixels)"
    return None
