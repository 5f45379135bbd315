"""Losses of unlabelled keypoints: zero for a rigid object, alike when views are swapped, equal to the formulae."""

import math

import pytest
import torch

from samepoint.geometry.motions import exp, invert, transform
from samepoint.objectives.keypoints import (
    consistency,
    relative_pose,
    relative_rotation,
    reprojection,
    separation,
    silhouette,
    variance,
)

K = torch.tensor([[[120.0, 0, 31.5], [0, 120, 23.5], [0, 0, 1]]], dtype=torch.float64).expand(4, 3, 3)


@pytest.fixture
def scene(generator):
    """Keypoints in front of camera A, the object's motion, and the same keypoints before camera B."""
    xyz_a = 0.1 * torch.randn(4, 6, 3, generator=generator, dtype=torch.float64) + torch.tensor([0, 0, 0.8])
    twist = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    twist = twist * torch.tensor([0.05, 0.05, 0.05, 0.5, 0.5, 0.5], dtype=torch.float64)
    b_from_a = exp(twist)
    return xyz_a, transform(b_from_a, xyz_a), b_from_a


LOSSES = (
    lambda a, b, t: consistency(a, b, t),
    lambda a, b, t: reprojection(a, b, t, K, K, unit=64.0),
    lambda a, b, t: relative_pose(a, b, t),
    lambda a, b, t: relative_rotation(a, b, t),
)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_rigid_object_costs_nothing_and_a_bent_one_does(scene, loss, generator):
    xyz_a, xyz_b, b_from_a = scene
    assert float(loss(xyz_a, xyz_b, b_from_a)) < 2e-3
    bent = xyz_b + 0.03 * torch.randn(xyz_b.shape, generator=generator, dtype=torch.float64)
    assert float(loss(xyz_a, bent, b_from_a)) > 5e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_swapping_the_views_changes_nothing(scene, loss, generator):
    xyz_a, xyz_b, b_from_a = scene
    xyz_b = xyz_b + 0.02 * torch.randn(xyz_b.shape, generator=generator, dtype=torch.float64)
    there, back = loss(xyz_a, xyz_b, b_from_a), loss(xyz_b, xyz_a, invert(b_from_a))
    torch.testing.assert_close(there, back)


@pytest.mark.parametrize("loss", LOSSES)
def test_descent_brings_the_views_together(scene, loss, generator):
    xyz_a, xyz_b, b_from_a = scene
    moved = (
        xyz_b + 0.03 * torch.randn(xyz_b.shape, generator=generator, dtype=torch.float64)
    ).requires_grad_()
    before = loss(xyz_a, moved, b_from_a)
    (gradient,) = torch.autograd.grad(before, moved)
    assert gradient.isfinite().all()
    after = loss(xyz_a, moved.detach() - 1e-4 * gradient / gradient.norm(), b_from_a)
    assert after < before


def test_pose_loss_is_the_twist_with_metres_scaled():
    """Points that were truly turned by another angle and shifted: the loss is that motion, about their centre."""
    xyz = torch.randn(1, 8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    xyz = xyz - xyz.mean(1, keepdim=True)
    extra = exp(torch.tensor([[0.0, 0.0, 0.03, 0.0, 0.0, 0.2]], dtype=torch.float64))
    truth = exp(torch.tensor([[0.1, 0.0, 0.0, 0.3, 0.0, 0.0]], dtype=torch.float64))
    found = relative_pose(xyz, transform(truth @ extra, xyz), truth, length=0.1)
    assert float(found) == pytest.approx(math.hypot(0.03 / 0.1, 0.2), abs=1e-5)
    turn = relative_rotation(xyz, transform(truth @ extra, xyz), truth)
    assert float(turn) == pytest.approx(0.2, abs=1e-5)


def test_a_mirrored_object_has_no_pose_that_costs_nothing(scene):
    xyz_a, xyz_b, b_from_a = scene
    mirrored = xyz_b * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert float(relative_pose(xyz_a, mirrored, b_from_a)) > 0.3


def test_noise_depends_on_the_generator_alone(scene):
    xyz_a, xyz_b, b_from_a = scene
    first, second, other = (
        relative_pose(xyz_a, xyz_b, b_from_a, noise=0.02, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_separation_against_all_pairs(generator):
    points = torch.rand(2, 5, 2, generator=generator, dtype=torch.float64) * 6
    for squared in (False, True):
        terms = []
        for view in points:
            for i in range(5):
                for j in range(5):
                    distance = (view[i] - view[j]).norm()
                    if i != j:
                        terms.append(max(0.0, 2.0 - float(distance**2 if squared else distance)))
        found = separation(points, 2.0, squared=squared)
        assert float(found) == pytest.approx(sum(terms) / (2 * 5), abs=1e-6)
    assert float(separation(points[:, :1], 2.0)) == 0


def test_separation_pushes_points_apart_that_coincide():
    points = (torch.zeros(1, 2, 3) + torch.tensor([[[0.0], [1e-4]]])).requires_grad_()
    separation(points, 0.05).backward()
    assert (points.grad[0, 0] > 0).all()
    assert (points.grad[0, 1] < 0).all()


def test_silhouette_and_variance():
    assert float(silhouette(torch.ones(2, 3))) == pytest.approx(0, abs=1e-6)
    assert float(silhouette(torch.full((2, 3), 0.5))) == pytest.approx(math.log(2), abs=1e-6)
    assert torch.isfinite(silhouette(torch.zeros(1, 1)))
    assert float(variance(torch.tensor([[4.0, 8.0]]))) == 6
