"""Which objects two views share, and by what points on them are related: their own poses, or the scene's depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from samepoint.data.recording import Dataset, Placement, View
from samepoint.data.store import Frame

By = Literal["object", "scene"]
"""object: the object's pose in both views, in any scene. scene: depth and the cameras' poses, where nothing moved."""

Key = int | str
"""What tells objects apart: a number, or a family where any of its instances will do."""


@dataclass(frozen=True)
class Link:
    """An object that A and B hold: indices of its placements in A and in B (one each by "object").

    `b` is empty where B has no masks: where the object is there follows from depth alone. `bare`: B is known to hold
    it, but not by a mask.
    """

    a: tuple[int, ...]
    b: tuple[int, ...]
    by: By
    bare: bool = False


def is_seen(placement: Placement) -> bool:
    """Not nearly hidden."""
    return placement.visible_fraction is None or placement.visible_fraction > 0.1


def has_masks(view: View) -> bool:
    return any(placement.mask is not None for placement in view.placements)


def posed_links(a: View, b: View, key: Callable[[Placement], Key]) -> list[Link]:
    """Objects with poses that both views hold, in the order of A's placements."""
    of_b = {key(p): j for j, p in enumerate(b.placements) if p.camera_from_object is not None}
    found = []
    for i, placement in enumerate(a.placements):
        if placement.camera_from_object is not None and key(placement) in of_b:
            found.append(Link((i,), (of_b.pop(key(placement)),), "object"))
    return found


def scene_links(a: View, b: View, taken: list[Link]) -> list[Link]:
    """Objects with a mask in A that B also holds, or may hold where it has no masks, but for those `taken`.

    The views are of one scene in which nothing moved. What carries the same number in it is one object, or equal ones
    that depth tells apart: their masks count as one.
    """
    used_a = {i for link in taken for i in link.a}
    used_b = {j for link in taken for j in link.b}
    groups: dict[int, list[int]] = defaultdict(list)
    for i, placement in enumerate(a.placements):
        if i not in used_a and placement.mask is not None:
            groups[placement.object_id].append(i)
    found = []
    for object_id, in_a in groups.items():
        in_b = [j for j, p in enumerate(b.placements) if j not in used_b and p.object_id == object_id]
        bare = any(b.placements[j].mask is None for j in in_b)
        if in_b or not has_masks(b):
            found.append(Link(tuple(in_a), tuple(in_b), "scene", bare))
    return found


def one_scene(a: Frame, b: Frame, dataset: Dataset) -> bool:
    """Whether depth and the cameras' poses relate the views: of one scan, or of one moment of several cameras."""
    still = dataset.recordings[a.recording].static or a.moment == b.moment
    posed = all(f.view.world_from_camera is not None and f.intrinsics is not None for f in (a, b))
    return a.recording == b.recording and still and posed


def crosses(dataset: Dataset, *, families: bool = False) -> bool:
    """Whether an object (`families`: or one of its family) has poses in two recordings, so that these share
    coordinates on it."""
    first: dict[Key, int] = {}
    for number, recording in enumerate(dataset.recordings):
        for placement in (p for view in recording.views() for p in view.placements):
            if placement.camera_from_object is None:
                continue
            model = dataset.objects.get(placement.object_id)
            keys: list[Key] = [placement.object_id]
            if families and model is not None and model.family is not None:
                keys.append(model.family)
            if any(first.setdefault(key, number) != number for key in keys):
                return True
    return False


def composites(dataset: Dataset) -> frozenset[str]:
    """The families that are parts of objects which one mask shows together ("a+b")."""
    families = (model.family for model in dataset.objects.values() if model.family is not None)
    return frozenset(part for family in families if "+" in family for part in family.split("+"))


def things(view: View, dataset: Dataset, key: Callable[[Placement], Key], parts: frozenset[str]) -> set[Key]:
    """What stands for a view's objects where none may be in another view: their keys, and what they are parts of or
    consist of ("a+b" is neither another thing than "a" nor than "b"). `parts`: see `composites`."""
    found: set[Key] = set()
    for placement in view.placements:
        found.add(key(placement))
        model = dataset.objects.get(placement.object_id)
        family = None if model is None else model.family
        if family is not None:
            found |= {f"part of several: {part}" for part in family.split("+") if part in parts}
    return found
