"""The objects of a split and which of them each scene shows.

Every draw has its own generator, named by what is drawn: nothing depends on the order of the work, and train,
validation and test never share a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from samepoint.sim.families import Model, find_family
from samepoint.sim.patterns import Picture
from samepoint.sim.prints import paint, read_texture_folder
from samepoint.sim.settings import SPLITS, RenderSettings

Purpose = Literal["shape", "texture", "deal", "scene", "sensor"]
PURPOSES: tuple[Purpose, ...] = ("shape", "texture", "deal", "scene", "sensor")


@dataclass(frozen=True)
class Slot:
    """One object of the pool: `object_id` counts over all splits, `index` within family and split."""

    object_id: int
    split: int
    family: str
    index: int


@dataclass(frozen=True)
class Instance:
    """An object ready to be put into scenes."""

    slot: Slot
    model: Model
    texture: Picture


def stream(seed: int, split: int, purpose: Purpose, *number: int) -> np.random.Generator:
    """The generator of one draw."""
    return np.random.default_rng(np.random.SeedSequence([seed, split, PURPOSES.index(purpose), *number]))


def pool(settings: RenderSettings) -> tuple[Slot, ...]:
    """All objects of a data set, of the splits that have scenes (with `same_objects`: those of training)."""
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
    generator = stream(settings.seed, slot.split, "texture", *_name(slot))
    texture = paint(find_family(slot.family), generator, _photos(settings, slot.split))
    return Instance(slot, make_model(settings, slot), texture)


def make_model(settings: RenderSettings, slot: Slot) -> Model:
    """The shape of the object of a slot."""
    family = find_family(slot.family)
    return family.build(family.sample_shape(stream(settings.seed, slot.split, "shape", *_name(slot))))


def _name(slot: Slot) -> tuple[int, int]:
    """Numbers that name a slot and stay the same when other families are added."""
    return int.from_bytes(slot.family.encode()[:7], "little"), slot.index


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
    owner = 0 if settings.same_objects else split
    cards = _by_round([slot for slot in pool(settings) if slot.split == owner], generator)
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


def _by_round(slots: Sequence[Slot], generator: np.random.Generator) -> list[Slot]:
    """The first object of every family in random order, then the second ones, and so on."""
    order = {
        family: k for k, family in enumerate(generator.permutation([s.family for s in slots if s.index == 0]))
    }
    return sorted(slots, key=lambda slot: (slot.index, order[slot.family]))
