"""The room of a scene: table, floor, walls, sky and lights; materials for whatever stands in it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim import patterns as pat
from samepoint.sim.patterns import Picture
from samepoint.sim.renderer import FAR, NEAR


def set_options(mujoco: ModuleType, spec: Any, offscreen: tuple[int, int], room: float) -> None:
    spec.option.timestep = 0.004
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.iterations = 30
    spec.stat.extent, spec.stat.center = 1.0, np.zeros(3)
    spec.visual.map.znear, spec.visual.map.zfar = NEAR, FAR * room
    spec.visual.map.shadowclip = 1.2 * room
    spec.visual.quality.offsamples, spec.visual.quality.shadowsize = 0, 1024
    spec.visual.global_.offheight, spec.visual.global_.offwidth = offscreen


def add_room(mujoco: ModuleType, spec: Any, generator: np.random.Generator, room: float) -> None:
    kind = mujoco.mjtGeom
    sky = spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    sky.builtin = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    sky.rgb1, sky.rgb2 = generator.uniform(0.3, 0.9, 3), generator.uniform(0.1, 0.6, 3)
    sky.width, sky.height = 64, 384
    half = [float(generator.uniform(0.45, 0.75)) * room, float(generator.uniform(0.4, 0.6)) * room, 0.02]
    table = add_material(
        mujoco, spec, "table", ground(generator, (512, 512)), float(generator.uniform(0, 0.4))
    )
    spec.worldbody.add_geom(name="table", type=kind.mjGEOM_BOX, size=half, pos=[0, 0, -0.02], material=table,
                            friction=[0.9, 0.01, 0.002], condim=6)  # fmt: skip
    floor = add_material(mujoco, spec, "floor", ground(generator), 0.0)
    passive = {"contype": 0, "conaffinity": 0}
    spec.worldbody.add_geom(
        type=kind.mjGEOM_PLANE,
        size=[4 * room, 4 * room, 0.1],
        pos=[0, 0, -0.75 * room],
        material=floor,
        **passive,
    )
    for k in range(int(generator.integers(1, 5))):
        wall = add_material(mujoco, spec, f"wall{k}", ground(generator), 0.0)
        angle = generator.uniform(0, np.pi / 2) + k * np.pi / 2
        far = float(generator.uniform(1.9, 3.0)) * room
        inward = np.array([-np.cos(angle), -np.sin(angle), 0.0])
        side = np.cross([0, 0, 1.0], inward)
        spec.worldbody.add_geom(type=kind.mjGEOM_PLANE, size=[3 * room, 1.6 * room, 0.1],
                                pos=-inward * far + [0, 0, 0.8 * room],
                                quat=quaternion_of(mujoco, np.stack([side, [0, 0, 1.0], inward], 1)),
                                material=wall, **passive)  # fmt: skip


def add_lights(mujoco: ModuleType, spec: Any, generator: np.random.Generator, room: float) -> None:
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


def add_material(mujoco: ModuleType, spec: Any, name: str, picture: Picture, shine: float = 0.2) -> str:
    """A material with a picture; shine in [0, 1]. Row 0 of the picture is v = 0 of the texture."""
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D)
    texture.height, texture.width, texture.nchannel = picture.shape[0], picture.shape[1], 3
    texture.data = np.ascontiguousarray(picture).tobytes()
    material = spec.add_material(name=name, specular=shine, shininess=0.2 + 0.6 * shine)
    roles = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    roles[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
    material.textures = roles
    return name


def ground(generator: np.random.Generator, size: tuple[int, int] = (256, 256)) -> Picture:
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


def quaternion_of(mujoco: ModuleType, rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 4"]:
    out = np.empty(4)
    mujoco.mju_mat2Quat(out, np.ascontiguousarray(rotation).ravel())
    return out
