"""Clicks and calibrations of a recording as tensors, so that other readings of both are tried quickly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.data.decode import image_size
from samepoint.data.recording import Recording, View
from samepoint.errors import DataError
from samepoint.geometry.cameras import project, rays
from samepoint.geometry.lenses import Lens, undistort_points
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.triangulation import triangulate_rays
from samepoint.types import Size


@dataclass(frozen=True)
class Mark:
    """A click as it is written: `moment` by its place in the recording, pixels of the recorded image."""

    moment: int
    camera: str
    keypoint: str
    uv: tuple[float, float]


def marks_of(recording: Recording) -> list[Mark]:
    """All clicks, in the order of moments."""
    return [
        Mark(m, camera, name, uv)
        for m, moment in enumerate(recording.moments)
        for camera, clicks in moment.clicks.items()
        for name, uv in clicks.items()
    ]


def sizes_of(recording: Recording) -> dict[str, Size]:
    """The size of the images of each camera, from the first of each."""
    return {camera: image_size(view.image) for camera, view in _first(recording).items()}


def _first(recording: Recording) -> dict[str, View]:
    out: dict[str, View] = {}
    for view in recording.views():
        out.setdefault(view.camera, view)
    return out


@dataclass(frozen=True)
class Rig:
    """Calibrations of n cameras at m moments, float64; `sizes` are those of the images. A camera that has no image at
    a moment has the calibration of another moment there."""

    cameras: tuple[str, ...]
    moments: tuple[int, ...]
    intrinsics: Float[Tensor, "m n 3 3"]
    world_from_camera: Float[Tensor, "m n 4 4"]
    lenses: tuple[tuple[Lens | None, ...], ...]
    sizes: tuple[Size, ...]

    @cached_property
    def diagonals(self) -> Float[Tensor, " n"]:
        """Of the images, pixels."""
        return torch.tensor(self.sizes, dtype=torch.float64).norm(dim=-1)


def rig_of(recording: Recording, moments: Iterable[int]) -> Rig:
    """The calibrations at these moments. DataError for a view without one."""
    first, chosen = _first(recording), tuple(moments)
    rows = [{**first, **{v.camera: v for v in recording.moments[m].views}} for m in chosen]
    views = [[row[camera] for camera in first] for row in rows]
    k, pose = zip(*(_calibration(view) for row in views for view in row), strict=True)
    shape = (len(chosen), len(first))
    return Rig(
        tuple(first),
        chosen,
        torch.stack(k).unflatten(0, shape),
        torch.stack(pose).unflatten(0, shape),
        tuple(tuple(view.lens for view in row) for row in views),
        tuple(sizes_of(recording).values()),
    )


@dataclass(frozen=True)
class Fit:
    """What groups of clicks make: `xyz` (NaN where the rays leave it open), `residual` how far from each click it
    projects (pixels as written, at most the image's diagonal, which it is behind the camera; NaN where there is no
    click), and which clicks it lies `behind`."""

    xyz: Float[Tensor, "g 3"]
    residual: Float[Tensor, "g c"]
    behind: Bool[Tensor, "g c"]


@dataclass(frozen=True)
class Evidence:
    """Groups of clicks, each of one point: g groups of up to c clicks, the rest of `weight` 0.

    `row` and `camera`: the click's calibration in `rig`. `uv`: pixels of the recorded image. `scale`: of each camera,
    how many of these one pixel as written is."""

    rig: Rig
    marks: tuple[tuple[Mark, ...], ...]
    row: Int[Tensor, "g c"]
    camera: Int[Tensor, "g c"]
    uv: Float[Tensor, "g c 2"]
    weight: Float[Tensor, "g c"]
    scale: Float[Tensor, " n"]

    @staticmethod
    def of(recording: Recording, groups: Sequence[Sequence[Mark]]) -> Evidence:
        """At least one group of at least one click."""
        rig = rig_of(recording, sorted({mark.moment for group in groups for mark in group}))
        rows = {m: i for i, m in enumerate(rig.moments)}
        places = {name: i for i, name in enumerate(rig.cameras)}
        shape = len(groups), max(len(group) for group in groups)
        row, camera = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        uv, weight = torch.zeros(*shape, 2, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
        for g, group in enumerate(groups):
            n = len(group)
            row[g, :n] = torch.tensor([rows[mark.moment] for mark in group])
            camera[g, :n] = torch.tensor([places[mark.camera] for mark in group])
            uv[g, :n] = torch.tensor([mark.uv for mark in group], dtype=torch.float64)
            weight[g, :n] = 1
        scale = torch.ones(len(rig.cameras), dtype=torch.float64)
        return Evidence(rig, tuple(map(tuple, groups)), row, camera, uv, weight, scale)

    def some(self, keep: Sequence[int]) -> Evidence:
        """These groups."""
        index = torch.tensor(keep, dtype=torch.long)
        parts = (self.row[index], self.camera[index], self.uv[index], self.weight[index])
        return Evidence(self.rig, tuple(self.marks[g] for g in keep), *parts, self.scale)

    def without(self, clicks: Bool[Tensor, "g c"]) -> Evidence:
        return replace(self, weight=self.weight.masked_fill(clicks, 0))

    @cached_property
    def active(self) -> Bool[Tensor, "g c"]:
        """The clicks that count: of groups with two or more."""
        return (self.weight > 0) & ((self.weight > 0).sum(1, keepdim=True) > 1)

    @cached_property
    def surplus(self) -> int:
        """Numbers beyond those that the points need: two a click less three a point."""
        return int(2 * self.active.sum() - 3 * self.active.any(1).sum())

    @cached_property
    def pose(self) -> Float[Tensor, "g c 4 4"]:
        """`world_from_camera` of each click."""
        return self.rig.world_from_camera[self.row, self.camera]

    def fit(self) -> Fit:
        """The points of all groups, and how well they fit."""
        centre, k = self.pose[..., :3, 3], self.rig.intrinsics[self.row, self.camera]
        directions = transform(self.pose, rays(k, self.straight[..., None, :]))[..., 0, :] - centre
        return self.against(triangulate_rays(centre, directions, self.weight * self.active))

    def against(self, xyz: Float[Tensor, "g 3"]) -> Fit:
        """How well points fit the clicks."""
        rig, pose, uv = self.rig, self.pose, self.straight
        k = rig.intrinsics[self.row, self.camera]
        seen, depth = project(k, transform(invert(pose), xyz[:, None, None]))
        diagonal = rig.diagonals[self.camera]
        behind = (depth[..., 0] <= 0) & self.active
        error = (seen[..., 0, :] - uv).norm(dim=-1) / self.scale[self.camera]
        error = torch.where(behind | ~error.isfinite(), diagonal, error.minimum(diagonal))
        return Fit(xyz, torch.where(self.active, error, torch.nan), behind)

    @cached_property
    def straight(self) -> Float[Tensor, "g c 2"]:
        """The clicks without the bend of their lens."""
        uv, rig = self.uv.clone(), self.rig
        done: dict[tuple[Lens, bytes], list[tuple[int, int]]] = {}
        for i, row in enumerate(rig.lenses):
            for j, lens in enumerate(row):
                if lens is not None:
                    key = lens, rig.intrinsics[i, j].numpy().tobytes()
                    done.setdefault(key, []).append((i, j))
        for (lens, _), calibrations in done.items():
            table = torch.zeros(len(rig.moments), len(rig.cameras), dtype=torch.bool)
            table[tuple(zip(*calibrations, strict=True))] = True
            mine = table[self.row, self.camera] & (self.weight > 0)
            uv[mine] = undistort_points(uv[mine], rig.intrinsics[calibrations[0]], lens)
        return uv


def _calibration(view: View) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "4 4"]]:
    if view.intrinsics is None or view.world_from_camera is None:
        raise DataError("this view has no calibration", where=view.image, mend="calibrate the camera")
    return view.intrinsics.double(), view.world_from_camera.double()
