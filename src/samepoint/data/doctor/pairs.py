"""Pairs of views to compare: near enough to see the same surface, far enough apart to tell readings from another.

How far a camera turned is the same in every reading of its poses, how far it moved is not. So pairs are chosen by the
turn; a camera that only shifts gives pairs by their distance in the order of views.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.doctor.footage import Footage, evenly
from samepoint.geometry.motions import invert, rotation_angle

LEAST, MOST = math.radians(8), math.radians(75)
STEPS = (3, 10)
"""Distances of views of a camera that does not turn."""
ANCHORS = 15
MAX_LATE = 3


def written_poses(footage: Footage) -> Float[Tensor, "v 4 4"]:
    """The poses as written, NaN where there is none."""
    unknown = torch.full((4, 4), torch.nan)
    return torch.stack(
        [unknown if v.world_from_camera is None else v.world_from_camera for v in footage.views]
    )


def latest(footage: Footage) -> int:
    """By how many views poses may be tried late or early: 0 for few views or where views are simultaneous."""
    if footage.mode != "scan":
        return 0
    return min(MAX_LATE, max(0, (len(footage.views) - 6) // 2))


def choose_pairs(footage: Footage, poses: Float[Tensor, "v 4 4"]) -> list[tuple[int, int]]:
    """At most 30 pairs (a, b) of views with intrinsics, poses `latest` views round them and, if any has it, depth."""
    late = latest(footage)
    usable = _usable(footage, poses, late)
    if footage.mode == "scan":
        return _of_scan(usable, poses)
    if footage.mode == "rig":
        return _of_rig(footage, usable)
    return []


def turned(pairs: list[tuple[int, int]], poses: Float[Tensor, "v 4 4"]) -> bool:
    """Whether views of some pair are turned against each other by at least 8 degrees, however poses are written."""
    if not pairs:
        return False
    a, b = (torch.tensor(side) for side in zip(*pairs, strict=True))
    return bool((rotation_angle(invert(poses[a]) @ poses[b]) >= LEAST).any())


def _usable(footage: Footage, poses: Float[Tensor, "v 4 4"], late: int) -> list[int]:
    views = footage.views
    posed = torch.isfinite(poses).flatten(1).all(1)
    need_depth = any(view.depth is not None for view in views)
    return [
        i
        for i in range(late, len(views) - late)
        if bool(posed[i - late : i + late + 1].all())
        and views[i].intrinsics is not None
        and (not need_depth or views[i].depth is not None)
    ]


def _of_scan(usable: list[int], poses: Float[Tensor, "v 4 4"]) -> list[tuple[int, int]]:
    """From anchors spread over the recording: to the first view that is turned enough, and to a random one."""
    generator = np.random.default_rng(0)
    pairs: dict[tuple[int, int], None] = {}
    for k, a in enumerate(evenly(usable, ANCHORS)):
        others = [i for i in usable if i != a]
        if not others:
            continue
        turn = rotation_angle(invert(poses[a]) @ poses[others])
        fit = [i for i, angle in zip(others, turn.tolist()) if LEAST <= angle <= MOST]
        partners = [min(fit, key=lambda i: (abs(i - a), i)), int(generator.choice(fit))] if fit else []
        if not fit:
            place = usable.index(a)
            partners = [usable[place + step] for step in STEPS if place + step < len(usable)]
        for b in partners:
            pairs[(a, b) if k % 2 == 0 else (b, a)] = None
    return sorted(pairs)


def _of_rig(footage: Footage, usable: list[int]) -> list[tuple[int, int]]:
    """Simultaneous views: the neighbours of evenly spread ones."""
    groups: dict[int, list[int]] = {}
    for i in usable:
        groups.setdefault(footage.moments[i], []).append(i)
    every = [(a, b) for group in groups.values() for a in group for b in group if a != b]
    return [every[k] for k in evenly(range(len(every)), 2 * ANCHORS)]
