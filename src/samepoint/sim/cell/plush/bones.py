"""What bends in the fox, and how its skin and everything inside follows. Metres; at rest the fox stands on the table,
its nose to the front (-y)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Place = tuple[float, float, float]
SOFT = 0.009
"""Metres over which the pull of one bone passes into that of the next."""


@dataclass(frozen=True)
class Bone:
    """A stuffed capsule from `start`, the joint with its parent, to `end`. `bend`: how far the joint is bent at
    random about each axis (standard deviation, radians)."""

    name: str
    parent: str | None
    start: Place
    end: Place
    radius: float
    bend: float = 0.4


def _limb(side: str, sign: float, name: str, parent: str, path: Sequence[Place], radius: float) -> list[Bone]:
    points = [(sign * x, y, z) for x, y, z in path]
    upper, lower = f"{name}_{side}_upper", f"{name}_{side}_lower"
    return [
        Bone(upper, parent, points[0], points[1], radius, 0.45),
        Bone(lower, upper, points[1], points[2], radius, 0.5),
    ]


ARM = ((0.024, -0.042, 0.038), (0.052, -0.056, 0.031), (0.08, -0.074, 0.024))
LEG = ((0.022, 0.042, 0.036), (0.048, 0.056, 0.03), (0.075, 0.07, 0.024))
TAIL = ((0.0, 0.062, 0.05), (0.0, 0.09, 0.052), (0.0, 0.116, 0.05), (0.0, 0.145, 0.048))

BONES: tuple[Bone, ...] = (
    Bone("chest", None, (0.0, -0.004, 0.046), (0.0, -0.05, 0.046), 0.034, 0.0),
    Bone("pelvis", "chest", (0.0, -0.004, 0.046), (0.0, 0.046, 0.046), 0.035, 0.3),
    Bone("head", "chest", (0.0, -0.062, 0.058), (0.0, -0.094, 0.072), 0.034, 0.4),
    *(bone for side, sign in (("left", -1.0), ("right", 1.0)) for bone in (
        *_limb(side, sign, "arm", "chest", ARM, 0.0145), *_limb(side, sign, "leg", "pelvis", LEG, 0.016))),
    Bone("tail_1", "pelvis", TAIL[0], TAIL[1], 0.014, 0.35),
    Bone("tail_2", "tail_1", TAIL[1], TAIL[2], 0.019, 0.35),
    Bone("tail_3", "tail_2", TAIL[2], TAIL[3], 0.017, 0.35),
)  # fmt: skip

KEYPOINTS: dict[str, Place] = {
    "head": (0.0, -0.092, 0.071), "paw_left": (-0.077, -0.072, 0.0245), "paw_right": (0.077, -0.072, 0.0245),
    "body": (0.0, -0.004, 0.046), "tail": (0.0, 0.138, 0.048),
}  # fmt: skip
"""At rest; all are inside."""

PULLS: dict[str, tuple[str, ...]] = {
    "torso": ("chest", "pelvis"), "head": ("chest", "head"), "tail": ("pelvis", "tail_1", "tail_2", "tail_3"),
    **{f"arm_{s}": ("chest", f"arm_{s}_upper", f"arm_{s}_lower") for s in ("left", "right")},
    **{f"leg_{s}": ("pelvis", f"leg_{s}_upper", f"leg_{s}_lower") for s in ("left", "right")},
}  # fmt: skip
"""The bones that each part of the skin follows; other parts are on the head."""
HOLDS = {"head": "head", "paw_left": "arm_left", "paw_right": "arm_right", "body": "torso", "tail": "tail"}
"""The part around each keypoint."""


def pulls(part: str, points: Float[np.ndarray, "p 3"]) -> Float[np.ndarray, "p bones"]:
    """How much each bone of BONES holds points of a part at rest; rows sum to one."""
    named = PULLS.get(part, ("head",))
    out = np.zeros((len(points), len(BONES)))
    for k, bone in enumerate(BONES):
        if bone.name in named:
            out[:, k] = _distance(points, np.array(bone.start), np.array(bone.end))
    at = [k for k, bone in enumerate(BONES) if bone.name in named]
    nearest = out[:, at].min(1, keepdims=True)
    out[:, at] = np.exp(-np.square(out[:, at] - nearest) / (2 * SOFT**2))
    return out / out.sum(1, keepdims=True)


def deform(
    points: Float[np.ndarray, "p 3"],
    weights: Float[np.ndarray, "p bones"],
    rotations: Float[np.ndarray, "bones 3 3"],
    places: Float[np.ndarray, "bones 3"],
) -> Float[np.ndarray, "p 3"]:
    """Where points at rest are when the bones are turned and have their joints at `places`."""
    starts = np.array([bone.start for bone in BONES])
    moved = np.einsum("bij,pbj->pbi", rotations, points[:, None] - starts) + places
    return np.einsum("pb,pbi->pi", weights, moved)


def _distance(
    points: Float[np.ndarray, "p 3"], start: Float[np.ndarray, " 3"], end: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, " p"]:
    along = end - start
    t = np.clip((points - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(points - start - t[:, None] * along, axis=1)
