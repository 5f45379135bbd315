from __future__ import annotations

import numpy as np
import pytest
import torch

from samepoint.errors import DataError
from samepoint.geometry.meshes import (
    Mesh,
    closest_on_triangles,
    closest_points,
    closest_points_reference,
    diameter,
    extreme_points,
)


def torus(rows=12, columns=9, dtype=torch.float32):
    """A closed mesh with long and short edges."""
    a, b = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    a, b = a.flatten() * 2 * torch.pi / rows, b.flatten() * 2 * torch.pi / columns
    ring = 0.05 + 0.02 * b.cos()
    vertices = torch.stack((ring * a.cos(), ring * a.sin(), 0.02 * b.sin()), -1).to(dtype)
    i = torch.arange(rows * columns).reshape(rows, columns)
    right, below, across = i.roll(-1, 1), i.roll(-1, 0), i.roll((-1, -1), (0, 1))
    faces = torch.cat(
        (
            torch.stack((i, right, below), -1).reshape(-1, 3),
            torch.stack((right, across, below), -1).reshape(-1, 3),
        )
    )
    return vertices, faces


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_agrees_with_twin(seed, scale):
    """Random triangle soups: long thin triangles, isolated vertices, near and far points."""
    generator = torch.Generator().manual_seed(seed)
    vertices = torch.randn(30, 3, generator=generator) * torch.tensor([1.0, 0.3, 0.05]) * scale + 5 * (
        seed % 2
    )
    faces = torch.randint(0, 25, (40, 3), generator=generator)
    mesh = Mesh(vertices, faces)
    points = torch.randn(60, 3, generator=generator) * 2 * scale
    fast, slow = closest_points(mesh, points), closest_points_reference(mesh, points)
    torch.testing.assert_close(fast.distance, slow.distance, atol=1e-6 * scale, rtol=1e-5)
    assert (fast.barycentric >= 0).all()
    torch.testing.assert_close(fast.barycentric.sum(1), torch.ones(60))
    foot = (fast.barycentric[..., None] * mesh.corners[fast.face]).sum(1)
    torch.testing.assert_close((foot - points).norm(dim=1), fast.distance, atol=1e-5 * scale, rtol=1e-5)


def nearest_by_parts(corners, point):
    """Distance of a point from one triangle: from its plane where the foot is inside, else from its three edges."""
    a, b, c = corners
    normal = np.cross(b - a, c - a)
    if np.linalg.norm(normal) > 1e-12:
        foot = point - normal * ((point - a) @ normal) / (normal @ normal)
        sides = [np.cross(q - p, foot - p) @ normal for p, q in ((a, b), (b, c), (c, a))]
        if min(sides) >= 0:
            return np.linalg.norm(foot - point)
    distances = []
    for p, q in ((a, b), (b, c), (c, a)):
        along = np.clip((point - p) @ (q - p) / max((q - p) @ (q - p), 1e-30), 0, 1)
        distances.append(np.linalg.norm(p + along * (q - p) - point))
    return min(distances)


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_from_the_plane_or_the_edges(seed):
    generator = torch.Generator().manual_seed(seed)
    vertices = torch.randn(12, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 0.3, 0.05])
    mesh = Mesh(vertices, torch.randint(0, 12, (12, 3), generator=generator))
    points = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    corners = mesh.corners.numpy()
    expected = [min(nearest_by_parts(one, point) for one in corners) for point in points.numpy()]
    for found in (closest_points(mesh, points), closest_points_reference(mesh, points)):
        np.testing.assert_allclose(found.distance.numpy(), expected, atol=1e-9)


def test_points_on_the_mesh_find_themselves(generator):
    mesh = Mesh(*torus(dtype=torch.float64))
    face = torch.randint(len(mesh.faces), (200,), generator=generator)
    barycentric = torch.distributions.Dirichlet(torch.ones(3, dtype=torch.float64)).sample((200,))
    found = closest_points(mesh, (barycentric[..., None] * mesh.corners[face]).sum(1))
    assert torch.equal(found.face, face)
    torch.testing.assert_close(found.barycentric, barycentric)


def test_closest_on_triangle_agrees_with_dense_search(generator):
    corners = torch.randn(30, 3, 3, generator=generator, dtype=torch.float64)
    points = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    _, square = closest_on_triangles(corners, points)
    steps = torch.linspace(0, 1, 101, dtype=torch.float64)
    v, w = torch.meshgrid(steps, steps, indexing="ij")
    inside = v + w <= 1 + 1e-9
    barycentric = torch.stack((1 - v - w, v, w), -1)[inside]
    dense = (barycentric @ corners - points[:, None]).square().sum(-1).amin(1)
    assert (square <= dense + 1e-9).all()
    torch.testing.assert_close(square, dense, atol=5e-3, rtol=5e-2)


def test_nothing_and_bad_meshes():
    vertices, faces = torus()
    assert closest_points(Mesh(vertices, faces), torch.zeros(0, 3)).barycentric.shape == (0, 3)
    with pytest.raises(DataError, match="no faces"):
        Mesh(vertices, faces[:0])
    with pytest.raises(DataError, match="names a vertex"):
        Mesh(vertices[:5], faces)
    with pytest.raises(DataError, match="finite"):
        Mesh(vertices * torch.nan, faces)


@pytest.mark.parametrize("ball", [True, False])
def test_extreme_points_keep_the_size(ball, generator):
    """Few of them, with the bounding box of all and nearly the largest distance (slow twin: all pairs)."""
    points = torch.randn(3000, 3, generator=generator, dtype=torch.float64)
    points = torch.nn.functional.normalize(points) if ball else points * torch.tensor([1.0, 0.2, 0.01])
    kept = points[extreme_points(points, 200)]
    assert len(kept) <= 206
    assert torch.equal(kept.amin(0), points.amin(0))
    assert torch.equal(kept.amax(0), points.amax(0))
    assert torch.cdist(kept, kept).max() >= (1 - 4 / 200) * torch.cdist(points, points).max()


def test_the_diameter_is_the_largest_distance_of_two_vertices(generator, monkeypatch):
    points = torch.randn(1500, 3, generator=generator)
    exact = max(float((a - b).norm()) for a in points[::50] for b in points)
    assert diameter(points) >= exact - 1e-6
    assert diameter(points) == pytest.approx(float(torch.cdist(points, points).max()))
    corners = torch.tensor([[0.0, 0, 0], [3.0, 0, 0], [0.0, 4.0, 0]])
    assert diameter(corners) == pytest.approx(5.0)
    monkeypatch.setattr("samepoint.geometry.meshes.MANY", 100)
    assert diameter(points) == pytest.approx(float(torch.cdist(points, points).max()), rel=1e-3)
    for bad in (points[:0], points * torch.nan):
        with pytest.raises(DataError, match="vertices"):
            diameter(bad)
