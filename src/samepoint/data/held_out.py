"""Images that a training does not see, on which it is measured: the validation split, or a share held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from samepoint.data.recording import Dataset, Moment, Recording

FEWEST = 4
"""Moments below which none is held out: two of three photos would teach too little."""
FEW = 12
"""Moments below which one is held out."""
SHARE = 8
"""Every so many-th moment is held out where there are more, at least 2 of them."""
MOST = 16
"""Moments that are held out, or taken of the validation split, at most."""
TRAINED_ON = "images that it trains on"
GROUP = 2
"""About so many moments are held out together of one recording, so that they can be matched with each other."""


@dataclass(frozen=True)
class HeldOut:
    """`training` is learnt from, `held_out` (None: nothing) only measured on; `said` is what it is, for people."""

    training: Dataset
    held_out: Dataset | None
    said: str


def hold_out(dataset: Dataset, wanted: Callable[[Moment], bool] = lambda _: True) -> HeldOut:
    """The training split of `dataset` and the images to measure on, which are none of it.

    Those of the validation split where there are some; else moments (all their views) of the training split, evenly
    chosen of those that are `wanted`: one of 4 to 11, every eighth of more, at most 16. The same ones every time.
    """
    training = dataset.split("train")
    own = tuple(r for r in dataset.recordings if r.split == "validation" and r.mode != "robot-only")
    if any(any(wanted(moment) for moment in r.moments) for r in own):
        return HeldOut(training, replace(dataset, recordings=_some(own, wanted)), "the validation split")
    chosen = _chosen(training, wanted)
    if not chosen:
        return HeldOut(training, None, f"{TRAINED_ON}, because there are too few to hold any out")
    number = sum(len(moments) for moments in chosen.values())
    kept = tuple(
        _without(recording, chosen.get(r, frozenset())) for r, recording in enumerate(training.recordings)
    )
    held = tuple(
        _without(recording, frozenset(range(len(recording.moments))) - chosen[r])
        for r, recording in enumerate(training.recordings)
        if r in chosen
    )
    kept = tuple(recording for recording in kept if recording.moments)
    return HeldOut(
        replace(training, recordings=kept),
        replace(training, recordings=held),
        "1 image that it did not train on" if number == 1 and _images(held) == 1
        else f"{_images(held)} images that it did not train on",
    )  # fmt: skip


def _some(recordings: tuple[Recording, ...], wanted: Callable[[Moment], bool]) -> tuple[Recording, ...]:
    """Of a validation split so many moments as are looked at: of at most four recordings, evenly."""
    able = [[m for m, moment in enumerate(r.moments) if wanted(moment)] for r in recordings]
    places = [i for i, moments in enumerate(able) if moments]
    places = [places[i] for i in _evenly(len(places), min(len(places), 4))]
    kept = []
    for i in places:
        chosen = {able[i][m] for m in _evenly(len(able[i]), min(len(able[i]), MOST // len(places)))}
        kept.append(_without(recordings[i], frozenset(range(len(recordings[i].moments))) - chosen))
    return tuple(kept)


def _images(recordings: tuple[Recording, ...]) -> int:
    return sum(1 for recording in recordings for _ in recording.views())


def _chosen(dataset: Dataset, wanted: Callable[[Moment], bool]) -> dict[int, frozenset[int]]:
    """By recording, which of its moments are held out. Of every object, and of every recording, some are left."""
    recordings = dict(enumerate(r for r in dataset.recordings))
    seen = Counter(
        key for r, recording in recordings.items() for m in recording.moments for key in _shown(r, m)
    )
    able = {
        r: [
            m for m, moment in enumerate(recording.moments)
            if wanted(moment) and min(seen[key] for key in _shown(r, moment)) > 1
        ]
        for r, recording in recordings.items() if recording.mode != "robot-only"
    }  # fmt: skip
    able = {r: moments for r, moments in able.items() if moments}
    number = _number(sum(len(moments) for moments in able.values()))
    if number == 0:
        return {}
    groups = min(len(able), -(-number // GROUP))
    chosen: dict[int, frozenset[int]] = {}
    for i, r in enumerate([list(able)[i] for i in _evenly(len(able), groups)]):
        share = min(number // groups + (i < number % groups), max(1, len(able[r]) // 2))
        taken = set()
        for m in (able[r][place] for place in _evenly(len(able[r]), share)):
            keys = _shown(r, recordings[r].moments[m])
            if min(seen[key] for key in keys) > 1:
                taken.add(m)
                seen.subtract(keys)
        chosen[r] = frozenset(taken)
    return {r: moments for r, moments in chosen.items() if moments}


def _shown(recording: int, moment: Moment) -> set[int | str]:
    """What a moment shows: objects by number, or, where none is known, whatever its recording does."""
    objects: set[int | str] = {p.object_id for view in moment.views for p in view.placements}
    return objects or {f"recording {recording}"}


def _number(moments: int) -> int:
    if moments < FEWEST:
        return 0
    return 1 if moments < FEW else min(MOST, max(2, moments // SHARE))


def _evenly(length: int, number: int) -> list[int]:
    """`number` of 0 ... length - 1, in the middle of as many equal parts."""
    return [(2 * i + 1) * length // (2 * number) for i in range(number)]


def _without(recording: Recording, taken: frozenset[int]) -> Recording:
    """The recording without these moments; ranges in which nothing moves are those of what is left."""
    left = [m for m in range(len(recording.moments)) if m not in taken]
    still = []
    for first, last in recording.still:
        inside = [place for place, m in enumerate(left) if first <= m <= last]
        if inside:
            still.append((inside[0], inside[-1]))
    return replace(recording, moments=tuple(recording.moments[m] for m in left), still=tuple(still))
