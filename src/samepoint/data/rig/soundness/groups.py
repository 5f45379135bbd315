"""Which clicks show one point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from samepoint.data.recording import Recording
from samepoint.data.rig.points import from_two_places, stretches
from samepoint.data.rig.soundness.evidence import Mark, marks_of

Group = tuple[Mark, ...]
MOST = 32
"""Clicks of one point of a static range that are looked at."""


def points_of(recording: Recording) -> tuple[list[Group], list[Group]]:
    """The clicks that make a point, and those that make none, as no other view shows their keypoint.

    A point is of one moment where two views show it; else of its static range, of cameras that moved."""
    made: list[Group] = []
    alone: list[Group] = []
    for of_range in in_ranges(recording):
        together = [of_moment for of_moment in by_moment(of_range) if len(of_moment) > 1]
        if not together and _from_two_places(recording, of_range):
            together = [evenly(of_range, MOST)]
        made.extend(together)
        if not together:
            alone.append(of_range)
    return made, alone


def in_ranges(recording: Recording) -> list[Group]:
    """The clicks of each keypoint of each scene: of a static range, or of a moment that is in none."""
    marks: dict[int, list[Mark]] = {}
    for mark in marks_of(recording):
        marks.setdefault(mark.moment, []).append(mark)
    groups: list[Group] = []
    for first, last in stretches(recording):
        mine = [mark for m in range(first, last + 1) for mark in marks.get(m, ())]
        groups += _by_keypoint(mine)
    return groups


def evenly(group: Group, number: int) -> Group:
    """At most so many, evenly spread."""
    step = max(1, -(-len(group) // number))
    return group[::step]


def _by_keypoint(marks: Iterable[Mark]) -> list[Group]:
    out: dict[str, list[Mark]] = {}
    for mark in marks:
        out.setdefault(mark.keypoint, []).append(mark)
    return [tuple(group) for group in out.values()]


def by_moment(marks: Iterable[Mark]) -> list[Group]:
    """The clicks of each moment."""
    out: dict[int, list[Mark]] = {}
    for mark in marks:
        out.setdefault(mark.moment, []).append(mark)
    return [tuple(group) for group in out.values()]


def _from_two_places(recording: Recording, group: Sequence[Mark]) -> bool:
    poses = [
        view.world_from_camera
        for mark in group
        for view in recording.moments[mark.moment].views
        if view.camera == mark.camera and view.world_from_camera is not None
    ]
    return bool(from_two_places(torch.stack([pose[:3, 3] for pose in poses]).double())) if poses else False
