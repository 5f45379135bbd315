"""The recordings of a cell and the pieces of work they are rendered in."""

from __future__ import annotations

from dataclasses import dataclass

from samepoint.sim.cell.settings import CellSettings
from samepoint.sim.settings import SPLITS

CHUNK = 50
"""Moments that a worker renders in one go."""


@dataclass(frozen=True)
class CellRecording:
    """`split` is a place in SPLITS; `shown` and `distractors` number objects and distractor sets of that split."""

    split: int
    number: int
    moments: int
    shown: int
    distractors: int

    @property
    def name(self) -> str:
        return f"{SPLITS[self.split]}_{self.number:02d}"


@dataclass(frozen=True)
class Chunk:
    """The moments `first` to `last` (not included) of a recording."""

    recording: CellRecording
    first: int
    last: int


def recordings(settings: CellSettings) -> tuple[CellRecording, ...]:
    """The recordings of training, then those of the test; moments are spread evenly over those of a split."""
    out: list[CellRecording] = []
    for split, moments, objects in (
        ("train", settings.moments, settings.train_objects),
        ("test", settings.test_moments, settings.test_objects),
    ):
        number = settings.recordings(test=split == "test")
        shown = objects if settings.kind == "shoe" else 1
        for k in range(number):
            share = moments // number + (k < moments % number)
            sets = settings.distractor_sets
            out.append(CellRecording(SPLITS.index(split), k, share, k % shown, k % sets))
    return tuple(out)


def chunks(settings: CellSettings) -> tuple[Chunk, ...]:
    """All the work, in the order of recordings and moments."""
    return tuple(
        Chunk(recording, first, min(first + CHUNK, recording.moments))
        for recording in recordings(settings)
        for first in range(0, recording.moments, CHUNK)
    )
