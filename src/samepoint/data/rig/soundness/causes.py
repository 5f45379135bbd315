"""Why clicks do not meet in points: each simple mistake is undone, and the one that explains the error is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import torch

from samepoint.data.rig.soundness.changes import CHANGES, Change, Scope, other_size, reordered
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.misfit import Misfit, misfit

FACTOR, FACTOR_OF_MANY, MANY = 5.0, 2.5, 100
"""By how much the error must fall; and where clicks give so many numbers beyond their points' own."""
SURPLUS = 8
"""Numbers that clicks must give beyond their points' own before a cause is named: fewer fit one by chance."""
ALL_ORDERS = 5
"""Up to so many cameras every order of calibrations is tried, above that every pair."""
AS_GOOD = 1.5
"""Of causes that leave at most so many times the least error, the simplest is named."""


@dataclass(frozen=True)
class Cause:
    """`what` is wrong, `mend` what to do, and the `left` misfit with it undone. `rank`: the simplest has 0."""

    what: str
    mend: str
    left: Misfit
    rank: int


def find_cause(evidence: Evidence, written: Misfit) -> Cause | None:
    """The simplest mistake that explains `written`; None if none does, or if too few clicks could say."""
    if evidence.surplus < SURPLUS:
        return None
    limit = min(written.score / (FACTOR if evidence.surplus < MANY else FACTOR_OF_MANY), 1.0)
    found = [cause for cause in _of_all(evidence) if cause.left.score <= limit]
    if not found:
        found = _of_one(evidence, limit)
    best = min((cause.left.score for cause in found), default=0.0)
    good = [cause for cause in found if cause.left.score <= AS_GOOD * best]
    return min(good, key=lambda cause: (cause.rank, cause.left.score), default=None)


def _of_all(evidence: Evidence) -> Iterator[Cause]:
    """Exchanged calibrations, and mistakes that were made in all cameras."""
    names = evidence.rig.cameras
    everywhere = torch.ones(len(names), dtype=torch.bool)
    mend = "exchange their names in the calibration, or those of their folders"
    for i, j in combinations(range(len(names)), 2):
        order = list(range(len(names)))
        order[i], order[j] = j, i
        what = f"the calibrations of {names[i]} and {names[j]} are exchanged"
        yield Cause(what, mend, misfit(reordered(evidence, order)), 0)
    for change in CHANGES:
        yield _undone(change, evidence, everywhere, 1)
    yield _undone(other_size(evidence, everywhere), evidence, everywhere, 2)
    orders = permutations(range(len(names))) if len(names) <= ALL_ORDERS else ()
    for order in orders:
        moved = [f"that of {names[n]} is {names[i]}'s" for i, n in enumerate(order) if i != n]
        if len(moved) > 2:
            what = f"the calibrations are exchanged: {', '.join(moved)}"
            yield Cause(what, mend, misfit(reordered(evidence, order)), 3)


def _of_one(evidence: Evidence, limit: float) -> list[Cause]:
    """What is wrong with a single camera: without it the others agree. Of two cameras, either may be it."""
    names = evidence.rig.cameras
    without = [evidence.without(evidence.camera == n) for n in range(len(names))]
    left = [misfit(rest) if rest.surplus >= SURPLUS else None for rest in without]
    agreeing = {n: rest for n, rest in enumerate(left) if rest is not None and rest.score <= limit}
    suspects = sorted(agreeing, key=lambda n: agreeing[n].score)
    suspects = [n for n in suspects if agreeing[n].score <= AS_GOOD * agreeing[suspects[0]].score]
    found = []
    for n in suspects or (range(2) if len(names) == 2 else ()):
        only = torch.arange(len(names)) == n
        changes: Sequence[Change] = (*CHANGES, other_size(evidence, only))
        found += [_undone(change, evidence, only, 4, names[n]) for change in changes]
    found = [cause for cause in found if cause.left.score <= limit]
    if suspects and not found:
        several = " or ".join(names[n] for n in suspects)
        mend = f"calibrate {several} again, or leave it out; look at its labels"
        found.append(Cause(f"{several} disagrees with the others", mend, agreeing[suspects[0]], 5))
    return found


def _undone(change: Change, evidence: Evidence, who: Scope, rank: int, camera: str = "") -> Cause:
    what = f"{change.what}, of {camera} alone" if camera else change.what
    return Cause(what, change.mend, misfit(change.undo(evidence, who)), rank)
