"""What keypoints are on: the common signature of all kinds, and rigid objects (box and shoe)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from samepoint.sim.arrange import turn
from samepoint.sim.families import find_family
from samepoint.sim.pool import Instance, Slot, stream
from samepoint.sim.prints import paint
from samepoint.sim.world import World

Points = dict[str, Float[np.ndarray, " 3"]]
"""Keypoints by name, metres in the world."""

CENTRE = 0.07
"""Metres: how far from the middle of the cell an object's centre may be."""
CARTON = {"width": 0.105, "depth": 0.017, "height": 0.199, "bulge": 0.0}
BOX_KEYPOINTS = {name: name for name in ("front_top_left", "front_top_right", "front_bottom_left")}
SHOE_KEYPOINTS = {"front": "toe_tip", "tongue": "tongue", "heel": "heel"}
OMBRE = (0.05, 0.2)
ON_ITS_SIDE = 0.15
"""Share of the moments in which a shoe lies on its side."""


@runtime_checkable
class Actor(Protocol):
    """`instances` become the world's first things; `add` puts in bodies that are none."""

    @property
    def instances(self) -> tuple[Instance, ...]: ...

    @property
    def keypoints(self) -> tuple[str, ...]: ...

    def add(self, mujoco: ModuleType, spec: Any) -> None: ...

    def act(self, world: World, generator: np.random.Generator) -> Points:
        """Brings the actor into a new state, everything else being away, and says where its keypoints are."""
        ...


@dataclass(frozen=True, eq=False)
class Rigid:
    """A rigid object that is put down at a random place, turned by `lying` and then about the vertical.
    `names`: keypoints and what the family calls them."""

    instance: Instance
    names: dict[str, str]
    lying: Callable[[np.random.Generator], Float[np.ndarray, "3 3"]]

    @property
    def instances(self) -> tuple[Instance, ...]:
        return (self.instance,)

    @property
    def keypoints(self) -> tuple[str, ...]:
        return tuple(self.names)

    def add(self, mujoco: ModuleType, spec: Any) -> None:
        """Nothing: the instance is all."""

    def act(self, world: World, generator: np.random.Generator) -> Points:
        model = self.instance.model
        pose = np.eye(4)
        pose[:3, :3] = turn(2, generator.uniform(-np.pi, np.pi)) @ self.lying(generator)
        vertices = model.vertices @ pose[:3, :3].T
        middle = (vertices.min(0) + vertices.max(0)) / 2
        pose[:2, 3] = in_disc(generator, CENTRE) - middle[:2]
        pose[2, 3] = -vertices[:, 2].min()
        world.place(world.things[0], pose)
        return {
            name: pose[:3, :3] @ model.keypoints[known] + pose[:3, 3] for name, known in self.names.items()
        }


def carton(seed: int) -> Rigid:
    """The one box of a cell: 19.9 x 1.7 x 10.5 cm, lying on its back or its front."""
    instance = make_object("box", CARTON, stream(seed, 0, "texture", 0))
    return Rigid(instance, BOX_KEYPOINTS, _on_back_or_front)


def shoe(seed: int, split: int, number: int) -> Rigid:
    """A shoe, upright or now and then on its side."""
    shape = find_family("shoe").sample_shape(stream(seed, split, "shape", number))
    instance = make_object("shoe", shape, stream(seed, split, "texture", number))
    return Rigid(instance, SHOE_KEYPOINTS, _upright_or_on_side)


def make_object(family: str, shape: dict[str, float], generator: np.random.Generator) -> Instance:
    """An object of a given shape with a random texture."""
    found = find_family(family)
    return Instance(Slot(0, 0, family, 0), found.build(shape), paint(found, generator, ombre=OMBRE))


def in_disc(generator: np.random.Generator, radius: float) -> Float[np.ndarray, " 2"]:
    """A point evenly drawn from a disc around the middle."""
    far, angle = radius * np.sqrt(generator.uniform()), generator.uniform(0, 2 * np.pi)
    return far * np.array([np.cos(angle), np.sin(angle)])


def _on_back_or_front(generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    return turn(0, -np.pi / 2 if generator.uniform() < 0.5 else np.pi / 2)


def _upright_or_on_side(generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    on_side, left = generator.uniform(size=2) < (ON_ITS_SIDE, 0.5)
    return turn(1, (np.pi / 2 if left else -np.pi / 2) * on_side)
