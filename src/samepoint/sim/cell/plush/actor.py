"""The fox as a set of soft joints in MuJoCo: thrown, bent at random, at rest."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim.cell.actors import CENTRE, Points, in_disc
from samepoint.sim.cell.plush.bones import BONES, HOLDS, KEYPOINTS, Bone, deform, pulls
from samepoint.sim.cell.plush.prints import paint_fox
from samepoint.sim.cell.plush.shape import FOX, skin_at_rest
from samepoint.sim.cell.springs import set_spring
from samepoint.sim.patterns import Picture
from samepoint.sim.pool import Instance, stream
from samepoint.sim.room import add_material
from samepoint.sim.world import World

STIFF, DAMPING = 0.03, 0.0015
"""Newton metres a radian, and a radian a second: a limb bends under its weight by a few degrees."""
FALL = 0.03
"""Metres that the fox falls."""
STEPS, CHUNK, REST = 700, 100, 0.03
FAINT = 0.02
"""Bones that hold a vertex by less than this leave it alone."""


@dataclass(frozen=True, eq=False)
class Plush:
    """A fox with this fur. Its keypoints are inside it."""

    fur: Picture

    @property
    def instances(self) -> tuple[Instance, ...]:
        return ()

    @property
    def keypoints(self) -> tuple[str, ...]:
        return tuple(KEYPOINTS)

    def add(self, mujoco: ModuleType, spec: Any) -> None:
        material = add_material(mujoco, spec, "fur", self.fur, 0.02)
        made: dict[str, Any] = {}
        for bone in BONES:
            made[bone.name] = _add_bone(mujoco, spec, bone, made)
        _add_skin(spec, material)

    def act(self, world: World, generator: np.random.Generator) -> Points:
        """Thrown any way up, every joint pulled to a random angle; at rest, it is moved to a random place."""
        _bend(world, generator)
        data, mujoco = world.data, world.mujoco
        at = int(world.model.joint("chest").qposadr[0])
        data.qpos[at : at + 7] = [0, 0, 0, *_random_turn(generator)]
        mujoco.mj_kinematics(world.model, data)
        data.qpos[at + 2] = FALL - _lowest(world)
        data.qvel[int(world.model.joint("chest").dofadr[0]) :][3:6] = generator.uniform(-4, 4, 3)
        _settle(world)
        body = keypoints_of(world)["body"]
        data.qpos[at : at + 2] += in_disc(generator, CENTRE) - body[:2]
        mujoco.mj_forward(world.model, data)
        return keypoints_of(world)


def plush(seed: int) -> Plush:
    """The one fox of a cell."""
    return Plush(paint_fox(stream(seed, 0, "texture", 0)))


def bone_poses(world: World) -> tuple[Float[np.ndarray, "bones 3 3"], Float[np.ndarray, "bones 3"]]:
    """How the bones are turned from rest, and where their joints are."""
    bodies = [world.model.body(bone.name).id for bone in BONES]
    return world.data.xmat[bodies].reshape(-1, 3, 3).copy(), world.data.xpos[bodies].copy()


def keypoints_of(world: World) -> Points:
    """The keypoints in the state of the world; they follow the bones as the skin around them does."""
    rotations, places = bone_poses(world)
    out: Points = {}
    for name, rest in KEYPOINTS.items():
        point = np.array([rest])
        out[name] = deform(point, pulls(HOLDS[name], point), rotations, places)[0]
    return out


def _add_bone(mujoco: ModuleType, spec: Any, bone: Bone, made: dict[str, Any]) -> Any:
    if bone.parent is None:
        body = spec.worldbody.add_body(name=bone.name, pos=bone.start)
        body.add_freejoint(name=bone.name)
    else:
        parent = next(other for other in BONES if other.name == bone.parent)
        body = made[bone.parent].add_body(name=bone.name, pos=np.subtract(bone.start, parent.start))
        joint = body.add_joint(name=bone.name, type=mujoco.mjtJoint.mjJNT_BALL)
        set_spring(joint, STIFF, DAMPING)
    line = np.concatenate([np.zeros(3), np.subtract(bone.end, bone.start)])
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=line, size=[bone.radius, 0, 0], density=150,
                  friction=[1.0, 0.02, 0.004], condim=6, contype=2, conaffinity=1, rgba=[0, 0, 0, 0])  # fmt: skip
    return body


def _add_skin(spec: Any, material: str) -> None:
    surface, (vertices, weights) = FOX.build({}), skin_at_rest()
    skin = spec.add_skin(name="fox", material=material)
    skin.vert = vertices.ravel()
    skin.texcoord, skin.face = surface.uv.ravel(), surface.faces.ravel()
    skin.bodyname = [bone.name for bone in BONES]
    skin.bindpos = np.concatenate([bone.start for bone in BONES])
    skin.bindquat = [1.0, 0, 0, 0] * len(BONES)
    held = [np.flatnonzero(column > FAINT) for column in weights.T]
    skin.vertid = [index.tolist() for index in held]
    skin.vertweight = [weights[index, k].tolist() for k, index in enumerate(held)]


def _bend(world: World, generator: np.random.Generator) -> None:
    for bone in BONES[1:]:
        turn, quaternion = generator.normal(0, bone.bend, 3), np.empty(4)
        angle = max(float(np.linalg.norm(turn)), 1e-9)
        world.mujoco.mju_axisAngle2Quat(quaternion, turn / angle, min(angle, 1.2))
        at = int(world.model.joint(bone.name).qposadr[0])
        world.model.qpos_spring[at : at + 4] = world.data.qpos[at : at + 4] = quaternion


def _random_turn(generator: np.random.Generator) -> Float[np.ndarray, " 4"]:
    quaternion = generator.normal(size=4)
    return quaternion / np.linalg.norm(quaternion)


def _lowest(world: World) -> float:
    """The height of the lowest point of the bones."""
    rotations, places = bone_poses(world)
    along = np.array([np.subtract(bone.end, bone.start) for bone in BONES])
    ends = places + np.einsum("bij,bj->bi", rotations, along)
    radii = np.array([bone.radius for bone in BONES])
    return float((np.minimum(places[:, 2], ends[:, 2]) - radii).min())


def _settle(world: World) -> None:
    dofs = [int(world.model.joint(bone.name).dofadr[0]) for bone in BONES]
    at = slice(min(dofs), max(dofs) + 3)
    for _ in range(STEPS // CHUNK):
        world.mujoco.mj_step(world.model, world.data, CHUNK)
        if np.abs(world.data.qvel[at]).max() < REST:
            break
        world.data.qvel[at] *= 0.7
    world.mujoco.mj_forward(world.model, world.data)
