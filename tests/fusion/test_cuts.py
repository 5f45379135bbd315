"""Surfaces that a short or a creased cut parts, against cuts that are tried one by one."""

from itertools import product

import numpy as np
import pytest
from tests.fusion.tabletop import Box, frames_of, ring

from samepoint.fusion.cuts import SMALLEST, best_sweep, cheapest_cut, patches
from samepoint.fusion.objects import find_objects, within_box
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.surface_graph import SurfaceGraph
from samepoint.fusion.touching import touching
from samepoint.fusion.volume import Volume, fuse

EDGE = 0.005


def ball(centre, radius, number=12000):
    """Points of a sphere, evenly, and their normals."""
    i = np.arange(number) + 0.5
    height, turn = 1 - 2 * i / number, np.pi * (1 + 5**0.5) * i
    flat = np.sqrt(1 - height**2)
    normals = np.stack((flat * np.cos(turn), flat * np.sin(turn), height), axis=1)
    return np.array(centre) + radius * normals, normals


def union(*balls):
    """The surface of balls that may overlap."""
    points, normals = [], []
    for k, (centre, radius) in enumerate(balls):
        p, n = ball(centre, radius)
        out = np.ones(len(p), dtype=bool)
        for j, (other, size) in enumerate(balls):
            out &= (j == k) | (np.linalg.norm(p - np.array(other), axis=1) >= size)
        points.append(p[out])
        normals.append(n[out])
    return SurfaceGraph(np.concatenate(points), np.concatenate(normals), EDGE)


def test_a_ball_costs_much_and_two_that_touch_little():
    one = cheapest_cut(union(((0, 0, 0), 0.05)))
    assert 0.6 < one < 1.4
    for distance, other in ((0.09, 0.05), (0.098, 0.05), (0.1, 0.05), (0.075, 0.03)):
        assert cheapest_cut(union(((0, 0, 0), 0.05), ((distance, 0, 0), other))) < one / 2


def test_the_cost_does_not_depend_on_the_size():
    costs = [cheapest_cut(union(((0, 0, 0), r), ((1.8 * r, 0, 0), r))) for r in (0.04, 0.06)]
    assert costs[0] == pytest.approx(costs[1], rel=0.25)


def test_pieces_cost_nothing_and_specks_are_no_pieces():
    assert cheapest_cut(union(((0, 0, 0), 0.04), ((0.1, 0, 0), 0.03))) == pytest.approx(0.0, abs=1e-6)
    specks = [((0.0, 0.07 + 0.02 * k, 0.0), 0.003) for k in range(3)]
    assert cheapest_cut(union(((0, 0, 0), 0.05), *specks)) > 0.5


def test_what_is_too_small_is_not_cut():
    points = np.zeros((5, 3)) + 0.001 * np.arange(5)[:, None]
    assert cheapest_cut(SurfaceGraph(points, np.tile([0.0, 0, 1], (5, 1)), EDGE)) == np.inf


def test_the_sweep_finds_the_best_of_all_cuts_of_two_knots_and_never_a_better_one():
    generator = np.random.default_rng(0)
    for joined in (0.05, 0.5, 3.0):
        weights = generator.uniform(0.5, 1.0, (9, 9))
        weights[:5, 5:] *= joined / 5
        weights = np.triu(weights, 1) + np.triu(weights, 1).T
        sizes = generator.uniform(5, 10, 9)
        best = np.inf
        for side in product((False, True), repeat=9):
            side = np.array(side)
            small = min(sizes[side].sum(), sizes[~side].sum())
            if small >= SMALLEST * sizes.sum():
                best = min(best, weights[side][:, ~side].sum() / np.sqrt(small))
        found = best_sweep(weights, sizes)
        assert found >= best - 1e-9
        if joined < 1:
            assert found == pytest.approx(best)


def test_patches_end_at_a_crease():
    """Two walls that meet in a valley: few patches have points of both."""
    line = np.arange(0, 0.1, 0.0025)
    u, v = (grid.ravel() for grid in np.meshgrid(line, line))
    floor, wall = np.stack((u + 0.0025, v, 0 * u), 1), np.stack((0 * u, v, u + 0.0025), 1)
    up, aside = np.tile([0.0, 0, 1], (len(u), 1)), np.tile([1.0, 0, 0], (len(u), 1))
    graph = SurfaceGraph(np.concatenate((floor, wall)), np.concatenate((up, aside)), EDGE)
    patch, is_floor = patches(graph), graph.points[:, 0] > graph.points[:, 2]
    share = np.bincount(patch, is_floor) / np.bincount(patch)
    mixed = (np.minimum(share, 1 - share) * np.bincount(patch)).sum() / len(patch)
    assert mixed < 0.03
    assert len(share) > 20


@pytest.mark.parametrize(
    ("boxes", "number"),
    [
        ((Box((-0.06, -0.04, 0.0), (0.06, 0.05, 0.09)),), 1),
        ((Box((-0.12, -0.02, 0.0), (0.12, 0.02, 0.03)),), 1),  # long
        ((Box((-0.08, -0.04, 0.0), (0.0, 0.04, 0.12)), Box((0.0, 0.0, 0.0), (0.07, 0.07, 0.05))), 2),
        ((Box((-0.08, -0.05, 0.0), (0.0, 0.03, 0.08)), Box((0.0, 0.02, 0.0), (0.08, 0.1, 0.08))), 2),
    ],
)
def test_noisy_scans_of_one_box_and_of_two_that_touch(boxes, number):
    volume = Volume(0.003, box=(-0.3, -0.3, -0.05, 0.3, 0.3, 0.3))
    frames = frames_of(boxes, ring(24), 0.0015)
    surface = within_box(fuse(volume, frames, far=2.0).surface(2.0), volume.box)
    eyes = np.stack([frame.world_from_camera[:3, 3] for frame in frames])
    found = find_objects(surface, eyes, FusionSettings())
    assert found.number == 1
    assert touching(surface, found.labels, found.clear, FusionSettings().gap) == [number]
