"""The objects of a split and which of them each scene shows.

Every draw has its own generator, named by what is drawn: nothing depends on the order of the work, and train,
validation and test never share a stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from samepoint.sim.families import Model, find_family
from samepoint.sim.meshes import FileObject, find_meshes, mesh_name, read_object
from samepoint.sim.patterns import Picture, random_colour
from samepoint.sim.prints import paint, read_texture_folder
from samepoint.sim.settings import SPLITS, RenderSettings

Purpose = Literal["shape", "texture", "deal", "scene", "sensor", "meshes", "blender", "room", "distractors",
                  "moment", "places", "cameras"]  # fmt: skip
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
"""New ones at the end: a purpose's place is part of the seed."""


@dataclass(frozen=True)
class Slot:
    """One object of the pool: `object_id` counts over all splits, `index` within family and split. An object read
    from a file (`mesh`) has no family and belongs to all splits."""

    object_id: int
    split: int
    family: str | None
    index: int
    mesh: Path | None = None


@dataclass(frozen=True)
class Instance:
    """An object ready to be put into scenes. `file`: what is known of it if it was read from one."""

    slot: Slot
    model: Model
    texture: Picture
    file: FileObject | None = None


def stream(seed: int, split: int, purpose: Purpose, *number: int) -> np.random.Generator:
    """The generator of one draw."""
    return np.random.default_rng(np.random.SeedSequence([seed, split, PURPOSES.index(purpose), *number]))


def pool(settings: RenderSettings) -> tuple[Slot, ...]:
    """All objects of a data set, of the splits that have scenes (with `same_objects`: those of training)."""
    if settings.meshes is not None:
        return tuple(Slot(k + 1, 0, None, k, path) for k, path in enumerate(find_meshes(settings.meshes)))
    counts = settings.scenes_of_splits()
    wanted = [
        (split, family, index)
        for split in ((0,) if settings.same_objects else range(len(SPLITS)))
        if counts[split] or settings.same_objects
        for index in range(settings.instances[split])
        for family in dict.fromkeys(settings.families)
    ]
    return tuple(Slot(k + 1, *what) for k, what in enumerate(wanted))


def make_instance(settings: RenderSettings, slot: Slot) -> Instance:
    """The object of a slot; the same whenever and wherever it is made."""
    if slot.mesh is not None:
        return _read_instance(settings, slot, slot.mesh)
    generator = stream(settings.seed, slot.split, "texture", *_name(slot))
    texture = paint(find_family(_family(slot)), generator, _photos(settings, slot.split))
    return Instance(slot, make_model(settings, slot), texture)


def make_model(settings: RenderSettings, slot: Slot) -> Model:
    """The shape of the object of a slot."""
    if slot.mesh is not None:
        return make_instance(settings, slot).model
    family = find_family(_family(slot))
    return family.build(family.sample_shape(stream(settings.seed, slot.split, "shape", *_name(slot))))


def _read_instance(settings: RenderSettings, slot: Slot, path: Path) -> Instance:
    """An object from a file; where that has no colours, in a plain one that its name and the seed decide."""
    name = mesh_name(settings.meshes or path, path).encode()
    number = int.from_bytes(hashlib.sha256(name).digest()[:7], "little")
    colour = random_colour(stream(settings.seed, slot.split, "meshes", number))
    found = read_object(path, settings.mesh_scale, colour)
    return Instance(slot, found.model, found.texture, found)


def _name(slot: Slot) -> tuple[int, int]:
    """Numbers that name a slot and stay the same when other families are added."""
    return int.from_bytes(_family(slot).encode()[:7], "little"), slot.index


def _family(slot: Slot) -> str:
    assert slot.family is not None
    return slot.family


def _photos(settings: RenderSettings, split: int) -> tuple[Path, ...]:
    """Every third image of the folder belongs to a split (all of them, if there are fewer than three)."""
    if settings.texture_folder is None:
        return ()
    found = read_texture_folder(settings.texture_folder)
    return found[split :: len(SPLITS)] if len(found) >= len(SPLITS) else found


def deal(settings: RenderSettings, split: int) -> tuple[tuple[Slot, ...], ...]:
    """The objects of each scene of a split.

    Dealt like cards from a shuffled deck, so that all objects appear about equally often. If there are few
    scenes, only part of the pool is used: each object should appear in at least two scenes.
    """
    generator = stream(settings.seed, split, "deal")
    scenes = settings.scenes_of_splits()[split]
    low, high = settings.objects_per_scene
    numbers = generator.integers(low, high + 1, size=scenes)
    owner = 0 if settings.same_objects or settings.meshes is not None else split
    slots = [slot for slot in pool(settings) if slot.split == owner]
    cards = (
        _by_round(slots, generator) if settings.meshes is None else _shown(settings, split, slots, generator)
    )
    cards = cards[: max(int(numbers.sum()) // 2, int(numbers.max(initial=0)))]
    deck: list[Slot] = []
    hands: list[tuple[Slot, ...]] = []
    for number in numbers:
        hand: list[Slot] = []
        while len(hand) < min(number, len(cards)):
            if not any(slot not in hand for slot in deck):
                deck += [cards[i] for i in generator.permutation(len(cards))]
            card = next(slot for slot in deck if slot not in hand)
            deck.remove(card)
            hand.append(card)
        hands.append(tuple(hand))
    return tuple(hands)


def _shown(
    settings: RenderSettings, split: int, slots: Sequence[Slot], generator: np.random.Generator
) -> list[Slot]:
    """Objects from files in random order; validation and test have those that training shows, if it shows any."""
    seen = {slot for hand in deal(settings, 0) for slot in hand} if split else set()
    slots = [slot for slot in slots if slot in seen] or slots
    return [slots[i] for i in generator.permutation(len(slots))]


def _by_round(slots: Sequence[Slot], generator: np.random.Generator) -> list[Slot]:
    """The first object of every family in random order, then the second ones, and so on."""
    order = {
        family: k
        for k, family in enumerate(generator.permutation([_family(s) for s in slots if s.index == 0]))
    }
    return sorted(slots, key=lambda slot: (slot.index, order[_family(slot)]))
