"""Drawn depths follow the density of their ray; B takes out only what it does not see at all."""

import math

import pytest
import torch

from samepoint.correspondence.density import correspond_by_density, drawn_depth
from samepoint.correspondence.outcomes import OcclusionTest, PosedCamera, correspond_by_depth
from samepoint.types import Outcome

K = torch.tensor([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])
SIZE = (48, 64)


def camera(x):
    pose = torch.eye(4)
    pose[0, 3] = x
    return PosedCamera(K, pose, SIZE)


def layers(*depths):
    """Planes that face the camera, one a layer."""
    return torch.tensor(depths)[:, None, None].expand(-1, *SIZE).clone()


@pytest.fixture
def uv(generator):
    return torch.floor(torch.rand(200, 2, generator=generator) * torch.tensor([64.0, 48.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_each_depth_of_a_ray_is_as_likely_as_the_others(generator, dtype):
    quantiles = torch.rand(10, 6, 7, generator=generator).to(dtype)
    n = 4000
    drawn = drawn_depth(quantiles, torch.tensor([[4.0, 2.0]]).expand(n, 2), generator)
    own = quantiles[:, 2, 4].float()
    counts = (drawn[:, None] == own).sum(0)
    assert counts.sum() == n
    assert (counts / n - 0.1).abs().max() < 4 * math.sqrt(0.1 * 0.9 / n)


def test_unknown_rays_give_nothing(generator):
    quantiles = torch.ones(4, 3, 5)
    quantiles[:, 1, 2], quantiles[:, 2, 2] = torch.nan, 0
    drawn = drawn_depth(quantiles, torch.tensor([[2.0, 1.0], [2.0, 2.0], [1.0, 1.0]]), generator)
    assert torch.isnan(drawn[:2]).all()
    assert drawn[2] == 1


def test_equal_layers_are_a_depth_image(uv, generator):
    a, b = camera(0.0), camera(0.3)
    depth = 1 + uv[:, 0] / 64
    surface = 1.2 + torch.linspace(0, 0.5, 64).expand(*SIZE)
    surface = torch.where(torch.rand(SIZE, generator=generator) < 0.1, torch.nan, surface)
    plain = correspond_by_depth(uv, depth, a, b, surface)
    found = correspond_by_density(uv, depth, a, b, surface.expand(5, *SIZE))
    assert torch.equal(found.outcome, plain.outcome)
    assert torch.equal(found.uv_b.nan_to_num(), plain.uv_b.nan_to_num())
    assert torch.equal(found.depth_b.nan_to_num(), plain.depth_b.nan_to_num())
    assert len(plain.outcome.unique()) >= 3  # the case is not empty


def test_a_point_is_visible_where_any_depth_of_b_agrees(uv, generator):
    """Against the definition, point by point, on planes."""
    planes, test = (0.8, 1.1, 1.5), OcclusionTest(absolute=0.01, relative=0.0)
    depth = 0.7 + torch.rand(len(uv), generator=generator)
    found = correspond_by_density(uv, depth, camera(0.0), camera(0.05), layers(*planes), test)
    inside = found.outcome != Outcome.OUT_OF_FRAME
    for z, outcome in zip(depth[inside].tolist(), found.outcome[inside].tolist(), strict=True):
        agrees = any(abs(z - plane) <= 0.01 for plane in planes)
        assert outcome == (Outcome.VISIBLE if agrees else Outcome.OCCLUDED)
    assert found.visible.any()
    assert (found.outcome == Outcome.OCCLUDED).any()


def test_unknown_depth_is_no_depth_and_outside_is_outside():
    uv = torch.tensor([[10.0, 10.0], [60.0, 10.0], [0.0, 20.0]])
    depth = torch.tensor([math.nan, 1.0, 1.0])
    found = correspond_by_density(uv, depth, camera(0.0), camera(0.1), layers(1.0, 2.0))
    assert found.outcome.tolist() == [Outcome.NO_DEPTH, Outcome.VISIBLE, Outcome.OUT_OF_FRAME]
    unknown = correspond_by_density(uv, depth, camera(0.0), camera(0.1), layers(math.nan, math.nan))
    assert unknown.outcome.tolist() == [Outcome.NO_DEPTH, Outcome.NO_DEPTH, Outcome.OUT_OF_FRAME]
