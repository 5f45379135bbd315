"""Puts things on the table: random places, sometimes on top of each other, then physics until they rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from samepoint.sim.families import find_family
from samepoint.sim.world import AWAY, Thing, World

STEPS, CHUNK, REST = 900, 150, 0.02
"""At most so many steps of 4 ms, looking every CHUNK whether everything is slower than REST."""
GAP = 0.004
TRIES = 12


def arrange(
    world: World,
    generator: np.random.Generator,
    things: Sequence[Thing],
    spread: float,
    max_yaw: float = np.pi,
) -> tuple[Thing, ...]:
    """Places `things` within about `spread` metres of the middle and lets them settle; the others go away.

    Returns those that stayed on the table.
    """
    for k, thing in enumerate(world.things):
        world.place(thing, away(world, k))
    placed: list[tuple[np.ndarray, float, float]] = []
    for thing in things:
        rotation = _orientation(generator, thing, max_yaw)
        points = thing.points @ rotation.T
        radius, low, high = (
            float(np.linalg.norm(points[:, :2], axis=1).max()),
            points[:, 2].min(),
            points[:, 2].max(),
        )
        xy, base = _free_place(generator, placed, radius, spread)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, (*xy, base - low + GAP)
        placed.append((xy, radius, base + high - low + GAP))
        world.place(thing, pose)
    _settle(world, things)
    return tuple(thing for thing in things if _on_table(world, thing))


def away(world: World, k: int) -> Float[np.ndarray, "4 4"]:
    """Where the k-th thing waits while it is not in the scene."""
    pose = np.eye(4)
    pose[:3, 3] = (AWAY + k) * world.room, 0, AWAY * world.room
    return pose


def _orientation(generator: np.random.Generator, thing: Thing, max_yaw: float) -> Float[np.ndarray, "3 3"]:
    """Upright as often as the family says, else any way; with a random yaw of up to `max_yaw` radians. Where
    that is less than all round everything stands upright."""
    yaw = turn(2, generator.uniform(-max_yaw, max_yaw))
    if max_yaw < np.pi:
        return yaw
    family = thing.instance.slot.family if thing.instance else None
    stands = 0.5 if family is None else find_family(family).upright
    if generator.uniform() < stands:
        return yaw
    return yaw @ turn(0, generator.uniform(0, 2 * np.pi)) @ turn(1, generator.uniform(0, 2 * np.pi))


def turn(axis: int, angle: float) -> Float[np.ndarray, "3 3"]:
    """The rotation by `angle` radians about the x, y or z axis."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3)
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def _free_place(
    generator: np.random.Generator,
    placed: Sequence[tuple[np.ndarray, float, float]],
    radius: float,
    spread: float,
) -> tuple[Float[np.ndarray, " 2"], float]:
    """A place beside the others, now and then (or if there is no room) on top: (xy, height of the base)."""
    stack = generator.uniform() < 0.12
    xy = np.zeros(2)
    for attempt in range(TRIES):
        reach = spread * (1 + 0.08 * attempt) * np.sqrt(generator.uniform())
        angle = generator.uniform(0, 2 * np.pi)
        xy = reach * np.array([np.cos(angle), np.sin(angle)])
        near = [p for p in placed if np.linalg.norm(xy - p[0]) < radius + p[1]]
        if stack or not near:
            break
    near = [p for p in placed if np.linalg.norm(xy - p[0]) < radius + p[1]]
    return xy, max((p[2] for p in near), default=0.0)


def _settle(world: World, things: Sequence[Thing]) -> None:
    mujoco, model, data = world.mujoco, world.model, world.data
    speeds = [slice(model.jnt_dofadr[t.joint], model.jnt_dofadr[t.joint] + 6) for t in things]
    data.qacc_warmstart[:] = 0
    data.time = 0
    for _ in range(STEPS // CHUNK):
        mujoco.mj_step(model, data, CHUNK)
        for speed in speeds:
            data.qvel[speed] *= 0.5
        if all(np.abs(data.qvel[speed]).max() < REST for speed in speeds):
            break
    for k, thing in enumerate(world.things):
        if thing not in things:
            world.place(thing, away(world, k))
    mujoco.mj_forward(model, data)


def _on_table(world: World, thing: Thing) -> bool:
    return bool(world.pose(thing)[2, 3] > -0.1 * world.room)
