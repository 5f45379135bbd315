"""Which two views make a training pair, by kind of pair (the pair types of Dense Object Nets)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import Literal

import torch

from samepoint.data.matches import MatchFinder
from samepoint.data.store import FrameStore
from samepoint.errors import DataError

PairKind = Literal["within", "across", "synchronised", "different", "robot_only", "collage"]


@dataclass(frozen=True)
class PairMixture:
    """How often each kind of pair is drawn; weights, not shares. A kind that the data has no pair of gives way to
    the others.

    `within`: two views of one recording. `across`: of two recordings that hold the same object. `synchronised`:
    of two cameras at the same moment, also where things move. `different`: two views without a common object,
    whose points have no match. `robot_only`: a view and one of a recording of the robot alone, in which no point
    has a match (seed 004). `collage`: the objects of one pair pasted into another pair.
    """

    within: float = 1.0
    across: float = 1.0
    synchronised: float = 0.0
    different: float = 0.0
    robot_only: float = 0.0
    collage: float = 0.0

    def weights(self) -> dict[PairKind, float]:
        """By kind. DataError if one is negative or all are zero."""
        found: dict[PairKind, float] = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[misc]
        if min(found.values()) < 0 or max(found.values()) <= 0:
            raise DataError(f"the mixture of pairs is {found}", mend="give weights of 0 or more, one above 0")
        return found


class Partners:
    """Views and those that each can be paired with. Views without depth or intrinsics can be paired with none."""

    def __init__(self, store: FrameStore, finder: MatchFinder) -> None:
        self.recording_of: dict[int, int] = {}
        self.objects_of: dict[int, list[int | str]] = {}
        self._static: dict[int, list[int]] = defaultdict(list)
        self._moments: dict[tuple[int, int], list[int]] = defaultdict(list)
        self._by_object: dict[int | str, list[int]] = defaultdict(list)
        self._robot: list[int] = []
        for i, (recording, moment, v) in enumerate(store.index):
            source = store.dataset.recordings[recording]
            if source.mode == "robot-only":
                self._robot.append(i)
                continue
            view = source.moments[moment].views[v]
            if view.depth is None or view.intrinsics is None:
                continue
            self.recording_of[i] = recording
            self.objects_of[i] = finder.keys(view)
            for key in self.objects_of[i]:
                self._by_object[key].append(i)
            posed = view.world_from_camera is not None
            if self.objects_of[i] or (source.static and posed):
                self._static[recording].append(i)
            if self.objects_of[i] or posed:
                self._moments[recording, moment].append(i)
        self._moment_of = {i: store.index[i][:2] for i in self.recording_of}

    def of_kind(self, i: int, kind: PairKind) -> list[int]:
        """All partners of view i of one kind; a collage is made of pairs of the other kinds and has none itself."""
        if kind == "within":
            return [j for j in self._static[self.recording_of[i]] if j != i]
        if kind == "synchronised":
            return [j for j in self._moments[self._moment_of[i]] if j != i]
        if kind == "across":
            return [j for key in self.objects_of[i] for j in self._elsewhere(i, key)]
        if kind == "different":
            own = set(self.objects_of[i])
            return [j for j, keys in self.objects_of.items() if own and keys and own.isdisjoint(keys)]
        return self._robot if kind == "robot_only" else []

    def draw(self, i: int, kind: PairKind, generator: torch.Generator) -> int | None:
        """A partner of view i. Across recordings one of its objects is drawn first, each equally likely."""
        found: list[int] = []
        if kind == "across" and self.objects_of[i]:
            keys = self.objects_of[i]
            found = self._elsewhere(i, keys[index(len(keys), generator)])
        found = found or self.of_kind(i, kind)
        return found[index(len(found), generator)] if found else None

    def _elsewhere(self, i: int, key: int | str) -> list[int]:
        return [j for j in self._by_object[key] if self.recording_of[j] != self.recording_of[i]]


def index(number: int, generator: torch.Generator) -> int:
    """One of 0 ... number - 1, each equally likely."""
    return int(torch.randint(number, (), generator=generator))
