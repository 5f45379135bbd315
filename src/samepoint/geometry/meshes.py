"""The exact closest point on a triangle mesh, for many points at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from samepoint.errors import DataError

MANY = 20_000
"""Of more vertices than this, `diameter` compares the outermost only."""

_PAIRS = 1 << 19  # point-triangle pairs worked on at a time


class Closest(NamedTuple):
    """For each point: the face, its barycentric coordinates (>= 0, sum 1) and the distance."""

    face: Int[Tensor, " n"]
    barycentric: Float[Tensor, "n 3"]
    distance: Float[Tensor, " n"]


@dataclass(frozen=True)
class Mesh:
    """Triangles. The tables that the search needs are made once, on first use.

    Raises DataError without faces, for a face that names no vertex, and for vertices that are not finite.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Integer[Tensor, "f 3"]

    def __post_init__(self) -> None:
        if len(self.faces) == 0:
            raise DataError("the mesh has no faces", mend="give a triangle mesh, not a point cloud")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise DataError("a face of the mesh names a vertex that does not exist")
        if not torch.isfinite(self.vertices).all():
            raise DataError("the mesh has vertices that are not finite")

    @cached_property
    def corners(self) -> Float[Tensor, "f 3 3"]:
        return self.vertices[self.faces.long()]

    @cached_property
    def incident(self) -> tuple[Int[Tensor, " s"], Int[Tensor, " c"]]:
        """The faces of vertex i are `faces[start[i]:start[i + 1]]`."""
        corner = self.faces.long().flatten()
        order = corner.argsort(stable=True)
        count = torch.bincount(corner, minlength=len(self.vertices))
        return torch.nn.functional.pad(count.cumsum(0), (1, 0)), order // 3

    @cached_property
    def hubs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Vertices that have faces, about their middle: position, reach, index; and the middle.

        A vertex's reach is an upper bound of the distance from any point of its faces to the nearest of their
        corners: a triangle lies within longest edge / sqrt(3) of its corners.
        """
        longest = (self.corners - self.corners.roll(1, dims=1)).norm(dim=-1).amax(-1)
        bound = (longest * (1.0001 / math.sqrt(3)))[:, None].expand(-1, 3).flatten()
        reach = torch.zeros_like(self.vertices[:, 0])
        reach = reach.scatter_reduce(0, self.faces.long().flatten(), bound, "amax")
        index = torch.unique(self.faces.long())
        middle = self.vertices[index].mean(0)
        return self.vertices[index] - middle, reach[index], index, middle


def closest_points(mesh: Mesh, points: Float[Tensor, "n 3"]) -> Closest:
    """The closest point on the mesh, exactly: only triangles that cannot hold it are left out.

    Its distance is at most that to the nearest vertex; so the nearest corner of its triangle lies within that
    plus the triangle's reach. No gradient. Points must be finite.
    """
    points = points.detach().to(mesh.vertices.dtype)
    if len(points) == 0:
        return Closest(
            torch.zeros(0, dtype=torch.long, device=points.device), points.clone(), points[:, 0].clone()
        )
    found = [_closest_face(mesh, part) for part in points.split(max(1, (1 << 22) // len(mesh.vertices)))]
    face = torch.cat(found)
    barycentric, square = closest_on_triangles(mesh.corners[face], points)
    return Closest(face, barycentric, square.sqrt())


def extreme_points(points: Float[Tensor, "v 3"], directions: int) -> Int[Tensor, " e"]:
    """The indices of the points that reach farthest, each in one of about `directions` directions all around.

    The largest distance between them is that of all points but for a share of at most about 4 / `directions`.
    """
    number = (directions + 1) // 2
    z = (torch.arange(number, dtype=points.dtype) + 0.5) / number  # half a sphere: the other half is opposite
    turn = math.pi * (3 - math.sqrt(5)) * torch.arange(number, dtype=points.dtype)
    flat = (1 - z**2).sqrt()
    ways = torch.cat(
        [torch.stack([flat * turn.cos(), flat * turn.sin(), z], dim=1), torch.eye(3, dtype=points.dtype)]
    )
    along = points @ ways.T.to(points.device)
    return torch.cat([along.argmax(0), along.argmin(0)]).unique()


def diameter(vertices: Float[Tensor, "v 3"]) -> float:
    """The largest distance between two vertices, in their unit.

    Of more than MANY vertices it may be too short by a thousandth. DataError without vertices, and for some that are
    not finite.
    """
    if len(vertices) == 0 or not torch.isfinite(vertices).all():
        raise DataError("the object has no vertices, or some that are not finite", mend="give its mesh")
    points = vertices.detach().double()
    if len(points) > MANY:
        points = points[extreme_points(points, 4000)]
    return max(float(torch.cdist(chunk, points).max()) for chunk in points.split(1024))


def closest_points_reference(mesh: Mesh, points: Float[Tensor, "n 3"]) -> Closest:
    """The same by looking at every triangle for every point."""
    faces, barycentrics, distances = [], [], []
    for point in points:
        barycentric, square = closest_on_triangles(mesh.corners, point.expand(len(mesh.faces), 3))
        face = square.argmin()
        faces.append(face)
        barycentrics.append(barycentric[face])
        distances.append(square[face].sqrt())
    return Closest(torch.stack(faces), torch.stack(barycentrics), torch.stack(distances))


def closest_on_triangles(
    corners: Float[Tensor, "n 3 3"], points: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Barycentric coordinates of the closest point of triangle i to point i, and the squared distance.

    The foot of the perpendicular if it lies in the triangle, else the nearest of the feet on its three edges.
    Triangles without area are their edges.
    """
    a, b, c = corners.unbind(1)
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = d00 * d11 - d01 * d01
    flat = area <= 1e-12 * d00 * d11
    area = torch.where(flat, torch.ones_like(area), area)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    inside = ~flat & (v >= 0) & (w >= 0) & (v + w <= 1)
    zero = torch.zeros_like(v)
    on_ab, on_ac = _foot(d20, d00), _foot(d21, d11)
    on_bc = _foot(((points - b) * (c - b)).sum(-1), ((c - b) * (c - b)).sum(-1))
    candidates = torch.stack(
        (
            torch.stack((1 - v - w, v, w), -1),
            torch.stack((1 - on_ab, on_ab, zero), -1),
            torch.stack((1 - on_ac, zero, on_ac), -1),
            torch.stack((zero, 1 - on_bc, on_bc), -1),
        ),
        dim=1,
    )
    square = (candidates @ corners - points[:, None]).square().sum(-1)
    square[:, 0] = torch.where(inside, square[:, 0], torch.inf)
    best = square.argmin(1)
    row = torch.arange(len(points), device=points.device)
    return candidates[row, best], square[row, best]


def _foot(along: Tensor, length: Tensor) -> Tensor:
    """Where along a segment (0 to 1) the foot of the perpendicular lies."""
    return (along / torch.where(length > 0, length, torch.ones_like(length))).clamp(0, 1)


def _closest_face(mesh: Mesh, points: Float[Tensor, "n 3"]) -> Int[Tensor, " n"]:
    point, vertex = _candidates(mesh, points)
    start, faces = mesh.incident
    count = start[vertex + 1] - start[vertex]
    pair = torch.repeat_interleave(count)
    within = torch.arange(len(pair), device=pair.device) - (count.cumsum(0) - count)[pair]
    face, point = faces[start[vertex[pair]] + within], point[pair]
    square = torch.cat(
        [
            closest_on_triangles(mesh.corners[f], points[p])[1]
            for f, p in zip(face.split(_PAIRS), point.split(_PAIRS))
        ]
    )
    least = square.new_full((len(points),), math.inf).scatter_reduce(0, point, square, "amin")
    wins = square == least[point]
    first = torch.full((len(points),), len(mesh.faces), dtype=torch.long, device=points.device)
    return first.scatter_reduce(0, point[wins], face[wins], "amin")


def _candidates(mesh: Mesh, points: Float[Tensor, "n 3"]) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Pairs (point, vertex) whose faces may hold the closest point.

    Distances come from one matrix product about the mesh's middle; `slack` covers its rounding.
    """
    vertices, reach, index, middle = mesh.hubs
    points = points - middle
    far, squares = vertices.square().sum(-1), points.square().sum(-1)
    distance = torch.addmm(far.expand(len(points), -1), points, vertices.T, alpha=-2)
    distance.add_(squares[:, None]).clamp_min_(0).sqrt_()
    slack = 4 * torch.maximum(squares, far.max()).sqrt() * torch.finfo(points.dtype).eps ** 0.5
    upper = distance.amin(1) + slack
    point, vertex = torch.nonzero(distance.sub_(reach) <= upper[:, None], as_tuple=True)
    return point, index[vertex]
