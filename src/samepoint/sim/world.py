"""A table-top world as one MuJoCo model: table, room, lights, objects, distractors, hand and gripper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim import patterns as pat
from samepoint.sim.families.surface import Numbers
from samepoint.sim.patterns import Picture
from samepoint.sim.pool import Instance
from samepoint.sim.renderer import FAR, NEAR

AWAY = 60.0
"""Metres: where what is not in the scene waits, farther than is drawn."""
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
    _options(mujoco, spec, offscreen, room)
    _room(mujoco, spec, generator, room)
    _lights(mujoco, spec, generator, room)
    points = [_add_object(mujoco, spec, k, instance) for k, instance in enumerate(instances)]
    points += [_add_distractor(mujoco, spec, generator, len(instances) + k, room) for k in range(distractors)]
    _hand(mujoco, spec, generator)
    _gripper(mujoco, spec, generator)
    spec.worldbody.add_camera(name="view")
    model = spec.compile()
    data = mujoco.MjData(model)
    things = tuple(
        Thing(model.body(f"thing{k}").id, model.joint(f"thing{k}").id, model.geom(f"thing{k}").id, p,
              instances[k] if k < len(instances) else None)
        for k, p in enumerate(points)
    )  # fmt: skip
    world = World(mujoco, model, data, things, room)
    for name in ("hand", "gripper"):
        world.place_prop(name, None)
    return world


def _room_for(instances: Sequence[Instance]) -> float:
    longest = max((float(np.ptp(i.model.vertices, axis=0).max()) for i in instances), default=0.0)
    return max(1.0, longest / ROOMY)


def _options(mujoco: ModuleType, spec: Any, offscreen: tuple[int, int], room: float) -> None:
    spec.option.timestep = 0.004
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.iterations = 30
    spec.stat.extent, spec.stat.center = 1.0, np.zeros(3)
    spec.visual.map.znear, spec.visual.map.zfar = NEAR, FAR * room
    spec.visual.map.shadowclip = 1.2 * room
    spec.visual.quality.offsamples, spec.visual.quality.shadowsize = 0, 1024
    spec.visual.global_.offheight, spec.visual.global_.offwidth = offscreen


def _material(mujoco: ModuleType, spec: Any, name: str, picture: Picture, shine: float = 0.2) -> str:
    """A material with a picture; shine in [0, 1]. Row 0 of the picture is v = 0 of the texture."""
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D)
    texture.height, texture.width, texture.nchannel = picture.shape[0], picture.shape[1], 3
    texture.data = np.ascontiguousarray(picture).tobytes()
    material = spec.add_material(name=name, specular=shine, shininess=0.2 + 0.6 * shine)
    roles = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    roles[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
    material.textures = roles
    return name


def _ground(generator: np.random.Generator, size: tuple[int, int] = (256, 256)) -> Picture:
    """A table top, floor or wall."""
    base = _muted(generator)
    kind = generator.uniform()
    if kind < 0.3:
        tone = pat.from_hsv(
            generator.uniform(0.04, 0.1), generator.uniform(0.3, 0.7), generator.uniform(0.4, 0.9)
        )
        picture = pat.wood(generator, size, tone)
    else:
        picture = pat.gradient(size, base, _muted(generator) if kind < 0.4 else base, 0.7)
        if kind > 0.9:
            pat.check(picture, _muted(generator), float(generator.uniform(30, 90)))
        elif kind > 0.8:
            pat.stripes(picture, _muted(generator), float(generator.uniform(20, 90)), 0.4,
                        float(generator.uniform(0, np.pi)))  # fmt: skip
        elif kind > 0.65:
            pat.blotches(generator, picture, _muted(generator), float(generator.uniform(4, 20)), 0.4)
    pat.wear(generator, picture, 0.25)
    pat.speckle(generator, picture, float(generator.uniform(1, 7)))
    return picture


def _muted(generator: np.random.Generator) -> pat.Colour:
    """A colour of furniture: mostly weak, sometimes as strong as a product's."""
    if generator.uniform() < 0.25:
        return pat.random_colour(generator)
    return pat.from_hsv(generator.uniform(), generator.uniform(0.0, 0.4), generator.uniform(0.25, 0.95))


def _room(mujoco: ModuleType, spec: Any, generator: np.random.Generator, room: float) -> None:
    kind = mujoco.mjtGeom
    sky = spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    sky.builtin = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    sky.rgb1, sky.rgb2 = generator.uniform(0.3, 0.9, 3), generator.uniform(0.1, 0.6, 3)
    sky.width, sky.height = 64, 384
    half = [float(generator.uniform(0.45, 0.75)) * room, float(generator.uniform(0.4, 0.6)) * room, 0.02]
    table = _material(mujoco, spec, "table", _ground(generator, (512, 512)), float(generator.uniform(0, 0.4)))
    spec.worldbody.add_geom(name="table", type=kind.mjGEOM_BOX, size=half, pos=[0, 0, -0.02], material=table,
                            friction=[0.9, 0.01, 0.002], condim=6)  # fmt: skip
    floor = _material(mujoco, spec, "floor", _ground(generator), 0.0)
    passive = {"contype": 0, "conaffinity": 0}
    spec.worldbody.add_geom(
        type=kind.mjGEOM_PLANE,
        size=[4 * room, 4 * room, 0.1],
        pos=[0, 0, -0.75 * room],
        material=floor,
        **passive,
    )
    for k in range(int(generator.integers(1, 5))):
        wall = _material(mujoco, spec, f"wall{k}", _ground(generator), 0.0)
        angle = generator.uniform(0, np.pi / 2) + k * np.pi / 2
        far = float(generator.uniform(1.9, 3.0)) * room
        inward = np.array([-np.cos(angle), -np.sin(angle), 0.0])
        side = np.cross([0, 0, 1.0], inward)
        spec.worldbody.add_geom(type=kind.mjGEOM_PLANE, size=[3 * room, 1.6 * room, 0.1],
                                pos=-inward * far + [0, 0, 0.8 * room],
                                quat=_quaternion(mujoco, np.stack([side, [0, 0, 1.0], inward], 1)),
                                material=wall, **passive)  # fmt: skip


def _lights(mujoco: ModuleType, spec: Any, generator: np.random.Generator, room: float) -> None:
    head = spec.visual.headlight
    ambient = float(generator.uniform(0.3, 0.5))
    head.ambient, head.diffuse, head.specular = (
        [ambient] * 3,
        [float(generator.uniform(0.02, 0.15))] * 3,
        [0.0] * 3,
    )
    number = int(generator.integers(1, 4))
    power = generator.uniform(0.45, 0.75) / number**0.7
    for k in range(number):
        angle, high = generator.uniform(0, 2 * np.pi), generator.uniform(0.6, 1.4)
        place = 2.0 * np.array([np.cos(angle) * np.cos(high), np.sin(angle) * np.cos(high), np.sin(high)])
        warm = generator.uniform(-0.12, 0.12)
        tint = np.array([1 + warm, 1.0, 1 - warm]) * power * generator.uniform(0.6, 1.2)
        light = spec.worldbody.add_light(
            pos=place * room, dir=-place / 2.0, diffuse=tint, specular=0.6 * tint
        )
        light.ambient = [0.0] * 3
        light.castshadow = k == 0 and bool(generator.uniform() < 0.85)
        if hasattr(light, "type"):
            light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        else:
            light.directional = True


def _add_object(mujoco: ModuleType, spec: Any, k: int, instance: Instance) -> Float[np.ndarray, "p 3"]:
    model, name = instance.model, f"thing{k}"
    mesh = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX, maxhullvert=120)
    sides = (1.0, -1.0) if instance.file is not None and instance.file.two_sided else (1.0,)
    mesh.uservert = np.concatenate([model.vertices for _ in sides]).ravel()
    mesh.usernormal = np.concatenate([side * model.normals for side in sides]).ravel()
    mesh.usertexcoord = np.concatenate([model.uv for _ in sides]).ravel()
    turned = [model.faces if side > 0 else model.faces[:, ::-1] + len(model.vertices) for side in sides]
    mesh.userface = np.concatenate(turned).astype(np.int32).ravel()
    shine = 0.05 if instance.slot.family in ("cap", "shoe", "toy") else 0.45
    _free_body(mujoco, spec, name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, density=300,
               material=_material(mujoco, spec, name, instance.texture, shine))  # fmt: skip
    if instance.file is not None:
        return instance.file.outline
    return model.vertices[:: max(1, len(model.vertices) // 300)]


def _add_distractor(
    mujoco: ModuleType, spec: Any, generator: np.random.Generator, k: int, room: float
) -> Float[np.ndarray, "p 3"]:
    kinds = mujoco.mjtGeom
    kind = [kinds.mjGEOM_BOX, kinds.mjGEOM_CYLINDER, kinds.mjGEOM_CAPSULE, kinds.mjGEOM_ELLIPSOID][
        int(generator.integers(4))
    ]
    size = generator.uniform(0.015, 0.05, 3) * room
    name = f"thing{k}"
    picture = _ground(generator)
    pat.emblem(generator, picture, (128, 128), 60, pat.random_colour(generator))
    _free_body(mujoco, spec, name, type=kind, size=size, density=300,
               material=_material(mujoco, spec, name, picture, 0.3))  # fmt: skip
    reach = (
        size if kind in (kinds.mjGEOM_BOX, kinds.mjGEOM_ELLIPSOID) else np.array([size[0], size[0], size[1]])
    )
    if kind == kinds.mjGEOM_CAPSULE:
        reach = reach + np.array([0.0, 0.0, size[0]])
    return np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * reach


def _free_body(mujoco: ModuleType, spec: Any, name: str, **geom: Any) -> None:
    body = spec.worldbody.add_body(name=name, pos=[AWAY, 0, 0])
    body.add_freejoint(name=name)
    body.add_geom(name=name, friction=[0.9, 0.01, 0.002], condim=6, **geom)


def _hand(mujoco: ModuleType, spec: Any, generator: np.random.Generator) -> None:
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
        _bar(mujoco, body, start, end, radius, skin)


def _gripper(mujoco: ModuleType, spec: Any, generator: np.random.Generator) -> None:
    """A parallel gripper on an arm link: fingers along +z, opening along y."""
    body = spec.worldbody.add_body(name="gripper", mocap=True)
    box, shade = mujoco.mjtGeom.mjGEOM_BOX, generator.uniform(0.15, 0.9)
    shell, dark, pad = [shade] * 3 + [1.0], [0.12, 0.12, 0.13, 1.0], [*generator.uniform(0.1, 0.8, 3), 1.0]
    gap = float(generator.uniform(0.012, 0.04))
    passive = {"contype": 0, "conaffinity": 0}
    body.add_geom(type=box, size=[0.03, 0.06, 0.03], pos=[0, 0, -0.03], rgba=shell, **passive)
    for side in (-1, 1):
        body.add_geom(
            type=box, size=[0.01, 0.007, 0.03], pos=[0, side * (gap + 0.007), 0.03], rgba=dark, **passive
        )
        body.add_geom(
            type=box, size=[0.01, 0.004, 0.012], pos=[0, side * (gap + 0.003), 0.05], rgba=pad, **passive
        )
    _bar(mujoco, body, (0, 0, -0.06), (0, 0, -0.14), 0.03, shell)
    _bar(mujoco, body, (0, 0, -0.14), (0.2, 0.05, -0.55), 0.034, dark)


def _bar(
    mujoco: ModuleType, body: Any, start: Numbers, end: Numbers, radius: float, rgba: Sequence[float]
) -> None:
    line = np.concatenate([start, end]).astype(float)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=line, size=[radius, 0, 0], rgba=list(rgba),
                  contype=0, conaffinity=0)  # fmt: skip


def _quaternion(mujoco: ModuleType, rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 4"]:
    out = np.empty(4)
    mujoco.mju_mat2Quat(out, np.ascontiguousarray(rotation).ravel())
    return out


def _shift(x: float, y: float, z: float) -> Float[np.ndarray, "4 4"]:
    out = np.eye(4)
    out[:3, 3] = x, y, z
    return out
