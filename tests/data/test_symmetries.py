"""The algebra of declared symmetries."""

from __future__ import annotations

import math

import pytest
import torch
from tests.data.symmetric import CYLINDER, PRISM, UP, surface_distance, turn

from samepoint.data.recording import Symmetry
from samepoint.data.symmetries import MOST, symmetry_motions, turns_about, turns_for
from samepoint.errors import DataError
from samepoint.geometry.meshes import Mesh, closest_points
from samepoint.geometry.motions import invert, transform


def contains(motions, motion):
    return bool(((motions - motion).abs().amax((-2, -1)) < 1e-5).any())


def test_no_symmetry_is_the_identity_alone():
    assert torch.equal(symmetry_motions(Symmetry()), torch.eye(4)[None])


@pytest.mark.parametrize("symmetry", [PRISM.symmetry, CYLINDER.symmetry])
def test_the_motions_are_a_group(symmetry):
    motions = symmetry_motions(symmetry, turns=12)
    assert torch.equal(motions[0], torch.eye(4))
    assert len(motions) == (4 if symmetry is PRISM.symmetry else 24)
    for a in motions:
        assert contains(motions, invert(a))
        for b in motions:
            assert contains(motions, a @ b)
    rotations = motions[:, :3, :3].flatten(1)
    assert (torch.cdist(rotations, rotations) + 9 * torch.eye(len(motions))).min() > 0.1  # each once


@pytest.mark.parametrize("listed", [(1,), (3,), (1, 2), (3, 2, 1)])
def test_what_follows_from_the_declared_motions_is_added(listed):
    whole = symmetry_motions(PRISM.symmetry)
    some = symmetry_motions(Symmetry(tuple(PRISM.symmetry.discrete[k - 1] for k in listed)))
    assert len(some) == len(whole) == 4
    assert all(contains(whole, motion) for motion in some)


def test_the_turns_of_a_cube_have_twenty_four_products():
    quarter = (turn((0, 0, 1), math.pi / 2), turn((1, 0, 0), math.pi / 2))
    assert len(symmetry_motions(Symmetry(quarter))) == 24


@pytest.mark.parametrize("solid", [PRISM, CYLINDER])
def test_every_motion_maps_the_mesh_to_itself(solid, generator):
    vertices, faces = solid.mesh(segments=24)
    mesh = Mesh(vertices, faces)
    corners = vertices[faces[torch.randint(len(faces), (100,), generator=generator)]]
    weights = torch.rand(100, 3, generator=generator)
    points = (corners * (weights / weights.sum(1, keepdim=True))[..., None]).sum(1)
    assert surface_distance(solid, vertices).max() < 1e-6
    for motion in symmetry_motions(solid.symmetry, turns=24):
        moved = transform(motion, points)
        assert closest_points(mesh, moved).distance.max() < 1e-6
        # and a motion that is none does not
    assert closest_points(mesh, transform(turn((0, 1, 0), 0.5), points)).distance.max() > 1e-3


def test_an_axis_keeps_its_points_and_turns_the_others_round_it(generator):
    axis, offset = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([0.3, -0.2, 0.1])
    motions = turns_about(axis, offset, 24)
    on_axis = offset + torch.linspace(-1, 1, 5)[:, None] * axis
    torch.testing.assert_close(transform(motions, on_axis), on_axis.expand(24, 5, 3), rtol=0, atol=1e-5)
    point = torch.randn(1, 3, generator=generator)
    circle = transform(motions, point)[:, 0]
    unit = axis / axis.norm()
    along = (circle - offset) @ unit
    radius = (circle - offset - along[:, None] * unit).norm(dim=-1)
    torch.testing.assert_close(along, along[:1].expand(24))
    torch.testing.assert_close(radius, radius[:1].expand(24))
    step = (circle - circle.roll(-1, 0)).norm(dim=-1)
    torch.testing.assert_close(step, (2 * radius * math.sin(math.pi / 24)))


def test_a_turn_that_the_axis_makes_anyway_adds_nothing():
    quarter = turn((0, 0, 1), math.pi / 2)
    assert len(symmetry_motions(Symmetry((quarter,), ((UP, torch.zeros(3)),)), turns=36)) == 36


def test_two_axes_make_a_ball_and_stay_few():
    """Every direction is near one to which the pole is brought."""
    zero = torch.zeros(3)
    motions = symmetry_motions(Symmetry((), ((torch.tensor([1.0, 0, 0]), zero), (UP, zero))), turns=360)
    assert len(motions) <= MOST
    wanted = torch.nn.functional.normalize(torch.randn(200, 3), dim=1)
    assert torch.cdist(wanted, motions[:, :3, 2]).min(1).values.max() < 0.2


@pytest.mark.parametrize("diameter", [5.0, 60.0, 150.0])
def test_neighbouring_copies_are_no_further_apart_than_asked(diameter):
    turns = turns_for(diameter, 6.0)
    assert diameter * math.sin(math.pi / turns) <= 6.0
    assert turns % 12 == 0


def test_the_number_of_turns_has_limits():
    assert turns_for(0.1, 6.0) == 12
    assert turns_for(1e6, 6.0) == turns_for(math.inf, 6.0) == 360


def test_an_axis_without_direction_is_refused():
    with pytest.raises(DataError, match="give symmetries_continuous a direction"):
        symmetry_motions(Symmetry((), ((torch.zeros(3), torch.zeros(3)),)))


@pytest.mark.parametrize("angles", [(1.0,), (math.sqrt(2), 1.0)])
def test_motions_that_never_come_back_are_refused(angles):
    axes = ((0, 0, 1), (1, 0, 0))
    with pytest.raises(DataError, match="bring the object back to itself"):
        symmetry_motions(Symmetry(tuple(turn(axis, angle) for axis, angle in zip(axes, angles))))


def test_no_spacing_is_refused():
    with pytest.raises(DataError, match="pixels above 0"):
        turns_for(10.0, 0.0)
