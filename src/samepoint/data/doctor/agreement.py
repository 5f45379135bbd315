"""Whether two views' depth images show one surface, by taking the points of one into the other.

Everything is measured in the depth unit as written, so that a wrong scale changes no tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.correspondence.depth import depth_at, known
from samepoint.correspondence.outcomes import OcclusionTest, surface_agrees
from samepoint.data.doctor.footage import Shot
from samepoint.data.doctor.readings import Reading
from samepoint.geometry.cameras import focal_length, project, rays
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import in_frame

POINTS = 800
"""Points taken of a view."""
TOLERANCE = OcclusionTest(absolute=0.0, relative=0.02)


@dataclass(frozen=True)
class Agreement:
    """Counts of points over pairs. `known`: points of A; `seen`: of these, where B knows a depth; `agree`: of these,
    on B's surface; `before`: of these, clearly nearer than it, where B should have seen them: no occlusion explains
    that."""

    known: int
    seen: int
    agree: int
    before: int

    @property
    def share(self) -> float:
        """Of the points that can be compared, those that agree."""
        return self.agree / max(self.seen, 1)

    @property
    def support(self) -> float:
        """Of all points, those that agree. A reading that takes points out of view gains nothing."""
        return self.agree / max(self.known, 1)


@dataclass(frozen=True)
class Pairs:
    """Pairs of views (a, b) as tensors. Poses are those of every view, as written."""

    a: Int[Tensor, " p"]
    b: Int[Tensor, " p"]
    poses: Float[Tensor, "v 4 4"]
    camera_a: Float[Tensor, "p 3 3"]
    camera_b: Float[Tensor, "p 3 3"]

    def some(self, keep: Int[Tensor, " k"]) -> Pairs:
        return Pairs(self.a[keep], self.b[keep], self.poses, self.camera_a[keep], self.camera_b[keep])

    def b_from_a(self, reading: Reading) -> Float[Tensor, "p 4 4"]:
        poses = reading.world_from_camera(self.poses)
        return invert(poses[self.b + reading.late]) @ poses[self.a + reading.late]


@dataclass(frozen=True)
class Surfaces:
    """Points of every A (pixels; depth as written, NaN for padding) and the depth image of every B."""

    uv: Float[Tensor, "p n 2"]
    depth: Float[Tensor, "p n"]
    depth_b: Float[Tensor, "p h w"]

    def some(self, keep: Int[Tensor, " k"], points: int) -> Surfaces:
        return Surfaces(self.uv[keep, :points], self.depth[keep, :points], self.depth_b[keep])


def surfaces(shots: Mapping[int, Shot], pairs: Sequence[tuple[int, int]]) -> Surfaces:
    """Random points of known depth of every A, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    uv, depth, depth_b = [], [], []
    for a, b in pairs:
        image, other = shots[a].depth, shots[b].depth
        assert image is not None
        assert other is not None
        row, column = torch.nonzero(known(image), as_tuple=True)
        chosen = torch.randperm(len(row), generator=generator)[:POINTS]
        row, column = row[chosen], column[chosen]
        points = torch.full((POINTS, 3), torch.nan)
        points[: len(row)] = torch.stack((column, row, image[row, column]), dim=1).float()
        uv.append(points[:, :2])
        depth.append(points[:, 2])
        depth_b.append(other)
    return Surfaces(torch.stack(uv), torch.stack(depth), torch.stack(depth_b))


def lifted(
    camera: Float[Tensor, "p 3 3"], uv: Float[Tensor, "p n 2"], depth: Float[Tensor, "p n"], reading: Reading
) -> Float[Tensor, "p n 3"]:
    """Points in the camera frame."""
    directions = rays(camera, uv)
    if reading.along == "ray":
        directions = directions / directions.norm(dim=-1, keepdim=True)
    return directions * depth[..., None]


def agreement(pairs: Pairs, surface: Surfaces, reading: Reading) -> Agreement:
    """How the depth of A, taken into B, fits the depth of B."""
    camera_b = reading.camera(pairs.camera_b)
    xyz = lifted(reading.camera(pairs.camera_a), surface.uv, surface.depth, reading)
    xyz_b = transform(pairs.b_from_a(reading), xyz)
    uv_b, z = project(camera_b, xyz_b)
    predicted = xyz_b.norm(dim=-1) if reading.along == "ray" else z
    size = (surface.depth_b.shape[-2], surface.depth_b.shape[-1])
    inside: Bool[Tensor, "p n"] = (z > 0) & in_frame(uv_b, size)
    uv_safe = torch.where(inside[..., None], uv_b, torch.zeros_like(uv_b))
    focal = focal_length(camera_b)
    fits, seen = surface_agrees(uv_safe, predicted, surface.depth_b, focal, TOLERANCE)
    measured = depth_at(surface.depth_b, uv_safe, radius=1)
    seen = seen & inside
    fits = fits & seen
    before = seen & ~fits & (predicted < measured * (1 - 2 * TOLERANCE.relative))
    count = [int(mask.sum()) for mask in (~surface.depth.isnan(), seen, fits, before)]
    return Agreement(*count)
