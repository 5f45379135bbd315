"""Canonical surface coordinates: the same point on every instance of a family, also on deformed ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from samepoint.errors import DataError
from samepoint.geometry.meshes import Closest, Mesh, closest_points


@dataclass(frozen=True)
class Surface:
    """A mesh (metres, object frame) whose vertices carry canonical coordinates, shared by a family.

    Coordinates have no unit, one for each vertex, and must differ between different points of the surface:
    the two sides of a thin wall need different ones. Raises DataError if there are more or fewer.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Integer[Tensor, "f 3"]
    coordinates: Float[Tensor, "c 3"]

    def __post_init__(self) -> None:
        if len(self.coordinates) != len(self.vertices):
            raise DataError(
                f"{len(self.vertices)} vertices have {len(self.coordinates)} canonical coordinates",
                mend="give one coordinate (cx, cy, cz) for each vertex",
            )

    def coordinates_at(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Canonical coordinates of the surface points closest to points (metres, object frame)."""
        return _blend(self.coordinates, self.faces, _locate(self.mesh, points))

    def points_at(
        self, coordinates: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
        """The points (metres) whose canonical coordinates come closest, and how far off those are.

        The error is in canonical units; it is large where this instance lacks the asked part.
        """
        found = _locate(self.canonical_mesh, coordinates)
        return _blend(self.vertices, self.faces, found), found.distance

    @cached_property
    def mesh(self) -> Mesh:
        return Mesh(self.vertices, self.faces)

    @cached_property
    def canonical_mesh(self) -> Mesh:
        """The same faces with the canonical coordinates as positions."""
        return Mesh(self.coordinates, self.faces)

    def same_parametrisation(self, other: Surface) -> bool:
        """Whether faces and coordinates are equal, so that a face means the same place on both."""
        return (self.faces is other.faces or torch.equal(self.faces, other.faces)) and torch.equal(
            self.coordinates, other.coordinates
        )


def map_points(
    source: Surface, target: Surface, points: Float[Tensor, "n 3"], tolerance: float = torch.inf
) -> Float[Tensor, "n 3"]:
    """Points of one instance on another one of its family (metres, each in its object frame).

    Deformed copies of one mesh (same faces and coordinates) are mapped face to face, so that the sides of a
    thin wall cannot be mixed up. Otherwise through the canonical coordinates; NaN where the target has none
    within `tolerance` (canonical units). NaN points stay NaN. Not differentiable in `points`.
    """
    found = _locate(source.mesh, points)
    if source.same_parametrisation(target):
        return _blend(target.vertices, target.faces, found)
    there, error = target.points_at(_blend(source.coordinates, source.faces, found))
    return torch.where((error <= tolerance)[:, None], there, torch.nan)


def _locate(mesh: Mesh, points: Float[Tensor, "n 3"]) -> Closest:
    """`closest_points`, with NaN for points that are not finite."""
    finite = torch.isfinite(points).all(-1)
    face, barycentric, distance = closest_points(mesh, torch.where(finite[:, None], points, 0.0))
    return Closest(
        face, torch.where(finite[:, None], barycentric, torch.nan), torch.where(finite, distance, torch.nan)
    )


def _blend(
    values: Float[Tensor, "v 3"], faces: Integer[Tensor, "f 3"], found: Closest
) -> Float[Tensor, "n 3"]:
    return (found.barycentric[..., None].to(values.dtype) * values[faces[found.face].long()]).sum(1)
