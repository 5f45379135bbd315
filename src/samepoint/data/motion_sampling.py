"""Sources of pairs of views of one rigid object with its motion between the cameras: from poses, or from one image.

A source runs in a loader worker and depends on nothing but the generator it is given.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.data.object_views import Cut, Cutting, FlatImage, draw_cut, flat_image, moved_camera
from samepoint.data.partners import index
from samepoint.data.plausible import check_depth
from samepoint.data.store import Frame, FrameStore
from samepoint.errors import DataError
from samepoint.geometry.cameras import focal_length, project
from samepoint.geometry.motions import compose, invert, transform
from samepoint.geometry.warps import warp_points
from samepoint.types import MotionBatch

SMALLEST = 64
"""Pixels that a mask must have in the stored image for the object to be looked at."""
SURVEYED = 24
"""Views that say how far and how large the objects are."""


@dataclass(frozen=True)
class Sight:
    """An object in an image of the store: the frame's number and the placement's in it, and the mask's pixels."""

    frame: int
    placement: int
    pixels: int


@dataclass(frozen=True)
class Survey:
    """What is typical of a source's views: the object's `depth` (metres, for a camera of `focal` pixels) and its
    `radius` (metres, half its longer side as seen); the fewest pixels that a mask has in a view."""

    depth: float
    radius: float
    pixels: int


@dataclass(frozen=True)
class Side:
    """One view of a pair; `pose` is camera_from_object where that is known."""

    image: Float[Tensor, "3 h w"]
    mask: Bool[Tensor, "h w"]
    intrinsics: Float[Tensor, "3 3"]
    depth: float
    axis: Float[Tensor, "2 2"] | None
    pose: Float[Tensor, "4 4"] | None = None


class MotionSource(Protocol):
    """What both sources are to a recipe."""

    def sample(self, generator: torch.Generator) -> MotionBatch: ...

    def survey(self, focal: float) -> Survey: ...


class PosedPairs:
    """Two views of an object whose poses are known in both, any two that show sides at most `max_turn` degrees apart.

    DataError when no object has poses in two views.
    """

    def __init__(
        self, store: FrameStore, cutting: Cutting, pairs: int = 4, *, max_turn: float = 90.0
    ) -> None:
        self.store, self.cutting, self.pairs, self.max_turn = store, cutting, pairs, max_turn
        of_object: dict[int, list[Sight]] = defaultdict(list)
        for sight in sights(store):
            view = store.view(sight.frame)
            placement = view.placements[sight.placement]
            if placement.camera_from_object is not None and view.intrinsics is not None:
                of_object[placement.object_id].append(sight)
        self.objects = [of for _, of in sorted(of_object.items()) if len(of) > 1]
        if not self.objects:
            raise DataError(
                "no object has a mask and a pose in two views",
                where=store.dataset.root,
                mend="with a mask in each image --views single needs no poses",
            )
        self._towards = [torch.stack([self._from(sight) for sight in of]) for of in self.objects]

    def sample(self, generator: torch.Generator) -> MotionBatch:
        return stacked([self._pair(generator) for _ in range(self.pairs)])

    def survey(self, focal: float) -> Survey:
        generator = torch.Generator().manual_seed(0)
        return surveyed([self._pair(generator)[0] for _ in range(SURVEYED)], focal)

    def _pair(self, generator: torch.Generator) -> tuple[Side, Side, Tensor, Tensor]:
        number = index(len(self.objects), generator)
        of, towards = self.objects[number], self._towards[number]
        first = index(len(of), generator)
        near = towards @ towards[first] >= math.cos(math.radians(self.max_turn)) - 1e-6
        near[first] = False
        others = near.nonzero()[:, 0].tolist() or [first]
        second = others[index(len(others), generator)]
        a, b = self._side(of[first], generator), self._side(of[second], generator)
        assert a.pose is not None
        assert b.pose is not None
        return a, b, compose(b.pose, invert(a.pose)), torch.zeros(())

    def _from(self, sight: Sight) -> Float[Tensor, " 3"]:
        """The direction from the object's origin to the camera, in the object's frame."""
        place = invert(self._pose(sight))[:3, 3]
        return place / place.norm().clamp_min(1e-9)

    def _pose(self, sight: Sight) -> Float[Tensor, "4 4"]:
        pose = self.store.view(sight.frame).placements[sight.placement].camera_from_object
        assert pose is not None
        return pose.float()

    def _side(self, sight: Sight, generator: torch.Generator) -> Side:
        frame = self.store[sight.frame]
        mask = own_mask(frame, sight)
        cut = draw_cut(mask, self.cutting, generator)
        assert frame.intrinsics is not None
        pose = compose(cut.turned, self._pose(sight))
        intrinsics = cut.intrinsics(frame.intrinsics.float())
        size = self.cutting.size
        depth = float(pose[2, 3])
        ends = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]) * self._half(sight)
        axis, _ = project(intrinsics, transform(pose, ends))
        return Side(
            cut.image(frame.image.float() / 255, size), cut.mask(mask, size), intrinsics, depth, axis, pose
        )

    def _half(self, sight: Sight) -> float:
        """Half the object's diameter (metres), 5 cm where the data set does not say."""
        number = self.store.view(sight.frame).placements[sight.placement].object_id
        model = self.store.dataset.objects.get(number)
        return 0.05 if model is None or not model.diameter else model.diameter / 2


class SinglePairs:
    """Two augmented views of one image of an object (`object_views.moved_camera`); a mask is all that it takes.

    `distance` (metres) and `field_of_view` (vertical, degrees) are taken for granted where nothing is known of depth
    and camera. DataError when no image has a mask, or for depths that cannot be.
    """

    def __init__(
        self,
        store: FrameStore,
        cutting: Cutting,
        pairs: int = 4,
        *,
        distance: float = 0.5,
        field_of_view: float = 50.0,
    ) -> None:
        self.store, self.cutting, self.pairs = store, cutting, pairs
        self.sights = sights(store)
        self.flat = [self._flat(sight, distance, field_of_view) for sight in self.sights]

    def sample(self, generator: torch.Generator) -> MotionBatch:
        return stacked([self._pair(generator) for _ in range(self.pairs)])

    def survey(self, focal: float) -> Survey:
        generator = torch.Generator().manual_seed(0)
        return surveyed([self._pair(generator)[0] for _ in range(SURVEYED)], focal)

    def _pair(self, generator: torch.Generator) -> tuple[Side, Side, Tensor, Tensor]:
        number = index(len(self.sights), generator)
        sight, flat = self.sights[number], self.flat[number]
        frame = self.store[sight.frame]
        mask, size = own_mask(frame, sight), self.cutting.size
        cuts = [draw_cut(mask, self.cutting, generator) for _ in range(2)]
        b_from_a, left, camera = moved_camera(flat, cuts[0], cuts[1], size)
        a, b = (self._side(frame, mask, flat, cut, camera) for cut in cuts)
        return a, b, b_from_a, left

    def _flat(self, sight: Sight, distance: float, field_of_view: float) -> FlatImage:
        """DataError for depths that cannot be (metres and millimetres mixed up)."""
        frame = self.store[sight.frame]
        mask = own_mask(frame, sight)
        if frame.depth is not None and bool((frame.depth[mask] > 0).any()):
            check_depth(frame.depth[mask].numpy(), frame.view.image, _unit(frame))
        return flat_image(
            mask, frame.depth, frame.intrinsics, distance=distance, field_of_view=field_of_view
        )

    def _side(self, frame: Frame, mask: Tensor, flat: FlatImage, cut: Cut, camera: Tensor) -> Side:
        size = self.cutting.size
        low, high = flat.uv.amin(0), flat.uv.amax(0)
        middle = (low + high) / 2
        ends = torch.stack((torch.stack((high[0], middle[1])), torch.stack((low[0], middle[1]))))
        image = cut.image(frame.image.float() / 255, size)
        depth = float(flat.depth.median()) / cut.scale
        axis = warp_points(cut.view_from_image, ends)
        return Side(image, cut.mask(mask, size), camera, depth, axis)


def sights(store: FrameStore) -> list[Sight]:
    """Every object with a mask that is large enough to look at. DataError where there is none."""
    found, empty, small = [], None, None
    for i in range(len(store)):
        view = store.view(i)
        if not view.placements:
            continue
        labels = store[i].labels
        if labels is None:
            continue
        counts = torch.bincount(labels.flatten().long(), minlength=len(view.placements) + 1)[1:].tolist()
        for k, count in enumerate(counts):
            if count >= SMALLEST:
                found.append(Sight(i, k, count))
            elif count == 0:
                empty = empty or view.image
            else:
                small = small or (view.image, count)
    if found:
        return found
    if small is not None:
        line = f"the mask has only {small[1]} pixels"
        raise DataError(line, where=small[0], mend="train on larger images (--size), or crop them")
    if empty is not None:
        raise DataError("the mask is empty", where=empty, mend="draw the object's mask again")
    mend = "samepoint data photo IMAGE --box ... --out DATA makes a mask"
    raise DataError("no image has a mask of an object", where=store.dataset.root, mend=mend)


def _unit(frame: Frame) -> float:
    return 1.0 if frame.view.depth is None else frame.view.depth.metres_per_unit


def own_mask(frame: Frame, sight: Sight) -> Bool[Tensor, "h w"]:
    assert frame.labels is not None
    return frame.labels == sight.placement + 1


def surveyed(sides: list[Side], focal: float) -> Survey:
    """Medians over views, for a camera of `focal` pixels."""
    depths, radii, pixels = [], [], []
    for side in sides:
        true_focal = float(focal_length(side.intrinsics))
        depths.append(side.depth * focal / true_focal)
        rows, columns = side.mask.nonzero().unbind(-1)
        reach = max(float(rows.max() - rows.min()), float(columns.max() - columns.min())) + 1
        radii.append(reach / 2 * side.depth / true_focal)
        pixels.append(int(side.mask.sum()))
    middle = len(sides) // 2
    return Survey(sorted(depths)[middle], sorted(radii)[middle], min(pixels))


def stacked(pairs: list[tuple[Side, Side, Tensor, Tensor]]) -> MotionBatch:
    def both(name: str) -> tuple[Tensor, Tensor]:
        return (
            torch.stack([getattr(a, name) for a, _, _, _ in pairs]),
            torch.stack([getattr(b, name) for _, b, _, _ in pairs]),
        )

    return MotionBatch(
        *both("image"),
        *both("mask"),
        *both("intrinsics"),
        torch.stack([motion for _, _, motion, _ in pairs]),
        torch.stack([left for _, _, _, left in pairs]),
        *both("axis"),
    )
