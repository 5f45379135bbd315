"""The world of one recording: the cell's room, the actor, and the distractors around it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from jaxtyping import Float

from samepoint.sim.arrange import away, turn
from samepoint.sim.cell.actors import Actor, make_object
from samepoint.sim.cell.settings import CellKind
from samepoint.sim.families import find_family
from samepoint.sim.pool import Instance
from samepoint.sim.room import add_lights, add_room, set_options
from samepoint.sim.things import add_distractor, add_object
from samepoint.sim.world import Thing, World, compile_world

LIKE: dict[CellKind, tuple[str, ...]] = {
    "box": ("box",), "shoe": ("mug", "box", "bottle", "cap"), "plush": ("toy",), "cable": ("plug", "socket", "mug"),
}  # fmt: skip
"""Families that look like each kind, for its distractors."""
LIKENESS = 0.7
"""Share of the distractors that are from such families; the others have simple forms."""
SHAPES: dict[str, dict[str, tuple[float, float]]] = {
    "box": {"width": (0.07, 0.12), "depth": (0.012, 0.045), "height": (0.12, 0.2), "bulge": (0.0, 0.002)},
    "toy": {"size": (0.09, 0.14)},
}
"""Ranges of such families' parameters that differ here."""
NEAR, BESIDE, TRIES = 0.04, 0.16, 80
"""Metres: distractors have their middle so far from that of the cell (farther, where there is no room)."""
FALLS = ((0, 0.0), (0, np.pi / 2), (0, -np.pi / 2), (0, np.pi / 2), (0, -np.pi / 2), (1, np.pi / 2))
"""(axis, angle): things stand, lie on their back or front (more often) or on a side."""
UPRIGHT = ("plug", "socket", "cap")
"""Families that are only put down as they stand."""
ABOVE = 0.0002
"""Metres: what is put down is so far above the table."""


def build_stage(
    mujoco: ModuleType,
    kind: CellKind,
    actor: Actor,
    room: np.random.Generator,
    distractors: np.random.Generator,
    number: int,
    offscreen: tuple[int, int],
) -> World:
    """A cell with an actor and a `number` of distractors. `offscreen`: (height, width) that can be drawn."""
    spec = mujoco.MjSpec()
    set_options(mujoco, spec, offscreen, 1.0)
    add_room(mujoco, spec, room, 1.0)
    add_lights(mujoco, spec, room, 1.0)
    instances = list(actor.instances)
    alike = int((distractors.uniform(size=number) < LIKENESS).sum())
    instances += [_like(kind, distractors) for _ in range(alike)]
    points = [add_object(mujoco, spec, k, instance) for k, instance in enumerate(instances)]
    first = len(instances)
    points += [add_distractor(mujoco, spec, distractors, first + k, 1.0) for k in range(number - alike)]
    actor.add(mujoco, spec)
    return compile_world(mujoco, spec, points, instances)


def clear_table(world: World) -> None:
    """The world as it was built, with every thing away."""
    world.mujoco.mj_resetData(world.model, world.data)
    for k, thing in enumerate(world.things):
        world.place(thing, away(world, k))


def place_beside(world: World, generator: np.random.Generator, things: tuple[Thing, ...]) -> None:
    """Puts things on the table, in nothing else; one that finds no room stays away."""
    for thing in things:
        for attempt in range(TRIES):
            pose = _on_the_table(generator, thing, BESIDE * (1 + attempt / TRIES))
            world.place(thing, pose)
            if not _touches(world, thing):
                break
        else:
            world.place(thing, away(world, world.things.index(thing)))
    world.mujoco.mj_forward(world.model, world.data)


def _like(kind: CellKind, generator: np.random.Generator) -> Instance:
    family = find_family(str(generator.choice(LIKE[kind])))
    shape = family.sample_shape(generator)
    for name, (low, high) in SHAPES.get(family.name, {}).items():
        shape[name] = float(generator.uniform(low, high))
    return make_object(family.name, shape, generator)


def _on_the_table(generator: np.random.Generator, thing: Thing, reach: float) -> Float[np.ndarray, "4 4"]:
    """Standing or lying on a side, with the middle of its outline within `reach` metres."""
    fall = FALLS[int(generator.integers(len(FALLS)))]
    if thing.instance is not None and thing.instance.slot.family in UPRIGHT:
        fall = FALLS[0]
    pose = np.eye(4)
    pose[:3, :3] = turn(2, generator.uniform(-np.pi, np.pi)) @ turn(*fall)
    points = thing.points if thing.instance is None else thing.instance.model.vertices
    points = points @ pose[:3, :3].T
    middle = (points.min(0) + points.max(0)) / 2
    far, angle = generator.uniform(NEAR, reach), generator.uniform(0, 2 * np.pi)
    pose[:2, 3] = far * np.array([np.cos(angle), np.sin(angle)]) - middle[:2]
    pose[2, 3] = ABOVE - points[:, 2].min()
    return pose


def _touches(world: World, thing: Thing) -> bool:
    """Whether a thing is in anything but the table."""
    mujoco, model, data = world.mujoco, world.model, world.data
    mujoco.mj_fwdPosition(model, data)
    pairs = data.contact.geom[: data.ncon]
    table = model.geom("table").id
    return bool(((pairs == thing.geom).any(1) & (pairs != table).all(1)).any())
