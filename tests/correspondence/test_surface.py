from __future__ import annotations

import pytest
import torch

from samepoint.correspondence.surface import Surface, map_points
from samepoint.errors import DataError
from samepoint.geometry.meshes import closest_points_reference


def cup(rows=24, columns=20, inner=0.030, outer=0.033, height=0.08):
    """Inner and outer wall of a pipe, 3 mm apart. Canonical: (angle as x, y; arc length round the rim)."""
    angle = torch.arange(columns, dtype=torch.float64) * 2 * torch.pi / columns
    profile = torch.linspace(0, 1, rows, dtype=torch.float64)
    radius = torch.where(profile < 0.5, outer, inner)
    z = torch.where(profile < 0.5, profile, 1 - profile) * 2 * height
    a, p = angle[None].expand(rows, -1), profile[:, None].expand(-1, columns)
    r, z = radius[:, None].expand_as(a), z[:, None].expand_as(a)
    vertices = torch.stack((r * a.cos(), r * a.sin(), z), -1).reshape(-1, 3)
    coordinates = torch.stack((a.cos(), a.sin(), p * 4), -1).reshape(-1, 3)
    i = torch.arange(rows * columns).reshape(rows, columns)
    j = i.roll(-1, 1)
    faces = torch.cat(
        (
            torch.stack((i[:-1], j[:-1], i[1:]), -1).reshape(-1, 3),
            torch.stack((j[:-1], j[1:], i[1:]), -1).reshape(-1, 3),
        )
    )
    return Surface(vertices, faces, coordinates)


def on_surface(surface, generator, n=100):
    face = torch.randint(len(surface.faces), (n,), generator=generator)
    b = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    b = (b / b.sum(1, keepdim=True))[..., None]
    at = surface.faces[face]
    return (b * surface.vertices[at]).sum(1), (b * surface.coordinates[at]).sum(1)


def bent(surface):
    """A deformed instance: same faces and coordinates."""
    x, y, z = surface.vertices.unbind(1)
    return Surface(torch.stack((1.3 * x + z * z, 0.8 * y, 1.2 * z), 1), surface.faces, surface.coordinates)


def test_coordinates_and_points_are_inverse(generator):
    surface = cup()
    points, coordinates = on_surface(surface, generator)
    torch.testing.assert_close(surface.coordinates_at(points), coordinates)
    back, error = surface.points_at(coordinates)
    torch.testing.assert_close(back, points)
    assert error.max() < 1e-6


def test_points_near_the_surface_take_the_nearest_ones_coordinates(generator):
    surface = cup()
    points = on_surface(surface, generator)[0] + 0.0005 * torch.randn(
        100, 3, generator=generator, dtype=torch.float64
    )
    slow = closest_points_reference(surface.mesh, points)
    expected = (slow.barycentric[..., None] * surface.coordinates[surface.faces[slow.face]]).sum(1)
    torch.testing.assert_close(surface.coordinates_at(points), expected)


@pytest.mark.parametrize("resampled", [False, True])
def test_walls_never_mix_whether_face_to_face_or_by_coordinates(generator, resampled):
    source = cup()
    target = bent(cup(30, 32) if resampled else source)
    assert source.same_parametrisation(target) is not resampled
    points, coordinates = on_surface(source, generator, 300)
    there = map_points(source, target, points)
    height, x, y = there[:, 2], (there[:, 0] - (there[:, 2] / 1.2) ** 2) / 1.3, there[:, 1] / 0.8
    radius = (x * x + y * y).sqrt()
    away_from_rim = (coordinates[:, 2] - 2).abs() > 0.3
    outside = coordinates[:, 2] < 2
    assert (radius[outside & away_from_rim] > 0.0318).all()
    assert (radius[~outside & away_from_rim] < 0.0303).all()
    torch.testing.assert_close(height / 1.2, points[:, 2], atol=2e-3 if resampled else 1e-9, rtol=0)


def test_round_trip_between_instances(generator):
    source, target = cup(), bent(cup(30, 32))
    points, _ = on_surface(source, generator)
    back = map_points(target, source, map_points(source, target, points))
    # the two meshes cut the round wall differently: off by up to the chords' height
    assert (back - points).norm(dim=1).max() < 2e-3
    face_to_face = bent(source)
    back = map_points(face_to_face, source, map_points(source, face_to_face, points))
    torch.testing.assert_close(back, points)


def test_missing_parts_and_unknown_points_are_nan(generator):
    source, target = cup(), cup(30, 32)
    lower = target.faces[(target.coordinates[target.faces][:, :, 2] < 1).all(1)]
    half = Surface(target.vertices, lower, target.coordinates)
    points, coordinates = on_surface(source, generator)
    points[0] = torch.nan
    there = map_points(source, half, points, tolerance=0.1)
    missing = coordinates[:, 2] > 1.3
    assert there[0].isnan().all()
    assert there[1:][missing[1:]].isnan().all()
    assert there[1:][coordinates[1:, 2] < 0.9].isfinite().all()
    assert map_points(source, half, points[:0]).shape == (0, 3)


def test_single_precision_and_bad_input(generator):
    surface = cup()
    single = Surface(surface.vertices.float(), surface.faces.int(), surface.coordinates.float())
    points, coordinates = on_surface(surface, generator)
    torch.testing.assert_close(single.coordinates_at(points.float()), coordinates.float(), atol=1e-3, rtol=0)
    with pytest.raises(DataError, match="480 vertices have 7"):
        Surface(surface.vertices, surface.faces, surface.coordinates[:7])
