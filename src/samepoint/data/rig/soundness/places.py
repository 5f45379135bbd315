"""Where cameras stand: apart from each other, and so that depth can be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import evenly
from samepoint.data.recording import Recording
from samepoint.data.rig.points import APART
from samepoint.data.rig.soundness.evidence import Evidence, rig_of
from samepoint.data.rig.soundness.groups import Group
from samepoint.geometry.motions import invert, rotation_angle

CHECK = "cameras"
EXAMINED = 8
"""Moments whose calibrations are looked at."""
POINTS = 100
NARROW = 2.0
"""Degrees between rays, under which depth is weakly known."""
NEAR, FAR = 0.01, 30.0
"""Metres from cameras to points that are likely."""


def check_places(recording: Recording, made: Sequence[Group]) -> Finding:
    """`made`: clicks by the point they make."""
    moments = evenly([m for m, moment in enumerate(recording.moments) if len(moment.views) > 1], EXAMINED)
    for m in moments:
        rig, here = rig_of(recording, [m]), {view.camera for view in recording.moments[m].views}
        poses = {name: rig.world_from_camera[0, n] for n, name in enumerate(rig.cameras) if name in here}
        for one, other in combinations(poses, 2):
            apart = float((poses[one][:3, 3] - poses[other][:3, 3]).norm())
            if apart < APART:
                turn = math.degrees(float(rotation_angle(invert(poses[one]) @ poses[other])))
                return _at_one_place(one, other, apart, turn)
    cameras = len(dict.fromkeys(view.camera for view in recording.views()))
    if not made:
        return Finding(CHECK, "right", f"{cameras} cameras, all apart; no points to judge angles by")
    return _of_points(recording, made, cameras)


def _at_one_place(one: str, other: str, apart: float, turn: float) -> Finding:
    sentence = f"{one} and {other} stand {1000 * apart:.2g} mm apart, turned by {turn:.2g} degrees"
    if turn < 1:
        mend = f"one calibration is a copy of the other: calibrate {one} and {other} again"
        return Finding(CHECK, "fault", sentence, mend)
    return Finding(CHECK, "fault", sentence, "check metres_per_unit, and the translations")


def _of_points(recording: Recording, made: Sequence[Group], cameras: int) -> Finding:
    evidence = Evidence.of(recording, [made[g] for g in evenly(range(len(made)), POINTS)])
    rays = evidence.fit().xyz[:, None] - evidence.pose[..., :3, 3]
    away = float(rays.norm(dim=-1)[evidence.active].nanmedian())
    widest = math.degrees(float(_widest(rays, evidence).nanmedian()))
    sentence = (
        f"{cameras} cameras, {away:.3g} m (median) from the points, seen from {widest:.3g} degrees apart"
    )
    if not NEAR <= away <= FAR:
        return Finding(CHECK, "undecided", sentence, "check metres_per_unit in the calibration")
    if widest < NARROW:
        mend = "place cameras further apart: depth is weakly known"
        return Finding(CHECK, "undecided", sentence, mend)
    return Finding(CHECK, "right", sentence)


def _widest(rays: Float[Tensor, "g c 3"], evidence: Evidence) -> Float[Tensor, " g"]:
    """The largest angle between two rays of each point, radians."""
    one, other = rays[:, :, None], rays[:, None]
    angle = torch.atan2(torch.linalg.cross(one, other, dim=-1).norm(dim=-1), (one * other).sum(-1))
    both = evidence.active[:, :, None] & evidence.active[:, None]
    return torch.where(both, angle, 0.0).flatten(1).max(1).values
