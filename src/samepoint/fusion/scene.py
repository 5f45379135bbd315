"""A scan fused in two passes, and its objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int

from samepoint.data.recording import View
from samepoint.fusion.changes import split_by_change
from samepoint.fusion.frames import PosedFrame, camera_of, read_frames
from samepoint.fusion.looks import Look, looked_at, noting
from samepoint.fusion.objects import find_objects, find_workspace, part, within_box
from samepoint.fusion.planes import Plane
from samepoint.fusion.refine import refined_pose
from samepoint.fusion.settings import Box, FusionSettings
from samepoint.fusion.touching import split, touching
from samepoint.fusion.views import MeshViews, triangle_labels
from samepoint.fusion.volume import Surface, Volume

Progress = Callable[[str, int, int], None]
"""(what is being done, frames done, frames in all)."""
COARSE_FRAMES = 60


@dataclass(frozen=True)
class FusedScene:
    """The surface in the workspace, the object of each vertex (-1: none), whether it is clear of the planes, the gap
    (metres) that told objects apart, and the poses with which it was fused, by image."""

    surface: Surface
    labels: Int[np.ndarray, " v"]
    clear: Bool[np.ndarray, " v"]
    planes: tuple[Plane, ...]
    box: Box
    gap: float
    poses: Mapping[Path, Float64[np.ndarray, "4 4"]]

    @property
    def number(self) -> int:
        return int(self.labels.max(initial=-1)) + 1

    @cached_property
    def may_be(self) -> tuple[int, ...]:
        """For each object how many it may be (above 1: ask someone, or split it)."""
        return tuple(touching(self.surface, self.labels, self.clear, self.gap))

    @cached_property
    def views(self) -> MeshViews:
        """The scene as its cameras see it."""
        return MeshViews(self.surface, triangle_labels(self.labels, self.surface.triangles))

    def posed(self, view: View) -> View:
        """A view with the pose that it was fused with."""
        if view.image not in self.poses:
            return view
        return replace(view, world_from_camera=torch.from_numpy(self.poses[view.image]).float())

    def extent(self, k: int) -> Float[np.ndarray, " 3"]:
        """Edges of an object's bounding box in the world, metres."""
        return np.ptp(self.surface.vertices[self.labels == k].astype(np.float64), axis=0)


def fuse_scene(
    views: Sequence[View],
    settings: FusionSettings,
    *,
    robot: Bool[np.ndarray, "h w"] | None = None,
    empty: MeshViews | None = None,
    progress: Progress | None = None,
) -> FusedScene:
    """Fuses coarsely to find the workspace, finely inside it, once more with refined poses, and finds the objects.

    `robot`: pixels that are never used. `empty`: the scene without objects, which takes the place of planes.
    """
    say = progress or (lambda _what, _done, _frames: None)
    poses = [camera_of(view)[1] for view in views]
    cameras = np.stack(poses)[:, :3, 3]
    chosen = views[:: max(1, len(views) // COARSE_FRAMES)]
    box = settings.box
    if box is None:
        volume = Volume(settings.coarse, settings.truncation, None, settings.device)
        looks: list[Look] = []
        frames = noting(read_frames(chosen, settings.near, settings.far, robot), looks)
        rough = _surface(volume, frames, len(chosen), settings, say, "first pass")
        rough = part(rough, looked_at(rough.vertices.astype(np.float64), looks))
        box = find_workspace(rough, cameras, settings, empty)

    def finely(frames: Iterable[PosedFrame], what: str) -> Surface:
        volume = Volume(settings.voxel, settings.truncation, box, settings.device)
        return within_box(_surface(volume, frames, len(views), settings, say, what), box)

    surface = finely(read_frames(views, settings.near, settings.far, robot), "second pass")
    if settings.refine:
        poses = []
        frames = _refined(read_frames(views, settings.near, settings.far, robot), surface, poses)
        surface = finely(frames, "third pass")
    found = find_objects(surface, cameras, settings, empty)
    by_image = {view.image: pose for view, pose in zip(views, poses, strict=True)}
    return FusedScene(surface, found.labels, found.clear, found.planes, box, settings.gap, by_image)


def split_by_clicks(scene: FusedScene, clicks: Float[np.ndarray, "c 3"]) -> FusedScene:
    """The scene with objects that several clicks (world points) name cut into as many."""
    return replace(scene, labels=split(scene.surface, scene.labels, clicks, scene.gap))


def split_by_other_scan(
    scene: FusedScene,
    other: FusedScene,
    views: Sequence[View],
    settings: FusionSettings,
    robot: Bool[np.ndarray, "h w"] | None = None,
) -> FusedScene:
    """The scene with objects of which a part is gone in another scan of the place, whose images are `views`, cut
    there (`changes`)."""
    chosen = views[:: max(1, len(views) // COARSE_FRAMES)]
    frames = read_frames(chosen, settings.near, np.inf, robot)
    labels = split_by_change(scene.surface, scene.labels, scene.clear, other.views, frames, settings)
    return replace(scene, labels=labels)


def _refined(
    frames: Iterable[PosedFrame], surface: Surface, poses: list[Float64[np.ndarray, "4 4"]]
) -> Iterator[PosedFrame]:
    """The frames with poses that agree with the surface; the poses are added to the list on the way."""
    model = MeshViews(surface, np.full(len(surface.triangles), -1))
    for frame in frames:
        poses.append(refined_pose(frame, model))
        yield replace(frame, world_from_camera=poses[-1])


def _surface(
    volume: Volume,
    frames: Iterable[PosedFrame],
    number: int,
    settings: FusionSettings,
    say: Progress,
    what: str,
) -> Surface:
    for done, frame in enumerate(frames, 1):
        volume.integrate(frame, settings.far)
        say(what, done, number)
    return volume.surface(min(settings.seen, max(1, number // 4)) - 0.5)
