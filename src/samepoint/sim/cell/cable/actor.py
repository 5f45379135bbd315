"""The cable at work: coming to the socket, touching it, or with its plug inside."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim.arrange import turn
from samepoint.sim.cell.actors import Points, in_disc
from samepoint.sim.cell.cable.insertion import labelled_tip
from samepoint.sim.cell.cable.parts import (
    BASE,
    COLLAR,
    HELD,
    HOLE,
    LINK,
    LINKS,
    OPENING,
    PLUG,
    TIP,
    add_cable,
    add_socket,
)
from samepoint.sim.pool import Instance, stream
from samepoint.sim.world import World

UP = np.array([0.0, 0.0, 1.0])
PLACE, TILT = 0.04, np.deg2rad(12)
"""Metres of the socket from the middle; how far the gripper leans (standard deviation)."""
INSIDE, TOUCHING = 0.3, 0.2
"""Shares of the moments in which the plug is in the socket, and touches it beside or at its opening."""
ALL_BEND, ONE_BEND = 0.16, 0.12
"""How far joints are bent at random, all alike and each on its own (standard deviations, radians)."""
MOVES, STEPS, CHUNK, REST = 40, 800, 100, 0.1


@dataclass(frozen=True, eq=False)
class Cable:
    """Cable, plug and socket whose colours `seed` decides. Where the plug's tip is labelled: see `labelled_tip`."""

    seed: int

    @property
    def instances(self) -> tuple[Instance, ...]:
        return ()

    @property
    def keypoints(self) -> tuple[str, ...]:
        return ("plug_tip", "plug_base", "socket")

    def add(self, mujoco: ModuleType, spec: Any) -> None:
        generator = stream(self.seed, 0, "texture", 0)
        add_cable(mujoco, spec, generator)
        add_socket(mujoco, spec, generator)

    def act(self, world: World, generator: np.random.Generator) -> Points:
        socket = np.eye(4)
        socket[:3, :3] = turn(2, generator.uniform(-np.pi, np.pi))
        socket[:2, 3] = in_disc(generator, PLACE)
        opening = socket[:3, 3] + OPENING * UP
        world.place_prop("socket", socket)
        _bend(world, generator)
        kind = generator.uniform()
        if kind < INSIDE:
            insert(world, generator, opening)
        else:
            approach(world, generator, opening, touch=kind < INSIDE + TOUCHING)
        tip, base = plug_points(world)
        return {
            "plug_tip": labelled_tip(tip, base, opening, UP, HOLE), "plug_base": base, "socket": opening
        }  # fmt: skip


def cable(seed: int) -> Cable:
    """The one cable of a cell."""
    return Cable(seed)


def plug_points(world: World) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Tip and base of the pin, in the world."""
    body = world.model.body(PLUG).id
    place, along = world.data.xpos[body], world.data.xmat[body].reshape(3, 3)[:, 2]
    return place + TIP * along, place + BASE * along


def approach(
    world: World, generator: np.random.Generator, opening: Float[np.ndarray, " 3"], *, touch: bool
) -> None:
    """The cable hangs from the gripper; its tip is near the opening, or on the face around it (`touch`)."""
    lean = turn(0, generator.normal(0, TILT)) @ turn(1, generator.normal(0, TILT))
    rotation = lean @ _downward(generator)
    grip = opening + 0.5 * UP
    _hold(world, rotation, grip)
    _settle(world)
    if touch:
        aside, above = (
            turn(2, generator.uniform(-np.pi, np.pi))[:2, 0] * generator.uniform(HOLE, COLLAR),
            0.0002,
        )
    else:
        aside, above = in_disc(generator, 0.06), generator.uniform(0.006, 0.06)
    wanted = opening + np.array([*aside, above])
    _hold(world, rotation, grip + wanted - plug_points(world)[0])
    world.mujoco.mj_forward(world.model, world.data)


def insert(world: World, generator: np.random.Generator, opening: Float[np.ndarray, " 3"]) -> None:
    """The pin is a sixth to wholly in the socket while the gripper moves down and aside, so that the cable bends."""
    depth = (TIP - BASE) * generator.uniform(0.15, 1.0)
    rotation = _downward(generator)
    end = opening + (TIP - depth) * UP
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, end
    world.place_prop("hold", pose)
    world.data.eq_active[world.model.equality("hold").id] = 1
    move = np.array([*in_disc(generator, 0.035), -generator.uniform(0.012, 0.035)])
    for share in np.linspace(0, 1, MOVES):
        _hold(world, rotation, end + LINKS * LINK * UP + share * move)
        world.mujoco.mj_step(world.model, world.data, 5)
    _settle(world)


def _downward(generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """World from gripper, its fingers down."""
    return turn(2, generator.uniform(-np.pi, np.pi)) @ turn(0, np.pi)


def _hold(world: World, rotation: Float[np.ndarray, "3 3"], grip: Float[np.ndarray, " 3"]) -> None:
    """Brings the place where the gripper holds the cable to `grip`."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, grip - rotation @ HELD
    world.place_prop("gripper", pose)


def _joints(world: World) -> list[Any]:
    return [world.model.joint(name) for name in (*(f"cable_{k}" for k in range(LINKS)), PLUG)]


def _bend(world: World, generator: np.random.Generator) -> None:
    """Gives the cable a bent shape at rest."""
    common = generator.normal(0, ALL_BEND, 2)
    for joint in _joints(world)[1:]:
        bend = np.array([*(common + generator.normal(0, ONE_BEND, 2)), 0.0])
        angle = max(float(np.linalg.norm(bend)), 1e-9)
        quaternion = np.empty(4)
        world.mujoco.mju_axisAngle2Quat(quaternion, bend / angle, angle)
        world.model.qpos_spring[int(joint.qposadr[0]) :][:4] = quaternion


def _settle(world: World) -> None:
    dofs = [int(joint.dofadr[0]) for joint in _joints(world)]
    at = slice(min(dofs), max(dofs) + 3)
    for _ in range(STEPS // CHUNK):
        world.mujoco.mj_step(world.model, world.data, CHUNK)
        if np.abs(world.data.qvel[at]).max() < REST:
            break
        world.data.qvel[at] *= 0.5
    world.mujoco.mj_forward(world.model, world.data)
