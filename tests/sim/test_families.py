"""Families: one topology and one set of coordinates for all instances, surfaces that face outwards."""

from __future__ import annotations

import numpy as np
import pytest

from samepoint.errors import DataError
from samepoint.sim.families import FAMILIES, Family, find_family
from samepoint.sim.families.surface import ellipsoid, plate, revolve, smooth, tube

families = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def corners(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(points[faces[:, k]] for k in range(3))


def volume(points: np.ndarray, faces: np.ndarray) -> float:
    p, q, r = corners(points, faces)
    return float((p * np.cross(q, r)).sum() / 6)


@families
def test_instances_share_topology_uv_and_coordinates(family: Family) -> None:
    a, b = (family.build(family.sample_shape(np.random.default_rng(seed))) for seed in (0, 1))
    np.testing.assert_array_equal(a.faces, b.faces)
    np.testing.assert_array_equal(a.coordinates, b.coordinates)
    np.testing.assert_array_equal(a.uv, b.uv)
    assert a.vertices.shape == b.vertices.shape
    assert np.abs(a.vertices - b.vertices).max() > 0.005


@families
def test_convention_canonical_coordinates_are_the_evenly_scaled_template(family: Family) -> None:
    template = family.build(family.template_shape())
    low = template.vertices.min(0)
    scale = np.ptp(template.vertices, axis=0).max()
    np.testing.assert_allclose(template.coordinates, (template.vertices - low) / scale, atol=1e-9)
    assert template.coordinates.min() >= 0
    assert template.coordinates.max() == pytest.approx(1)


@families
def test_different_places_have_different_coordinates(family: Family) -> None:
    """Vertices with (nearly) the same coordinates are one place on every instance: seams and joints."""
    model = family.build(family.sample_shape(np.random.default_rng(3)))
    order = np.lexsort(model.coordinates.round(6).T)
    same = (np.diff(model.coordinates[order].round(6), axis=0) == 0).all(1)
    apart = np.linalg.norm(np.diff(model.vertices[order], axis=0), axis=1)
    assert apart[same].max(initial=0) < 1e-6


@pytest.mark.parametrize(("name", "outer", "inner"), [("mug", "wall", "inside"), ("cap", "dome", "inside")])
def test_inside_and_outside_of_a_wall_differ(name: str, outer: str, inner: str) -> None:
    family = find_family(name)
    grids = {part.name: part.grid for part in family.parts(family.template_shape())}
    scale = np.ptp(np.concatenate([g.reshape(-1, 3) for g in grids.values()]), axis=0).max()
    gap = np.linalg.norm(grids[outer][3:-3].reshape(-1, 1, 3) - grids[inner][2:-2].reshape(1, -1, 3), axis=2)
    assert gap.min() / scale > 0.02


@families
def test_surfaces_face_outwards(family: Family) -> None:
    model = family.build(family.sample_shape(np.random.default_rng(2)))
    assert volume(model.vertices, model.faces) > 2e-5
    p, q, r = corners(model.vertices, model.faces)
    outwards = (model.normals[model.faces].mean(1) * np.cross(q - p, r - p)).sum(1)
    assert (outwards > 0).mean() > 0.995


@families
def test_sizes_counts_and_keypoints(family: Family) -> None:
    for seed in range(4):
        model = family.build(family.sample_shape(np.random.default_rng(seed)))
        assert 0.05 < np.ptp(model.vertices, axis=0).max() < 0.36
        assert model.vertices[:, 2].min() == pytest.approx(0)
        assert 450 <= len(model.vertices) <= 3000
        assert np.isfinite(model.vertices).all()
        assert len(model.keypoints) >= 4
        points = np.stack(list(model.keypoints.values()))
        assert np.linalg.norm(points[:, None] - model.vertices[None], axis=2).min(1).max() < 1e-9
        assert (
            np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(len(points), 1)].min()
            > 0.005
        )


@families
def test_panels_do_not_overlap(family: Family) -> None:
    taken = np.zeros((100, 100), int)
    for name, (left, top, right, bottom) in family.panels().items():
        assert 0 <= left < right <= 1, name
        assert 0 <= top < bottom <= 1, name
        taken[round(top * 100) : round(bottom * 100), round(left * 100) : round(right * 100)] += 1
    assert taken.max() == 1


def test_convention_rows_go_down_and_columns_right_seen_from_outside() -> None:
    """The rule that keeps prints from being mirrored, on every way to make a grid."""
    straight = np.array([[0, 0, 0.1], [0, 0, 0.05], [0, 0, 0.0]])
    grids = {
        "revolve": revolve([(0.03, 0.1), (0.03, 0.0)], 32),
        "tube": tube(straight, 0.03, 32, (1, 0, 0)),
        "ellipsoid": ellipsoid((0, 0, 0.05), (0.03, 0.03, 0.05), 8, 32),
    }
    for name, grid in grids.items():
        middle = grid.shape[1] // 2
        at = grid[grid.shape[0] // 2, middle]
        right, down = grid[grid.shape[0] // 2, middle + 1] - at, grid[-1, middle] - grid[0, middle]
        assert at[1] == pytest.approx(-0.03), name
        assert right[0] > 0, name
        assert down[2] < 0, name
    flat = plate((0, 0, 1), (1, 0, 0), (0, 0, -1), 2, 2)
    np.testing.assert_allclose(flat[0, 2] - flat[0, 0], (1, 0, 0))
    np.testing.assert_allclose(flat[2, 0] - flat[0, 0], (0, 0, -1))


def test_smooth_passes_through_its_ends_evenly() -> None:
    curve = smooth([(0, 0), (1, 1), (2, 0)], 21)
    np.testing.assert_allclose(curve[[0, -1]], [(0, 0), (2, 0)], atol=1e-9)
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.1


def test_unknown_family_lists_the_valid_ones() -> None:
    with pytest.raises(DataError, match=r"'teapot'.*cap, shoe, mug, bottle, box, drill, plug, socket, toy"):
        find_family("teapot")
