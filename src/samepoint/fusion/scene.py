"""A scan fused in two passes, and its objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from samepoint.data.recording import View
from samepoint.fusion.frames import camera_of, read_frames
from samepoint.fusion.objects import find_objects, find_workspace, within_box
from samepoint.fusion.planes import Plane
from samepoint.fusion.settings import Box, FusionSettings
from samepoint.fusion.touching import split, touching
from samepoint.fusion.views import MeshViews, triangle_labels
from samepoint.fusion.volume import Surface, Volume

Progress = Callable[[str, int, int], None]
"""(what is being done, frames done, frames in all)."""
COARSE_FRAMES = 60
SEEN_BY = 3.0
"""So many frames must agree on a surface; fewer where there are fewer."""


@dataclass(frozen=True)
class FusedScene:
    """The surface in the workspace, the object of each vertex (-1: none), whether it is clear of the planes, and for
    each object how many it may be (above 1: ask someone, or split it)."""

    surface: Surface
    labels: Int[np.ndarray, " v"]
    clear: Bool[np.ndarray, " v"]
    planes: tuple[Plane, ...]
    box: Box
    may_be: tuple[int, ...]

    @property
    def number(self) -> int:
        return len(self.may_be)

    @cached_property
    def views(self) -> MeshViews:
        """The scene as its cameras see it."""
        return MeshViews(self.surface, triangle_labels(self.labels, self.surface.triangles))

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
    """Fuses coarsely to find the workspace, then finely inside it, and finds the objects.

    `robot`: pixels that are never used. `empty`: the scene without objects, which takes the place of planes.
    """
    say = progress or (lambda _what, _done, _frames: None)
    cameras = np.stack([camera_of(view)[1][:3, 3] for view in views])
    chosen = views[:: max(1, len(views) // COARSE_FRAMES)]
    box = settings.box
    if box is None:
        volume = Volume(settings.coarse, settings.truncation, None, settings.device)
        rough = _surface(volume, chosen, settings, robot, say, "first pass")
        box = find_workspace(rough, cameras, settings, empty)
    volume = Volume(settings.voxel, settings.truncation, box, settings.device)
    surface = within_box(_surface(volume, views, settings, robot, say, "second pass"), box)
    found = find_objects(surface, cameras, settings, empty)
    may_be = tuple(touching(surface, found.labels, found.clear, settings.gap))
    return FusedScene(surface, found.labels, found.clear, found.planes, box, may_be)


def split_by_clicks(
    scene: FusedScene, clicks: Float[np.ndarray, "c 3"], settings: FusionSettings
) -> FusedScene:
    """The scene with objects that several clicks (world points) name cut into as many."""
    labels = split(scene.surface, scene.labels, clicks, settings.gap)
    return replace(
        scene, labels=labels, may_be=tuple(touching(scene.surface, labels, scene.clear, settings.gap))
    )


def _surface(
    volume: Volume,
    views: Sequence[View],
    settings: FusionSettings,
    robot: Bool[np.ndarray, "h w"] | None,
    say: Progress,
    what: str,
) -> Surface:
    for done, frame in enumerate(read_frames(views, settings.near, settings.far, robot), 1):
        volume.integrate(frame, settings.far)
        say(what, done, len(views))
    return volume.surface(min(SEEN_BY, max(1.0, len(views) / 4)))
