"""Takes: one pass of a camera over a scene, whose images lists (train.txt, test.txt) may divide into recordings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from samepoint.data.natural_order import natural_key
from samepoint.data.recording import Recording


@dataclass(frozen=True)
class Take:
    """Recordings of one pass of a camera: mostly one, or several lists of its images."""

    name: str
    lists: tuple[Recording, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What the take is called: its own name, then those of its lists."""
        return tuple(dict.fromkeys((self.name, *(recording.name for recording in self.lists))))

    @property
    def whole(self) -> Recording:
        """All lists as one recording, in the order of the images' paths; an image in several lists comes once."""
        if len(self.lists) == 1:
            return self.lists[0]
        moments = {
            tuple(view.image for view in moment.views): moment
            for recording in self.lists
            for moment in recording.moments
        }
        return Recording(
            self.name, self.lists[0].mode, tuple(moments[images] for images in sorted(moments, key=_natural))
        )


def takes(recordings: Iterable[Recording]) -> tuple[Take, ...]:
    """The recordings in their takes, in order.

    Scans are lists of one take if they declare the same `take`, or a split each and their images lie in one folder
    (COLMAP's models share a folder too, but each has a world of its own, and none a split).
    """
    groups: dict[tuple[str, str | Path], list[Recording]] = {}
    for number, recording in enumerate(recordings):
        groups.setdefault(_key(recording, number), []).append(recording)
    return tuple(Take(_name(found), tuple(found)) for found in groups.values())


def with_takes(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """The recordings, in their order, with the `take` of those that share one: what is written elsewhere, where the
    folder of their images no longer tells."""
    shared = {id(part): take.name for take in takes(recordings) if len(take.lists) > 1 for part in take.lists}
    return tuple(replace(recording, take=shared.get(id(recording))) for recording in recordings)


def _natural(images: tuple[Path, ...]) -> list[object]:
    return [natural_key(image) for image in images]


def _key(recording: Recording, number: int) -> tuple[str, str | Path]:
    first = next(recording.views(), None)
    if recording.mode != "scan" or first is None or recording.split is None:
        return "recording", str(number)
    return ("folder", first.image.parent) if recording.take is None else ("take", recording.take)


def _name(lists: list[Recording]) -> str:
    first = lists[0]
    return first.name if len(lists) == 1 else first.take or first.name.rsplit("/", 1)[0]
