"""Sources of views of rigid objects with their motion between the cameras: from known poses, or from single images.

A source runs in a loader worker and depends on nothing but the generator it is given.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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
class Cutout:
    """One view of an object; `pose` is camera_from_object where that is known."""

    image: Float[Tensor, "3 h w"]
    mask: Bool[Tensor, "h w"]
    intrinsics: Float[Tensor, "3 3"]
    depth: float
    axis: Float[Tensor, "2 2"]
    pose: Float[Tensor, "4 4"] | None = None


@dataclass(frozen=True)
class Group:
    """Views of one object, and of pairs of them (indices of A and of B) b_from_a and its residual."""

    views: list[Cutout]
    motions: dict[tuple[int, int], tuple[Float[Tensor, "4 4"], Float[Tensor, ""]]]


@runtime_checkable
class MotionSource(Protocol):
    """What both sources are to a recipe."""

    def sample(self, generator: torch.Generator) -> MotionBatch: ...

    def survey(self, focal: float) -> Survey: ...


class PosedViews:
    """Groups of views of an object whose poses are known, all at most `max_turn` degrees round it from the first.

    `images` a step, in groups of `group` views of one object; every two views of a group are a pair. DataError when
    no object has poses in two views.
    """

    def __init__(
        self,
        store: FrameStore,
        cutting: Cutting,
        images: int = 8,
        group: int = 4,
        *,
        max_turn: float = 90.0,
    ) -> None:
        self.store, self.cutting, self.max_turn = store, cutting, max_turn
        self.groups, self.group = _groups(images, group), group
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
        return stacked([self._group(generator) for _ in range(self.groups)])

    def survey(self, focal: float) -> Survey:
        generator = torch.Generator().manual_seed(0)
        return surveyed([self._group(generator).views[0] for _ in range(SURVEYED)], focal)

    def _group(self, generator: torch.Generator) -> Group:
        number = index(len(self.objects), generator)
        of, towards = self.objects[number], self._towards[number]
        first = index(len(of), generator)
        near = towards @ towards[first] >= math.cos(math.radians(self.max_turn)) - 1e-6
        near[first] = False
        others = near.nonzero()[:, 0]
        others = others[torch.randperm(len(others), generator=generator)[: self.group - 1]].tolist() or [
            first
        ]
        views = [self._view(of[k], generator) for k in (first, *others)]
        poses = [view.pose for view in views]
        motions = {}
        for i, j in itertools.combinations(range(len(views)), 2):
            a, b = poses[i], poses[j]
            assert a is not None
            assert b is not None
            motions[i, j] = compose(b, invert(a)), torch.zeros(())
        return Group(views, motions)

    def _from(self, sight: Sight) -> Float[Tensor, " 3"]:
        """The direction from the object's origin to the camera, in the object's frame."""
        place = invert(self._pose(sight))[:3, 3]
        return place / place.norm().clamp_min(1e-9)

    def _pose(self, sight: Sight) -> Float[Tensor, "4 4"]:
        pose = self.store.view(sight.frame).placements[sight.placement].camera_from_object
        assert pose is not None
        return pose.float()

    def _view(self, sight: Sight, generator: torch.Generator) -> Cutout:
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
        return Cutout(
            cut.image(frame.image.float() / 255, size), cut.mask(mask, size), intrinsics, depth, axis, pose
        )

    def _half(self, sight: Sight) -> float:
        """Half the object's diameter (metres), 5 cm where the data set does not say."""
        number = self.store.view(sight.frame).placements[sight.placement].object_id
        model = self.store.dataset.objects.get(number)
        return 0.05 if model is None or not model.diameter else model.diameter / 2


class SingleViews:
    """Pairs of augmented views of one image of an object (`object_views.moved_camera`); a mask is all that it takes.

    `images` a step, two of each pair. `distance` (metres) and `field_of_view` (vertical, degrees) are taken for
    granted where nothing is known of depth and camera. DataError when no image has a mask, or for depths that cannot
    be.
    """

    def __init__(
        self,
        store: FrameStore,
        cutting: Cutting,
        images: int = 8,
        *,
        distance: float = 0.5,
        field_of_view: float = 50.0,
    ) -> None:
        self.store, self.cutting, self.groups = store, cutting, _groups(images, 2)
        self.sights = sights(store)
        self.flat = [self._flat(sight, distance, field_of_view) for sight in self.sights]

    def sample(self, generator: torch.Generator) -> MotionBatch:
        return stacked([self._group(generator) for _ in range(self.groups)])

    def survey(self, focal: float) -> Survey:
        generator = torch.Generator().manual_seed(0)
        return surveyed([self._group(generator).views[0] for _ in range(SURVEYED)], focal)

    def _group(self, generator: torch.Generator) -> Group:
        number = index(len(self.sights), generator)
        sight, flat = self.sights[number], self.flat[number]
        frame = self.store[sight.frame]
        mask, size = own_mask(frame, sight), self.cutting.size
        a, b = (draw_cut(mask, self.cutting, generator) for _ in range(2))
        b_from_a, left, camera = moved_camera(flat, a, b, size)
        views = [self._view(frame, mask, flat, cut, camera) for cut in (a, b)]
        return Group(views, {(0, 1): (b_from_a, left)})

    def _flat(self, sight: Sight, distance: float, field_of_view: float) -> FlatImage:
        """DataError for depths that cannot be (metres and millimetres mixed up)."""
        frame = self.store[sight.frame]
        mask = own_mask(frame, sight)
        if frame.depth is not None and bool((frame.depth[mask] > 0).any()):
            check_depth(frame.depth[mask].numpy(), frame.view.image, _unit(frame), mend=_write_again)
        return flat_image(mask, frame.depth, frame.intrinsics, distance=distance, field_of_view=field_of_view)

    def _view(self, frame: Frame, mask: Tensor, flat: FlatImage, cut: Cut, camera: Tensor) -> Cutout:
        size = self.cutting.size
        low, high = flat.uv.amin(0), flat.uv.amax(0)
        middle = (low + high) / 2
        ends = torch.stack((torch.stack((high[0], middle[1])), torch.stack((low[0], middle[1]))))
        image = cut.image(frame.image.float() / 255, size)
        depth = float(flat.depth.median()) / cut.scale
        axis = warp_points(cut.view_from_image, ends)
        return Cutout(image, cut.mask(mask, size), camera, depth, axis)


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


def _write_again(metres: float) -> str:
    unit = f"{metres:.6g} metres a unit"
    return f"write the data again: {unit} (data photo --depth-unit, data import --depth-scale)"


def _unit(frame: Frame) -> float:
    return 1.0 if frame.view.depth is None else frame.view.depth.metres_per_unit


def own_mask(frame: Frame, sight: Sight) -> Bool[Tensor, "h w"]:
    assert frame.labels is not None
    return frame.labels == sight.placement + 1


def surveyed(views: list[Cutout], focal: float) -> Survey:
    """Medians over views, for a camera of `focal` pixels."""
    depths, radii, pixels = [], [], []
    for view in views:
        true_focal = float(focal_length(view.intrinsics))
        depths.append(view.depth * focal / true_focal)
        rows, columns = view.mask.nonzero().unbind(-1)
        reach = max(float(rows.max() - rows.min()), float(columns.max() - columns.min())) + 1
        radii.append(reach / 2 * view.depth / true_focal)
        pixels.append(int(view.mask.sum()))
    middle = len(views) // 2
    return Survey(sorted(depths)[middle], sorted(radii)[middle], min(pixels))


def stacked(groups: list[Group]) -> MotionBatch:
    views = [view for group in groups for view in group.views]
    starts = [0, *itertools.accumulate(len(group.views) for group in groups)]
    motions = {
        (start + i, start + j): motion
        for start, group in zip(starts, groups, strict=False)
        for (i, j), motion in group.motions.items()
    }
    return MotionBatch(
        torch.stack([view.image for view in views]),
        torch.stack([view.mask for view in views]),
        torch.stack([view.intrinsics for view in views]),
        torch.stack([view.axis for view in views]),
        torch.tensor(list(motions)),
        torch.stack([motion for motion, _ in motions.values()]),
        torch.stack([left for _, left in motions.values()]),
    )


def _groups(images: int, group: int) -> int:
    """How many groups so many images make. DataError where they make none."""
    if group < 2 or images < group:
        mend = "two views or more make a group, and a step has at least one group"
        raise DataError(f"{images} images cannot be put into groups of {group}", mend=mend)
    return images // group
