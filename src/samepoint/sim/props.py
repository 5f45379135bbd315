"""What belongs to people and robots: a hand, and a gripper on an arm link. They push nothing."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from samepoint.sim.families.surface import Numbers


def add_hand(mujoco: ModuleType, spec: Any, generator: np.random.Generator) -> None:
    """A hand in skin colour: forearm, palm, four fingers and a thumb, fingers along +x, palm down."""
    body = spec.worldbody.add_body(name="hand", mocap=True)
    tone = generator.uniform(0.35, 1.0)
    skin = [0.93 * tone, 0.72 * tone, 0.58 * tone, 1.0]
    bones = [((-0.32, 0, 0.02), (-0.07, 0, 0.01), 0.033)]
    bones += [((-0.05, y, 0), (0.03, 1.1 * y, 0), 0.017) for y in (-0.028, -0.009, 0.01, 0.028)]
    for y, long in ((-0.034, 0.05), (-0.012, 0.062), (0.011, 0.058), (0.034, 0.045)):
        bend = generator.uniform(0.2, 1.0)
        joint = (0.035 + 0.6 * long * np.cos(bend * 0.5), 1.1 * y, -0.6 * long * np.sin(bend * 0.5))
        tip = (
            joint[0] + 0.6 * long * np.cos(bend * 1.3),
            1.15 * y,
            joint[2] - 0.6 * long * np.sin(bend * 1.3),
        )
        bones += [((0.035, y, 0), joint, 0.0095), (joint, tip, 0.0085)]
    bones += [
        ((-0.04, 0.03, -0.005), (0.005, 0.065, -0.03), 0.013),
        ((0.005, 0.065, -0.03), (0.04, 0.06, -0.05), 0.01),
    ]
    for start, end, radius in bones:
        add_bar(mujoco, body, start, end, radius, skin)


def add_gripper(
    mujoco: ModuleType,
    spec: Any,
    generator: np.random.Generator,
    gaps: tuple[float, float] = (0.012, 0.04),
    elbow: tuple[float, float, float] = (0.2, 0.05, -0.55),
) -> None:
    """A parallel gripper on an arm link that ends at `elbow`: fingers along +z, opening along y by twice a gap that
    is drawn from `gaps` (metres)."""
    body = spec.worldbody.add_body(name="gripper", mocap=True)
    box, shade = mujoco.mjtGeom.mjGEOM_BOX, generator.uniform(0.15, 0.9)
    shell, dark, pad = [shade] * 3 + [1.0], [0.12, 0.12, 0.13, 1.0], [*generator.uniform(0.1, 0.8, 3), 1.0]
    gap = float(generator.uniform(*gaps))
    passive = {"contype": 0, "conaffinity": 0}
    body.add_geom(type=box, size=[0.03, 0.06, 0.03], pos=[0, 0, -0.03], rgba=shell, **passive)
    for side in (-1, 1):
        body.add_geom(
            type=box, size=[0.01, 0.007, 0.03], pos=[0, side * (gap + 0.007), 0.03], rgba=dark, **passive
        )
        body.add_geom(
            type=box, size=[0.01, 0.004, 0.012], pos=[0, side * (gap + 0.003), 0.05], rgba=pad, **passive
        )
    add_bar(mujoco, body, (0, 0, -0.06), (0, 0, -0.14), 0.03, shell)
    add_bar(mujoco, body, (0, 0, -0.14), elbow, 0.034, dark)


def add_bar(
    mujoco: ModuleType, body: Any, start: Numbers, end: Numbers, radius: float, rgba: Sequence[float]
) -> None:
    line = np.concatenate([start, end]).astype(float)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=line, size=[radius, 0, 0], rgba=list(rgba),
                  contype=0, conaffinity=0)  # fmt: skip
