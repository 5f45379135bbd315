"""Bodies that lie about freely: objects with a mesh and a texture, distractors of simple form."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim import patterns as pat
from samepoint.sim.pool import Instance
from samepoint.sim.room import add_material, ground

AWAY = 60.0
"""Metres: where what is not in the scene waits, farther than is drawn."""


def add_object(mujoco: ModuleType, spec: Any, k: int, instance: Instance) -> Float[np.ndarray, "p 3"]:
    model, name = instance.model, f"thing{k}"
    mesh = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX, maxhullvert=120)
    sides = (1.0, -1.0) if instance.file is not None and instance.file.two_sided else (1.0,)
    mesh.uservert = np.concatenate([model.vertices for _ in sides]).ravel()
    mesh.usernormal = np.concatenate([side * model.normals for side in sides]).ravel()
    mesh.usertexcoord = np.concatenate([model.uv for _ in sides]).ravel()
    turned = [model.faces if side > 0 else model.faces[:, ::-1] + len(model.vertices) for side in sides]
    mesh.userface = np.concatenate(turned).astype(np.int32).ravel()
    shine = 0.05 if instance.slot.family in ("cap", "shoe", "toy") else 0.45
    add_free_body(mujoco, spec, name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, density=300,
               material=add_material(mujoco, spec, name, instance.texture, shine))  # fmt: skip
    if instance.file is not None:
        return instance.file.outline
    return model.vertices[:: max(1, len(model.vertices) // 300)]


def add_distractor(
    mujoco: ModuleType, spec: Any, generator: np.random.Generator, k: int, room: float
) -> Float[np.ndarray, "p 3"]:
    kinds = mujoco.mjtGeom
    kind = [kinds.mjGEOM_BOX, kinds.mjGEOM_CYLINDER, kinds.mjGEOM_CAPSULE, kinds.mjGEOM_ELLIPSOID][
        int(generator.integers(4))
    ]
    size = generator.uniform(0.015, 0.05, 3) * room
    name = f"thing{k}"
    picture = ground(generator)
    pat.emblem(generator, picture, (128, 128), 60, pat.random_colour(generator))
    add_free_body(mujoco, spec, name, type=kind, size=size, density=300,
               material=add_material(mujoco, spec, name, picture, 0.3))  # fmt: skip
    reach = (
        size if kind in (kinds.mjGEOM_BOX, kinds.mjGEOM_ELLIPSOID) else np.array([size[0], size[0], size[1]])
    )
    if kind == kinds.mjGEOM_CAPSULE:
        reach = reach + np.array([0.0, 0.0, size[0]])
    return np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * reach


def add_free_body(mujoco: ModuleType, spec: Any, name: str, **geom: Any) -> None:
    body = spec.worldbody.add_body(name=name, pos=[AWAY, 0, 0])
    body.add_freejoint(name=name)
    body.add_geom(name=name, friction=[0.9, 0.01, 0.002], condim=6, **geom)
