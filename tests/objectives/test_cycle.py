"""The Cycle-Correspondence Loss against the paper's equations written out, and what it must be on known maps."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from samepoint.objectives import CycleWeights, cycle_correspondence
from samepoint.objectives.cycle import most_certain
from samepoint.types import CellMap, DescriptorMap

CELLS = CellMap((4.0, 4.0), (1.5, 1.5))
SIZE = (36, 48)


def random_map(generator, dtype=torch.float64, metric="cosine"):
    values = torch.randn(2, 8, 9, 12, generator=generator, dtype=torch.float64)
    values = F.normalize(values, dim=1) if metric == "cosine" else values
    return DescriptorMap(values.to(dtype).requires_grad_(), CELLS, SIZE, metric)


@pytest.fixture
def scene(generator):
    other, copy = random_map(generator), random_map(generator)
    queries = F.normalize(torch.randn(2, 10, 8, generator=generator, dtype=torch.float64), dim=-1)
    uv = torch.rand(2, 10, 2, generator=generator, dtype=torch.float64) * torch.tensor([44.0, 32.0]) + 1
    return queries.requires_grad_(), other, copy, uv


def grid():
    v, u = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    return (torch.stack((u, v), -1).double() * 4 + 1.5).flatten(0, 1)


def moments(queries, map, temperature):
    p = (queries @ map.values.flatten(2) / temperature).softmax(-1)
    mean = p @ grid()
    variance = (p[..., None] * (grid()[None, None] - mean[:, :, None]).square()).sum(2)
    return p, mean, variance


def written_out(queries, other, copy, uv, valid, temperature, quantile, by_variance, pixels_per_unit):
    """Eqs. 2 to 4 and 7 to 9, point by point."""
    p, _, spread_b = moments(queries, other, temperature)
    expected = F.normalize(p @ other.values.flatten(2).transpose(1, 2), dim=-1)
    _, found, spread_a = moments(expected, copy, temperature)
    x = ((spread_a + spread_b).sum(-1) / pixels_per_unit**2).detach()
    terms = []
    for image in range(len(queries)):
        rows = [i for i in range(queries.shape[1]) if valid[image, i]]
        rows.sort(key=lambda i: x[image, i].item())
        for i in rows[: math.ceil(round(quantile * len(rows), 6))]:
            weight = 1 / (1 + x[image, i]) if by_variance else 1.0
            terms.append(weight * (found[image, i] - uv[image, i]).norm() / pixels_per_unit)
    return torch.stack(terms).mean()


@pytest.mark.parametrize("quantile", [0.2, 0.35, 1.0])
@pytest.mark.parametrize("by_variance", [True, False])
@pytest.mark.parametrize(("unit", "pixels"), [("cells", 4.0), ("pixels", 1.0), ("width", 48.0)])
def test_equals_the_equations_in_value_and_gradient(scene, quantile, by_variance, unit, pixels):
    queries, other, copy, uv = scene
    valid = torch.ones(2, 10, dtype=torch.bool)
    valid[1, 6:] = False
    weights = CycleWeights(quantile, by_variance, unit)
    ours = cycle_correspondence(queries, other, copy, uv, valid, temperature=0.2, weights=weights)["loss"]
    theirs = written_out(queries, other, copy, uv, valid, 0.2, quantile, by_variance, pixels)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
    inputs = (queries, other.values, copy.values)
    for mine, plain in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs)):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-7)


def one_hot(columns):
    """A map whose cell (0, c) has the descriptor of class `columns[c]`."""
    values = torch.eye(12)[torch.tensor(columns)].T.reshape(1, 12, 1, len(columns))
    return DescriptorMap(values, CELLS, (4, 4 * len(columns)))


def test_a_true_cycle_costs_nothing_and_a_broken_one_does():
    columns = list(range(12))
    copy, other = one_hot(columns), one_hot(columns[::-1])
    queries = torch.eye(12)[None, :4]
    uv = torch.stack((torch.arange(4.0) * 4 + 1.5, torch.full((4,), 1.5)), -1)[None]
    valid = torch.ones(1, 4, dtype=torch.bool)
    right = cycle_correspondence(queries, other, copy, uv, valid, temperature=0.02)["loss"]
    wrong = cycle_correspondence(queries, other, copy, uv + 8, valid, temperature=0.02)["loss"]
    assert right < 0.01
    assert wrong > 2


def test_points_that_are_not_in_the_other_image_are_left_out():
    """B lacks classes 0 and 1: matching them there is flat, so the two certain points are kept."""
    copy, other = one_hot(list(range(12))), one_hot([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3][:10])
    queries = torch.eye(12)[None, :4]
    uv = torch.stack((torch.arange(4.0) * 4 + 1.5, torch.full((4,), 1.5)), -1)[None]
    uv[:, :2] += 20  # were they kept, they would cost
    valid = torch.ones(1, 4, dtype=torch.bool)
    found = cycle_correspondence(
        queries, other, copy, uv, valid, temperature=0.02, weights=CycleWeights(quantile=0.5)
    )
    assert found["loss"] < 0.01


def test_variances_carry_no_gradient(scene):
    """Less certainty must not lower the loss: the gradient is that of the weighted errors with weights held."""
    queries, other, copy, uv = scene
    valid = torch.ones(2, 10, dtype=torch.bool)
    loss = cycle_correspondence(
        queries, other, copy, uv, valid, temperature=0.2, weights=CycleWeights(1.0, True)
    )["loss"]
    ours = torch.autograd.grad(loss, queries)[0]
    p, _, spread_b = moments(queries, other, 0.2)
    expected = F.normalize(p @ other.values.flatten(2).transpose(1, 2), dim=-1)
    _, found, spread_a = moments(expected, copy, 0.2)
    x = (spread_a + spread_b).sum(-1) / 16
    free = ((found - uv).norm(dim=-1) / 4 / (1 + x)).mean()
    assert not torch.allclose(ours, torch.autograd.grad(free, queries)[0], rtol=1e-2, atol=1e-6)


def test_most_certain_keeps_the_share_of_the_valid():
    spread = torch.tensor([[3.0, 1.0, 2.0, 0.5], [1.0, 1.0, 1.0, 1.0]])
    valid = torch.tensor([[True, True, True, False], [False] * 4])
    assert most_certain(spread, valid, 0.35).tolist() == [[False, True, True, False], [False] * 4]
    assert most_certain(spread, valid, 1.0)[0].tolist() == [True, True, True, False]
    with pytest.raises(ValueError, match="quantile is 0"):
        most_certain(spread, valid, 0.0)


def test_nothing_valid_gives_zero_and_still_back_propagates(scene):
    queries, other, copy, uv = scene
    none = torch.zeros(2, 10, dtype=torch.bool)
    loss = cycle_correspondence(queries, other, copy, uv, none, temperature=0.2)["loss"]
    loss.backward()
    assert loss.item() == 0
    assert not queries.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_maps_give_nearly_the_same(generator, dtype):
    full = [random_map(generator, torch.float32) for _ in range(2)]
    half = [DescriptorMap(m.values.detach().to(dtype), m.cells, m.image_size) for m in full]
    queries = F.normalize(torch.randn(2, 10, 8, generator=generator), dim=-1)
    uv = torch.rand(2, 10, 2, generator=generator) * 30 + 1
    valid = torch.ones(2, 10, dtype=torch.bool)
    weights = CycleWeights(quantile=1.0)
    exact, rounded = (
        cycle_correspondence(q, *maps, uv, valid, temperature=0.2, weights=weights)["loss"]
        for q, maps in ((queries, full), (queries.to(dtype), half))
    )
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(exact, rounded, rtol=0.02, atol=0.01)
