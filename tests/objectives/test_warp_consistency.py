"""WarpC and PWarpC on our matching core against plain twins."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from samepoint.objectives import probabilistic_warp_composition, warp_composition
from samepoint.types import CellMap, DescriptorMap

CELLS = CellMap((4.0, 4.0), (1.5, 1.5))


def random_map(generator, dtype=torch.float64):
    values = torch.randn(2, 8, 9, 12, generator=generator, dtype=torch.float64)
    return DescriptorMap(F.normalize(values, dim=1).to(dtype).requires_grad_(), CELLS, (36, 48))


@pytest.fixture
def scene(generator):
    queries = F.normalize(torch.randn(2, 10, 8, generator=generator, dtype=torch.float64), dim=-1)
    uv_a, uv = (
        torch.rand(2, 10, 2, generator=generator, dtype=torch.float64) * torch.tensor([44.0, 32.0]) + 1
        for _ in range(2)
    )
    valid = torch.ones(2, 10, dtype=torch.bool)
    valid[1, 7:] = False
    return queries.requires_grad_(), random_map(generator), random_map(generator), uv_a, uv, valid


def grid():
    v, u = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    return (torch.stack((u, v), -1).double() * 4 + 1.5).flatten(0, 1)


def test_warpc_equals_two_flows_composed(scene):
    queries, other, copy, uv_a, uv, valid = scene
    generous = (0.0, 1e9)
    ours = warp_composition(queries, other, copy, uv_a, uv, valid, temperature=0.1, alpha=generous)["loss"]
    at = (queries @ other.values.flatten(2) / 0.1).softmax(-1) @ grid()
    where = ((at - 1.5) / 4) / torch.tensor([11.0, 8.0]) * 2 - 1
    read = F.grid_sample(other.values, where[:, :, None], align_corners=True)[..., 0].transpose(1, 2)
    back = (F.normalize(read, dim=-1) @ copy.values.flatten(2) / 0.1).softmax(-1) @ grid()
    theirs = ((back - uv).norm(dim=-1) / 4)[valid].mean()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    for mine, plain in zip(
        torch.autograd.grad(ours, (queries, other.values)),
        torch.autograd.grad(theirs, (queries, other.values)),
    ):
        torch.testing.assert_close(mine, plain, rtol=1e-3, atol=1e-5)


def test_warpc_leaves_out_what_does_not_come_back(scene):
    queries, other, copy, uv_a, uv, valid = scene
    strict = warp_composition(queries, other, copy, uv_a, uv, valid, temperature=0.1, alpha=(0.0, 1e-9))
    assert strict["loss"] == 0
    assert strict["seen"] == 0
    strict["loss"].backward()
    assert not queries.grad.any()


def test_pwarpc_equals_the_product_of_two_matching_matrices(scene):
    queries, other, copy, _, _, valid = scene
    cells = torch.tensor([[0, 5, 17, 30, 44, 58, 71, 83, 95, 107]]).expand(2, -1)
    uv = grid()[cells]
    ours = probabilistic_warp_composition(queries, other, copy, uv, valid, temperature=0.1, quantile=1.0)[
        "loss"
    ]
    to_other = (queries @ other.values.flatten(2) / 0.1).softmax(-1)
    logits = other.values.flatten(2).transpose(1, 2) @ copy.values.flatten(2) / 0.1
    # the target is read between cells, so it is renormalised, here at the cells themselves
    read = F.normalize(copy.values.flatten(2).gather(2, cells[:, None].expand(-1, 8, -1)), dim=1)
    at_target = other.values.flatten(2).transpose(1, 2) @ read / 0.1
    to_target = (at_target - logits.logsumexp(-1, keepdim=True)).exp()
    reached = (to_other.transpose(1, 2) * to_target).sum(1)
    theirs = -reached[valid].log().mean()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    inputs = (queries, other.values, copy.values)
    for mine, plain in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs)):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-6)


def test_pwarpc_keeps_the_most_probable(scene):
    queries, other, copy, _, uv, valid = scene
    every = probabilistic_warp_composition(queries, other, copy, uv, valid, temperature=0.1, quantile=1.0)
    best = probabilistic_warp_composition(queries, other, copy, uv, valid, temperature=0.1, quantile=0.2)
    assert best["loss"] < every["loss"]
    torch.testing.assert_close(best["surprise_of_all"], every["loss"].detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_nothing_valid_gives_zero_in_any_precision(generator, dtype):
    other, copy = random_map(generator, dtype), random_map(generator, dtype)
    queries = F.normalize(torch.randn(2, 10, 8, generator=generator), dim=-1).to(dtype).requires_grad_()
    uv, none = torch.rand(2, 10, 2, generator=generator) * 30, torch.zeros(2, 10, dtype=torch.bool)
    for loss in (
        warp_composition(queries, other, copy, uv, uv, none, temperature=0.1)["loss"],
        probabilistic_warp_composition(queries, other, copy, uv, none, temperature=0.1)["loss"],
    ):
        loss.backward()
        assert loss.item() == 0
    assert not queries.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_maps_give_nearly_the_same(generator, dtype):
    maps = [random_map(generator, torch.float32) for _ in range(2)]
    low = [DescriptorMap(m.values.detach().to(dtype), m.cells, m.image_size) for m in maps]
    queries = F.normalize(torch.randn(2, 10, 8, generator=generator), dim=-1)
    uv, valid = torch.rand(2, 10, 2, generator=generator) * 30 + 1, torch.ones(2, 10, dtype=torch.bool)
    exact = (
        warp_composition(queries, *maps, uv, uv, valid, temperature=0.2, alpha=(0.0, 1e9))["loss"],
        probabilistic_warp_composition(queries, *maps, uv, valid, temperature=0.2, quantile=1.0)["loss"],
    )
    rounded = (
        warp_composition(queries.to(dtype), *low, uv, uv, valid, temperature=0.2, alpha=(0.0, 1e9))["loss"],
        probabilistic_warp_composition(queries.to(dtype), *low, uv, valid, temperature=0.2, quantile=1.0)[
            "loss"
        ],
    )
    for full, half in zip(exact, rounded):
        torch.testing.assert_close(full, half, rtol=0.02, atol=0.02)
