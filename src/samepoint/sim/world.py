"""A table-top world as one MuJoCo model: table, room, lights, objects, distractors, hand and gripper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim.pool import Instance
from samepoint.sim.props import add_gripper, add_hand
from samepoint.sim.room import add_lights, add_room, set_options
from samepoint.sim.things import AWAY, add_distractor, add_object

ROOMY = 0.4
"""Metres: longer objects stand in a room that is larger as a whole."""


@dataclass(frozen=True, eq=False)
class Thing:
    """A free body: an object (`instance`) or a distractor, with points that bound it in its own frame."""

    body: int
    joint: int
    geom: int
    points: Float[np.ndarray, "p 3"]
    instance: Instance | None


@dataclass(frozen=True, eq=False)
class World:
    """A compiled model and its state. `things` lists objects first, then distractors. Table top: z = 0.
    `room` is how many times larger than a table-top for household objects everything but the objects is."""

    mujoco: ModuleType
    model: Any
    data: Any
    things: tuple[Thing, ...]
    room: float = 1.0

    def pose(self, thing: Thing) -> Float[np.ndarray, "4 4"]:
        """World from object."""
        out = np.eye(4)
        out[:3, :3] = self.data.xmat[thing.body].reshape(3, 3)
        out[:3, 3] = self.data.xpos[thing.body]
        return out

    def place(self, thing: Thing, pose: Float[np.ndarray, "4 4"]) -> None:
        """Puts a thing somewhere, at rest."""
        at, speed = self.model.jnt_qposadr[thing.joint], self.model.jnt_dofadr[thing.joint]
        quaternion = np.empty(4)
        self.mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(pose[:3, :3]).ravel())
        self.data.qpos[at : at + 3], self.data.qpos[at + 3 : at + 7] = pose[:3, 3], quaternion
        self.data.qvel[speed : speed + 6] = 0

    def place_prop(self, name: str, pose: Float[np.ndarray, "4 4"] | None) -> None:
        """Moves the hand or the gripper; None takes it away."""
        at = self.model.body_mocapid[self.model.body(name).id]
        pose = pose if pose is not None else _shift(0.0, AWAY * self.room, 0.0)
        quaternion = np.empty(4)
        self.mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(pose[:3, :3]).ravel())
        self.data.mocap_pos[at], self.data.mocap_quat[at] = pose[:3, 3], quaternion


def build_world(
    mujoco: ModuleType,
    generator: np.random.Generator,
    instances: Sequence[Instance],
    distractors: int,
    offscreen: tuple[int, int],
) -> World:
    """A random room around the given objects. `offscreen` is the (height, width) that can be drawn."""
    spec = mujoco.MjSpec()
    room = _room_for(instances)
    set_options(mujoco, spec, offscreen, room)
    add_room(mujoco, spec, generator, room)
    add_lights(mujoco, spec, generator, room)
    points = [add_object(mujoco, spec, k, instance) for k, instance in enumerate(instances)]
    points += [add_distractor(mujoco, spec, generator, len(instances) + k, room) for k in range(distractors)]
    add_hand(mujoco, spec, generator)
    add_gripper(mujoco, spec, generator)
    world = compile_world(mujoco, spec, points, instances, room)
    for name in ("hand", "gripper"):
        world.place_prop(name, None)
    return world


def compile_world(
    mujoco: ModuleType,
    spec: Any,
    points: Sequence[Float[np.ndarray, "_ 3"]],
    instances: Sequence[Instance],
    room: float = 1.0,
) -> World:
    """The world of a spec with the bodies thing0, thing1, ..., bounded by `points`; the first are `instances`."""
    spec.worldbody.add_camera(name="view")
    model = spec.compile()
    things = tuple(
        Thing(model.body(f"thing{k}").id, model.joint(f"thing{k}").id, model.geom(f"thing{k}").id, p,
              instances[k] if k < len(instances) else None)
        for k, p in enumerate(points)
    )  # fmt: skip
    return World(mujoco, model, mujoco.MjData(model), things, room)


def _room_for(instances: Sequence[Instance]) -> float:
    longest = max((float(np.ptp(i.model.vertices, axis=0).max()) for i in instances), default=0.0)
    return max(1.0, longest / ROOMY)


def _shift(x: float, y: float, z: float) -> Float[np.ndarray, "4 4"]:
    out = np.eye(4)
    out[:3, 3] = x, y, z
    return out
