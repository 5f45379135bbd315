"""Which two views make a training pair, by kind of pair (the pair types of Dense Object Nets)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import torch

from samepoint.data.links import Key, composites, has_masks, things
from samepoint.data.matches import MatchFinder
from samepoint.data.recording import View
from samepoint.data.store import FrameStore
from samepoint.errors import DataError

PairKind = Literal["within", "across", "synchronised", "different", "robot_only", "collage"]

MATCHING: tuple[PairKind, ...] = ("within", "across", "synchronised")
"""The kinds of pairs whose points have matches."""

Scene = tuple[int, ...]
"""A recording, or a recording and a moment of it: within such a scene depth and the cameras' poses relate views."""


@dataclass(frozen=True)
class PairMixture:
    """How often each kind of pair is drawn; weights, not shares. A kind that the data has no pair of gives way to
    the others; one of weight 0 is drawn from all the same for objects that no other kind relates.

    `within`: two views of one recording. `across`: of two recordings that hold the same object (with poses).
    `synchronised`: of two cameras at the same moment, also where things move. `different`: two views without a common
    object, whose points have no match. `robot_only`: a view and one of a recording of the robot alone, in which no
    point has a match (seed 004). `collage`: the objects of one pair pasted into another pair.
    """

    within: float = 1.0
    across: float = 1.0
    synchronised: float = 0.0
    different: float = 0.0
    robot_only: float = 0.0
    collage: float = 0.0

    def weights(self) -> dict[PairKind, float]:
        """By kind. DataError if one is negative or all are zero."""
        found: dict[PairKind, float] = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[misc]
        if min(found.values()) < 0 or max(found.values()) <= 0:
            raise DataError(f"the mixture of pairs is {found}", mend="give weights of 0 or more, one above 0")
        return found


class Partners:
    """Views and those that each can be paired with. Views without depth or intrinsics can be paired with none.

    `objects_of`: the objects of each view, `posed_of` those of them with poses, `drawn_of` those with a mask, on
    which points can be drawn. `blank`: views whose masks show nothing of known depth at the store's size (looked for
    where the store is mapped). `starts`: views whose pixels have matches in a partner.
    """

    def __init__(self, store: FrameStore, finder: MatchFinder) -> None:
        self.store, self.finder = store, finder
        self.recording_of: dict[int, int] = {}
        self.objects_of: dict[int, frozenset[Key]] = {}
        self.posed_of: dict[int, list[Key]] = {}
        self.drawn_of: dict[int, frozenset[Key]] = {}
        self.blank: set[int] = set()
        self.robot: list[int] = []
        self._things: dict[int, set[Key]] = {}
        self._scenes_of: dict[int, tuple[Scene, ...]] = {}
        self._scene: dict[Scene, dict[frozenset[Key], list[int]]] = defaultdict(lambda: defaultdict(list))
        self._posed: dict[tuple[Scene, Key], list[int]] = defaultdict(list)
        self._by_object: dict[Key, list[int]] = defaultdict(list)
        self._parts = composites(store.dataset)
        for i, (recording, moment, _) in enumerate(store.index):
            source, view = store.dataset.recordings[recording], store.view(i)
            if source.mode == "robot-only":
                self.robot.append(i)
            elif view.depth is not None and view.intrinsics is not None:
                self.recording_of[i] = recording
                self._enter(i, view, (recording,), (recording, moment), still=source.static)
        self._scene, self._posed = dict(self._scene), dict(self._posed)  # to be pickled
        self.masked = any(self.drawn_of.values())
        self.starts = self._starts()

    def _enter(self, i: int, view: View, whole: Scene, moment: Scene, *, still: bool) -> None:
        self.posed_of[i] = self.finder.keys(view, posed=True)
        self.objects_of[i] = frozenset(self.finder.keys(view))
        self.drawn_of[i] = frozenset(self.finder.keys(view, masked=True))
        self._things[i] = self.things(view)
        if self.store.mapped and self.drawn_of[i] and _is_blank(self.store, i):
            self.blank.add(i)
            self.drawn_of[i] = frozenset()
        for key in self.posed_of[i]:
            self._by_object[key].append(i)
            self._posed[whole, key].append(i)
            self._posed[moment, key].append(i)
        scenes = (whole, moment) if still else (moment,)
        self._scenes_of[i] = scenes if view.world_from_camera is not None and i not in self.blank else ()
        for scene in self._scenes_of[i]:
            self._scene[scene][self.objects_of[i]].append(i)

    def things(self, view: View) -> set[Key]:
        """What stands for the objects of a view where another is to hold none of them (`links.things`)."""
        return things(view, self.store.dataset, self.finder.key, self._parts)

    def _starts(self) -> list[int]:
        """Where a recording has masks, views without are partners only, so that points lie on objects."""
        found = [i for i in self.recording_of if any(self.reached(i, kind) for kind in MATCHING)]
        masked = {self.recording_of[i] for i in found}
        for i, recording in self.recording_of.items():
            whole = not self.finder.masks or not has_masks(self.store.view(i))
            if (
                whole
                and recording not in masked
                and any(self._near(i, scene) for scene in self._scenes_of[i])
            ):
                found.append(i)
        return sorted(found)

    def of_kind(self, i: int, kind: PairKind) -> list[int]:
        """All partners of view i of one kind; a collage is made of pairs of the other kinds and has none itself."""
        if kind in ("within", "synchronised"):
            scene = self._scene_of_kind(i, kind)
            found = {j for _, views in self._near(i, scene) for j in views}
            found |= {j for key in self._sources(i) for j in self._posed[scene, key]}
            return sorted(found - {i})
        if kind == "across":
            return [j for key in self._sources(i) for j in self._elsewhere(i, key)]
        if kind == "different":
            return [j for j in self.objects_of if self._differ(i, j)]
        return self.robot if kind == "robot_only" else []

    def draw(self, i: int, kind: PairKind, generator: torch.Generator) -> int | None:
        """A partner of view i. Across recordings one of its objects is drawn first, each equally likely."""
        found: list[int] = []
        keys = self._sources(i)
        if kind == "across" and keys:
            found = self._elsewhere(i, keys[index(len(keys), generator)])
        found = found or self.of_kind(i, kind)
        return found[index(len(found), generator)] if found else None

    def reached(self, i: int, kind: PairKind) -> frozenset[Key]:
        """The objects of view i on which pairs of this kind have points."""
        if kind == "across":
            return frozenset(key for key in self._sources(i) if self._elsewhere(i, key))
        scene = self._scene_of_kind(i, kind)
        near = [objects for objects, _ in self._near(i, scene)]
        found = {key for key in self.drawn_of[i] if any(not of or key in of for of in near)}
        return frozenset(found | {key for key in self._sources(i) if len(self._posed[scene, key]) > 1})

    def reaches(self, i: int, kind: PairKind) -> bool:
        """Whether pairs of this kind have points of view i: on an object, or anywhere where it has no masks."""
        if self.drawn_of[i] or kind == "across":
            return bool(self.reached(i, kind))
        return bool(self._near(i, self._scene_of_kind(i, kind)))

    def used(self) -> set[int]:
        """The starts and all their partners."""
        starts = set(self.starts)
        found = set(starts)
        for groups in self._scene.values():
            shown = {objects for objects, views in groups.items() if not starts.isdisjoint(views)}
            for objects, views in groups.items():
                if any(not own or not objects or not own.isdisjoint(objects) for own in shown):
                    found.update(views)
        for key in {key for i in self.starts for key in self._sources(i)}:
            found.update(self._by_object[key])
        return found

    def by_scene(self, i: int) -> bool:
        """Whether depth and the cameras' poses say what view i shows, for want of an object's pose."""
        objects = self.objects_of[i]
        return bool(self._scenes_of[i]) and (not objects or not objects.issubset(self.posed_of[i]))

    def posed_in_pairs(self, i: int) -> set[Key]:
        """The objects of view i whose poses relate it to another view."""
        return {key for key in self._sources(i) if len(self._by_object[key]) > 1}

    def collages(self) -> bool:
        """Whether two starts have masks of different objects."""
        own = {frozenset(self._things[i]) for i in self.starts if self.drawn_of[i]}
        return any(a.isdisjoint(b) for a in own for b in own)

    def only_by(self, i: int, weights: Mapping[PairKind, float]) -> tuple[PairKind, ...]:
        """Kinds of weight 0 that alone relate an object of view i, which would never have a point else; of a view
        without masks, that alone relate the view."""
        left = self.drawn_of[i]
        if not left:
            reaching: list[PairKind] = [kind for kind in MATCHING if self.reaches(i, kind)]
            return () if any(weights[kind] > 0 for kind in reaching) else tuple(reaching[:1])
        for kind in MATCHING:
            left = left - self.reached(i, kind) if weights[kind] > 0 else left
        needed: list[PairKind] = []
        for kind in MATCHING:
            if left and weights[kind] == 0 and left & self.reached(i, kind):
                needed.append(kind)
                left = left - self.reached(i, kind)
        return tuple(needed)

    def _scene_of_kind(self, i: int, kind: PairKind) -> Scene:
        recording, moment, _ = self.store.index[i]
        return (recording,) if kind == "within" else (recording, moment)

    def _near(self, i: int, scene: Scene) -> list[tuple[frozenset[Key], list[int]]]:
        """Views of a scene of i, by their objects, that may show the same as i: a common object, or one of them has
        none. Some other view is among them."""
        if scene not in self._scenes_of[i]:
            return []
        own = self.objects_of[i]
        return [
            (objects, views)
            for objects, views in self._scene[scene].items()
            if (not own or not objects or not own.isdisjoint(objects)) and (objects != own or len(views) > 1)
        ]

    def _sources(self, i: int) -> list[Key]:
        """The objects of view i whose pose and mask say which point of them a pixel is."""
        return [key for key in self.posed_of[i] if key in self.drawn_of[i]]

    def _differ(self, i: int, j: int) -> bool:
        return bool(self.drawn_of[i] and self.objects_of[j]) and self._things[i].isdisjoint(self._things[j])

    def _elsewhere(self, i: int, key: Key) -> list[int]:
        return [j for j in self._by_object[key] if self.recording_of[j] != self.recording_of[i]]


def _is_blank(store: FrameStore, i: int) -> bool:
    """Whether no mask of a view has a pixel of known depth."""
    frame = store[i]
    if frame.labels is None or frame.depth is None:
        return True
    return not bool(((frame.labels > 0) & (frame.depth > 0)).any())


def index(number: int, generator: torch.Generator) -> int:
    """One of 0 ... number - 1, each equally likely."""
    return int(torch.randint(number, (), generator=generator))
