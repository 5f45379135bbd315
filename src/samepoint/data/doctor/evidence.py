"""What pairs of views say about a reading: agreement of depth and colour matches, as one score."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from samepoint.data.doctor.agreement import Agreement, Pairs, Surfaces, agreement, surfaces
from samepoint.data.doctor.colours import Matches, colour_matches, fitting
from samepoint.data.doctor.footage import Footage, shoot
from samepoint.data.doctor.pairs import choose_pairs, latest, turned, written_poses
from samepoint.data.doctor.readings import Reading

ENOUGH_MATCHES = 30
ENOUGH_POINTS = 300
SEARCHED_PAIRS, SEARCHED_POINTS = 12, 400
"""What a search over many readings looks at; what it finds is measured again on everything."""
Share = Literal["all", "some", "even", "odd"]
"""Which pairs are looked at: "even" and "odd" have no pair in common."""


@dataclass(frozen=True)
class Evidence:
    """`depth` is None for recordings without depth. `matches` that `fit`; `error` is their median error in pixels."""

    depth: Agreement | None
    fit: int
    matches: int
    error: float

    @property
    def enough(self) -> bool:
        """Whether there is anything to judge by."""
        surface = self.depth is not None and self.depth.known >= ENOUGH_POINTS
        return surface or self.matches >= ENOUGH_MATCHES

    @property
    def score(self) -> float:
        """In [0, 1]: the mean of the points' support and the share of fitting matches, as far as there are any."""
        parts = []
        if self.depth is not None:
            parts.append(self.depth.support)
        if self.matches >= ENOUGH_MATCHES:
            parts.append(self.fit / self.matches)
        return sum(parts) / len(parts) if parts else 0.0

    def __str__(self) -> str:
        words = []
        if self.depth is not None:
            words.append(f"{self.depth.share:.0%} of the points agree in depth")
        if self.matches >= ENOUGH_MATCHES:
            words.append(f"{self.fit / self.matches:.0%} of {self.matches} colour matches fit")
        return " and ".join(words) or "nothing can be compared"


class Case:
    """Pairs of views of one recording, ready to be weighed under any reading."""

    def __init__(self, footage: Footage, invalid: Collection[int] = ()) -> None:
        self.footage = footage
        self.latest = latest(footage)
        poses = written_poses(footage)
        chosen = choose_pairs(footage, poses)
        self.shots = shoot(footage, {i for pair in chosen for i in pair}, invalid)
        sizes = [shot.size for shot in self.shots.values()]
        common = max(sizes, key=sizes.count) if sizes else None
        fit = {i for i, shot in self.shots.items() if shot.size == common and _known(shot.depth)}
        self.pairs: list[tuple[int, int]] = [(a, b) for a, b in chosen if a in fit and b in fit]
        self.turned = turned(self.pairs, poses)
        self.geometry: Pairs | None = None
        self.matches: Matches | None = None
        self.surfaces: Surfaces | None = None
        if self.pairs:
            a, b = (torch.tensor(side) for side in zip(*self.pairs, strict=True))
            k = {i: shot.intrinsics for i, shot in self.shots.items() if shot.intrinsics is not None}
            cameras = [torch.stack([k[int(i)] for i in side]) for side in (a, b)]
            self.geometry = Pairs(a, b, poses, *cameras)
            self.matches = colour_matches(self.shots, self.pairs)
            with_depth = all(self.shots[i].depth is not None for pair in self.pairs for i in pair)
            self.surfaces = surfaces(self.shots, self.pairs) if with_depth else None
        self.weigh = lru_cache(maxsize=None)(self._weigh)
        self.unmoved = lru_cache(maxsize=None)(self._unmoved)

    @property
    def has_depth(self) -> bool:
        return self.surfaces is not None

    def _weigh(self, reading: Reading, share: Share = "all") -> Evidence:
        """What the pairs of the share say."""
        geometry, matches, surface = self.geometry, self.matches, self.surfaces
        if geometry is None or matches is None:
            return Evidence(None, 0, 0, float("inf"))
        if share != "all":
            geometry, matches, surface = _part(share, geometry, matches, surface)
        depth = None if surface is None else agreement(geometry, surface, reading)
        return Evidence(depth, *fitting(geometry, matches, reading))

    def _unmoved(self, reading: Reading) -> Evidence:
        """What all pairs say if the camera had not moved at all, and the reading holds otherwise."""
        geometry, matches = self.geometry, self.matches
        if geometry is None or matches is None:
            return Evidence(None, 0, 0, float("inf"))
        still = replace(geometry, poses=torch.eye(4).expand_as(geometry.poses))
        read = replace(reading, poses="camera-to-world", axes="opencv", late=0)
        depth = None if self.surfaces is None else agreement(still, self.surfaces, read)
        return Evidence(depth, *fitting(still, matches, read))


def _part(
    share: Share, geometry: Pairs, matches: Matches, surface: Surfaces | None
) -> tuple[Pairs, Matches, Surfaces | None]:
    number = len(geometry.a)
    if share == "some":
        keep: Int[Tensor, " k"] = torch.linspace(0, number - 1, min(number, SEARCHED_PAIRS)).round().long()
    else:
        keep = torch.arange(0 if share == "even" else 1, number, 2)
    few = None if surface is None else surface.some(keep, SEARCHED_POINTS)
    return geometry.some(keep), matches.some(keep), few


def _known(depth: Tensor | None) -> bool:
    return depth is None or bool((depth > 0).sum() >= 50)
