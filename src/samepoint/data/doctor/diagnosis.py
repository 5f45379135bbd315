"""The reading under which a recording's frames agree, found one step at a time from the one as written.

A step is taken only if it makes far more agree than before; of steps that do about as well, the simplest. So a
recording that is a little inexact everywhere keeps its own reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from samepoint.data.doctor.evidence import ENOUGH_MATCHES, ENOUGH_POINTS, Case, Evidence
from samepoint.data.doctor.readings import Reading

SCALES = (0.001, 1000.0, 5.0, 0.2, 0.1, 10.0, 0.01, 100.0, 0.5, 2.0, 0.25, 4.0, 1e-4, 1e4)
SIZES = (0.5, 2.0, 0.25, 4.0, 1 / 3, 3.0, 2 / 3, 1.5, 0.75, 4 / 3, 0.8, 1.25)
FOCALS = (0.5, 2.0, 0.6, 1.7, 0.7, 1.4, 0.8, 1.25)
BETTER, LEAST = 1.06, 0.01
"""A step must raise the score by this factor and amount."""
ALIKE = 0.97
"""Of steps whose scores are within this factor of the best, the first is taken."""
WORSE, FEW_FIT = 0.02, 0.4
"""A share of the points that agree in depth, by which a step may worsen it; a share of the matches."""
STILL = 1e6
"""A scale beside which the camera stands still."""
GOOD = 0.4
"""A score above which nobody looks for poses and scale that are both wrong."""
ROUNDS = 3

Axes = Literal["opencv", "opengl"]
Poses = Literal["camera-to-world", "world-to-camera"]


@dataclass(frozen=True)
class Diagnosis:
    """From `written` to `found`, and what all pairs say of any reading."""

    case: Case
    written: Reading
    found: Reading

    def evidence(self, reading: Reading | None = None) -> Evidence:
        """Of `reading`, by default the found one."""
        return self.case.weigh(reading or self.found)

    def without(self, *names: str) -> Reading:
        """The found reading with these parts as written: what else is at fault stays mended."""
        return replace(self.found, **{name: getattr(self.written, name) for name in names})

    @property
    def scale(self) -> float:
        """Metres of the poses a metre of depth as read: 1 if the units fit together."""
        return self.found.scale / self.written.scale


def diagnose(case: Case, written: Reading) -> Diagnosis:
    """Searches the readings; deterministic."""
    found = written
    for _ in range(ROUNDS):
        now = case.weigh(found, "some")
        steps = list(_single_steps(found, case))
        scores = [case.weigh(step, "some").score for step in steps]
        if max(now.score, *scores) < GOOD:
            double = list(_double_steps(found, case))
            steps, scores = steps + double, scores + [case.weigh(step, "some").score for step in double]
        chosen = _chosen(case, found, steps, scores) if now.enough else None
        if chosen is None or not _consistently_better(case, chosen, found):
            break
        found = chosen
    return Diagnosis(case, written, found)


def _chosen(case: Case, now: Reading, steps: list[Reading], scores: list[float]) -> Reading | None:
    """The simplest step among those that do about best, if they do better than what is read now."""
    telling = list(zip(steps, scores, strict=True))
    while telling:
        best = max(score for _, score in telling)
        if not _better(best, case.weigh(now, "some").score):
            return None
        chosen = next(step for step, score in telling if score >= ALIKE * best)
        if not _idle(case, chosen, now) and not _contradicted(case, chosen, now):
            return chosen
        telling = [(step, score) for step, score in telling if step != chosen]
    return None


def _consistently_better(case: Case, reading: Reading, than: Reading) -> bool:
    """On all pairs, and on either half of them."""
    if not _better(case.weigh(reading).score, case.weigh(than).score):
        return False
    if len(case.pairs) < 4:
        return True
    return all(case.weigh(reading, half).score > case.weigh(than, half).score for half in ("even", "odd"))


def _idle(case: Case, reading: Reading, now: Reading) -> bool:
    """Whether frames would agree as well if a camera that never turns had not moved either; or if one that does had
    only turned, where the reading makes its way shorter. Such a reading always fits where the camera faces a plane,
    or a print that repeats."""
    score = case.weigh(reading).score
    if case.has_depth and not case.turned and not _better(score, case.unmoved(reading).score):
        return True
    if reading.scale <= now.scale:
        return False
    return not _better(score, case.weigh(replace(reading, scale=reading.scale * STILL)).score)


def _contradicted(case: Case, reading: Reading, now: Reading) -> bool:
    """Whether points agree less in depth than now, or matches are all that speaks for the reading and few of them
    fit: where a print repeats, matches that are a repeat off fit something else."""
    before, after = case.weigh(now), case.weigh(reading)
    if before.depth is None or after.depth is None:
        return False
    if min(before.depth.seen, after.depth.seen) < ENOUGH_POINTS:
        return False
    gained = after.depth.share - before.depth.share
    few = after.matches >= ENOUGH_MATCHES and after.fit < FEW_FIT * after.matches
    return gained < -WORSE or (gained < FEW_FIT / 4 and few)


def pose_readings(reading: Reading) -> list[Reading]:
    """The reading with poses and axes as they are, and the three other ways."""
    others = [
        replace(reading, poses=poses, axes=axes) for poses in get_args(Poses) for axes in get_args(Axes)
    ]
    return [reading, *sorted((r for r in others if r != reading), key=lambda r: _changes(reading, r))]


def _better(score: float, than: float) -> bool:
    return score >= BETTER * than + LEAST


def _single_steps(reading: Reading, case: Case) -> Iterator[Reading]:
    """Readings one step away, the simplest first."""
    yield from pose_readings(reading)[1:]
    for scale in SCALES if case.has_depth else ():
        yield replace(reading, scale=reading.scale * scale)
    for size in SIZES:
        yield replace(reading, size=reading.size * size)
    if case.has_depth:
        yield replace(reading, along="ray" if reading.along == "axis" else "axis")
    for late in range(1, case.latest + 1):
        for sign in (1, -1):
            if abs(reading.late + sign * late) <= case.latest:
                yield replace(reading, late=reading.late + sign * late)
    for focal in FOCALS:
        yield replace(reading, focal=reading.focal * focal)


def _double_steps(reading: Reading, case: Case) -> Iterator[Reading]:
    """Readings with other poses and another scale."""
    for way in pose_readings(reading)[1:]:
        for scale in SCALES if case.has_depth else ():
            yield replace(way, scale=way.scale * scale)


def _changes(one: Reading, other: Reading) -> int:
    return (one.poses != other.poses) + (one.axes != other.axes)
