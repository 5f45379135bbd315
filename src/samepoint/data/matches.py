"""True correspondences between two decoded views, from whatever the data set knows.

Objects with poses relate all views that show them, in any scene; objects of one family also through their
surface coordinates. Objects that have masks alone are related within one scene, by depth and the cameras' poses:
views of a scan, or of one moment of several cameras. So are whole images where nothing is known of objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.correspondence.answers import widened
from samepoint.correspondence.density import correspond_by_density, drawn_depth
from samepoint.correspondence.depth import depth_at
from samepoint.correspondence.outcomes import (
    OcclusionTest,
    PosedCamera,
    correspond_by_depth,
    correspond_by_object,
)
from samepoint.correspondence.surface import Surface, map_points
from samepoint.data.copies import SPACING, Completed, Shown, SymmetricCopies, declares_symmetry
from samepoint.data.label_maps import common_labels, on_any, on_label
from samepoint.data.links import Key, Link, is_seen, one_scene, posed_links, scene_links
from samepoint.data.mesh import load_mesh
from samepoint.data.recording import Dataset, ObjectModel, Placement, View
from samepoint.data.store import Frame
from samepoint.geometry.pixels import nearest_pixel
from samepoint.types import Correspondences, Outcome

SURFACE_TOLERANCE = 0.05
"""Canonical units (the template is 1 long): parts that the other instance lacks have no counterpart."""

POSED_OBJECT = OcclusionTest(absolute=0.002, relative=0.004)
"""Stricter than for scans: object poses come without drift, and thin walls have a back side."""

Objects = Literal["all", "one"]
"""On which of the objects that two images share points are drawn."""

Identity = Literal["instance", "family"]
"""What counts as the same object: the very same one, or any of its family."""


@dataclass(frozen=True)
class FrameMatches:
    """Pixels of A with their fate in B; `object` is the number that A's and B's label maps below share.

    `labels_a`, `labels_b`: 0 background, equal numbers the same object; None without masks. `alternatives_*`: the
    other visible copies of symmetric objects' points, in A beside uv_a and in B beside uv_b, NaN where there are
    fewer; None without objects that have a symmetry.
    """

    found: Correspondences
    object: Int[Tensor, n]
    labels_a: Int[Tensor, "h w"] | None
    labels_b: Int[Tensor, "h2 w2"] | None
    alternatives_a: Float[Tensor, "n k 2"] | None = None
    alternatives_b: Float[Tensor, "n m 2"] | None = None


class MatchFinder:
    """Samples true correspondences between frames of one data set. Surfaces are read once.

    `objects`: points on all objects that two frames share, or on one of them drawn at random, the others then being
    background. A match lies on its object's mask in B, where B has one. `masks` false: as if there were no masks and
    no object poses. `density` false: a pixel of a scene has its likeliest depth, also where the density along its ray
    is known. `symmetries` false: as if no object were declared symmetric; `spacing`: pixels between the copies of a
    point about an axis (`SymmetricCopies`).
    """

    def __init__(
        self,
        dataset: Dataset,
        identity: Identity = "instance",
        *,
        objects: Objects = "all",
        masks: bool = True,
        density: bool = True,
        symmetries: bool = True,
        spacing: float = SPACING,
    ) -> None:
        self.dataset, self.identity, self.objects, self.masks = dataset, identity, objects, masks
        self.density = density
        symmetric = symmetries and masks and declares_symmetry(dataset)
        self.copies = SymmetricCopies(dataset, spacing) if symmetric else None
        self._surfaces: dict[int, Surface | None] = {}

    def key(self, placement: Placement) -> Key:
        """Equal for placements that count as the same object."""
        model = self.dataset.objects.get(placement.object_id)
        if self.identity == "family" and model is not None and model.family is not None:
            return model.family
        return placement.object_id

    def keys(self, view: View, *, posed: bool = False, masked: bool = False) -> list[Key]:
        """What tells the objects of a view apart that have a pose (`posed`), a mask (`masked`) or either of them, and
        are not nearly hidden; none without `masks`."""

        def counts(placement: Placement) -> bool:
            has_pose, has_mask = placement.camera_from_object is not None, placement.mask is not None
            either = not (posed or masked)
            return (has_pose and (posed or either)) or (has_mask and (masked or either))

        return [self.key(p) for p in view.placements if self.masks and counts(p) and is_seen(p)]

    def shared(self, a: Frame, b: Frame) -> list[tuple[int, int]]:
        """Indices into the placements of A and B of objects with poses that both views hold."""
        return [(link.a[0], link.b[0]) for link in posed_links(a.view, b.view, self.key)]

    def links(self, a: Frame, b: Frame) -> list[Link]:
        """The objects whose points in A have matches in B: those with poses first."""
        if not self.masks:
            return []
        found = posed_links(a.view, b.view, self.key)
        if one_scene(a, b, self.dataset):
            found += scene_links(a.view, b.view, found)
        return found

    def sample(self, a: Frame, b: Frame, number: int, generator: torch.Generator) -> FrameMatches:
        """`number` pixels of A (fewer where A has no suitable pixel), spread evenly over the shared objects; over all
        of A where it has no masks."""
        masked = self.masks and a.labels is not None
        links = self.links(a, b) if masked else []
        if links and self.objects == "one":
            links = [links[int(torch.randint(len(links), (), generator=generator))]]
        if masked and a.depth is not None:
            return self._by_links(a, b, links, number, generator)
        if a.depth is not None and one_scene(a, b, self.dataset):
            uv = _draw(a.depth > 0, number, generator)
            found = self._by_depth(a, b, uv, generator)
            return FrameMatches(found, torch.zeros(len(uv), dtype=torch.int64), None, None)
        return FrameMatches(_none(), torch.zeros(0, dtype=torch.int64), None, None)

    def unrelated(self, a: Frame, b: Frame, number: int, generator: torch.Generator) -> FrameMatches:
        """Pixels on any objects of A beside pixels on any of B, for frames that share none: no row is a match.

        Where B has no masks (the robot alone), all of it is one thing that A does not show."""
        if a.labels is None:
            return FrameMatches(_none(), torch.zeros(0, dtype=torch.int64), None, None)
        everywhere = torch.ones_like(b.image[0], dtype=torch.long)
        uv_a = _draw(a.labels > 0, number, generator)
        uv_b = _draw(everywhere > 0 if b.labels is None else b.labels > 0, number, generator)
        n = min(len(uv_a), len(uv_b))
        lost = torch.full((n,), int(Outcome.NO_DEPTH))
        found = Correspondences(uv_a[:n], uv_b[:n], lost, torch.full((n,), torch.nan))
        # labels of A and of B must not be equal: nothing of A is in B
        labels_a = common_labels(a, [(i,) for i in range(len(a.view.placements))])
        labels_b = everywhere if b.labels is None else common_labels(b, [])
        assert labels_a is not None
        assert labels_b is not None
        labels_b = torch.where(labels_b > 0, labels_b + len(a.view.placements), 0)
        rows, columns = nearest_pixel(uv_a[:n], (labels_a.shape[0], labels_a.shape[1]))
        return FrameMatches(found, labels_a[rows, columns], labels_a, labels_b)

    def _by_depth(
        self, a: Frame, b: Frame, uv: Float[Tensor, "n 2"], generator: torch.Generator
    ) -> Correspondences:
        assert a.depth is not None
        camera_a, camera_b = _posed(a), _posed(b)
        if camera_a is None or camera_b is None:
            return _none()
        if self.density and a.depth_quantiles is not None:
            depth = drawn_depth(a.depth_quantiles, uv, generator)
        else:
            depth = depth_at(a.depth, uv)
        if self.density and b.depth_quantiles is not None:
            return correspond_by_density(uv, depth, camera_a, camera_b, b.depth_quantiles)
        return correspond_by_depth(uv, depth, camera_a, camera_b, _depth_or_empty(b))

    def _by_links(
        self, a: Frame, b: Frame, links: list[Link], number: int, generator: torch.Generator
    ) -> FrameMatches:
        assert a.labels is not None
        assert a.depth is not None
        masks = [on_any(a.labels, link.a) & (a.depth > 0) for link in links]
        present = [n for n, mask in enumerate(masks) if bool(mask.any())]
        labels_a, labels_b = (
            common_labels(a, [link.a for link in links]),
            common_labels(b, [link.b for link in links]),
        )
        if not present:
            return FrameMatches(_none(), torch.zeros(0, dtype=torch.int64), labels_a, labels_b)
        chosen = torch.randint(len(present), (number,), generator=generator)
        parts, objects, completed = [], [], []
        for position, n in enumerate(present):
            uv = _draw(masks[n], int((chosen == position).sum()), generator)
            completed.append(self._on_object(a, b, links[n], uv, labels_b, n + 1, generator))
            parts.append(completed[-1].found)
            objects.append(torch.full((len(uv),), n + 1))
        others = _alternatives(completed) if self.copies is not None else (None, None)
        return FrameMatches(_concatenate(parts), torch.cat(objects), labels_a, labels_b, *others)

    def _on_object(
        self,
        a: Frame,
        b: Frame,
        link: Link,
        uv: Float[Tensor, "n 2"],
        labels_b: Int[Tensor, "h2 w2"] | None,
        label: int,
        generator: torch.Generator,
    ) -> Completed:
        """The fate in B of pixels on one object of A, whose label in B is `label`."""
        none = uv.new_zeros(len(uv), 0, 2)
        if link.by == "scene":
            found = on_label(self._by_depth(a, b, uv, generator), labels_b, label, link)
            return Completed(found, none, none)
        found = on_label(self._object_matches(a, b, (link.a[0], link.b[0]), uv), labels_b, label, link)
        if self.copies is None:
            return Completed(found, none, none)
        return self.copies.complete(found, Shown(a, link.a[0]), Shown(b, link.b[0]), POSED_OBJECT)

    def _object_matches(
        self, a: Frame, b: Frame, pair: tuple[int, int], uv: Float[Tensor, "n 2"]
    ) -> Correspondences:
        in_a, in_b = a.view.placements[pair[0]], b.view.placements[pair[1]]
        surface_map = None
        if in_a.object_id != in_b.object_id:
            source, target = self._surface(in_a.object_id), self._surface(in_b.object_id)
            if source is None or target is None:
                return _none()
            surface_map = partial(map_points, source, target, tolerance=SURFACE_TOLERANCE)
        assert a.depth is not None
        assert a.intrinsics is not None
        assert b.intrinsics is not None
        assert in_a.camera_from_object is not None
        assert in_b.camera_from_object is not None
        return correspond_by_object(
            uv,
            depth_at(a.depth, uv),
            a.intrinsics,
            in_a.camera_from_object,
            b.intrinsics,
            in_b.camera_from_object,
            _depth_or_empty(b),
            surface_map,
            POSED_OBJECT,
        )

    def _surface(self, object_id: int) -> Surface | None:
        if object_id not in self._surfaces:
            self._surfaces[object_id] = _read_surface(self.dataset.objects.get(object_id))
        return self._surfaces[object_id]


def _read_surface(model: ObjectModel | None) -> Surface | None:
    if model is None or model.mesh is None:
        return None
    mesh = load_mesh(model)
    return None if mesh.coordinates is None else Surface(mesh.vertices, mesh.faces, mesh.coordinates)


def _posed(frame: Frame) -> PosedCamera | None:
    if frame.intrinsics is None or frame.view.world_from_camera is None:
        return None
    height, width = frame.image.shape[-2:]
    return PosedCamera(frame.intrinsics, frame.view.world_from_camera, (height, width))


def _depth_or_empty(frame: Frame) -> Float[Tensor, "h w"]:
    """The depth image, all unknown where there is none."""
    return frame.depth if frame.depth is not None else torch.zeros(frame.image.shape[-2:])


def _draw(mask: Bool[Tensor, "h w"], number: int, generator: torch.Generator) -> Float[Tensor, "n 2"]:
    """Pixels of the mask, with replacement; none from an empty mask."""
    inside = mask.flatten().nonzero()[:, 0]
    if len(inside) == 0:
        return torch.zeros(0, 2)
    chosen = inside[torch.randint(len(inside), (number,), generator=generator)]
    return torch.stack((chosen % mask.shape[1], chosen // mask.shape[1]), dim=-1).float()


def _alternatives(completed: list[Completed]) -> tuple[Tensor, Tensor]:
    """Those of all objects in A and in B."""
    a, b = ([c.alternatives_a for c in completed], [c.alternatives_b for c in completed])
    return torch.cat(widened(a)), torch.cat(widened(b))


def _none() -> Correspondences:
    return Correspondences(
        torch.zeros(0, 2), torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    )


def _concatenate(parts: list[Correspondences]) -> Correspondences:
    return Correspondences(
        torch.cat([p.uv_a for p in parts]),
        torch.cat([p.uv_b for p in parts]),
        torch.cat([p.outcome for p in parts]),
        torch.cat([p.depth_b for p in parts]),
    )
