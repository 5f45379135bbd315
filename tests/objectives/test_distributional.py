"""Distributional losses against explicit softmaxes, and what they must be at the truth."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from samepoint.objectives import expectation_error, gaussian_divergence
from samepoint.types import CellMap, DescriptorMap

CELLS = CellMap((4.0, 4.0), (1.5, 1.5))


@pytest.fixture
def scene(generator):
    values = torch.randn(2, 8, 9, 12, generator=generator, dtype=torch.float64)
    values = F.normalize(values, dim=1).requires_grad_()
    queries = F.normalize(torch.randn(2, 6, 8, generator=generator, dtype=torch.float64), dim=-1)
    uv = torch.rand(2, 6, 2, generator=generator, dtype=torch.float64) * torch.tensor([44.0, 32.0]) + 1
    return DescriptorMap(values, CELLS, (36, 48), "cosine"), queries.requires_grad_(), uv


def grid():
    v, u = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    return (torch.stack((u, v), -1).double() * 4 + 1.5).flatten(0, 1)


def explicit_kl(queries, target, uv, valid, temperature, sigma):
    keys = target.values.flatten(2)
    log_p = (queries @ keys / temperature).log_softmax(-1)
    q = (-((grid()[None, None] - uv[:, :, None]) ** 2).sum(-1) / (2 * sigma**2)).softmax(-1)
    kl = (q * (q.clamp(min=1e-300).log() - log_p)).sum(-1)
    return kl[valid].mean()


def test_divergence_equals_the_explicit_kl_in_value_and_gradient(scene):
    target, queries, uv = scene
    valid = torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    ours = gaussian_divergence(queries, target, uv, valid, temperature=0.1, sigma=4.0)["loss"]
    theirs = explicit_kl(queries, target, uv, valid, 0.1, 4.0)
    torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3)  # the window ends at three sigma
    for mine, other in zip(
        torch.autograd.grad(ours, (queries, target.values)),
        torch.autograd.grad(theirs, (queries, target.values)),
    ):
        torch.testing.assert_close(mine, other, rtol=0.02, atol=2e-3)


def test_negatives_only_raise_the_divergence(scene, generator):
    target, queries, uv = scene
    valid = torch.ones(2, 6, dtype=torch.bool)
    extra = F.normalize(torch.randn(20, 8, generator=generator, dtype=torch.float64), dim=-1)
    plain = gaussian_divergence(queries, target, uv, valid, temperature=0.1, sigma=4.0)["loss"]
    more = gaussian_divergence(queries, target, uv, valid, temperature=0.1, sigma=4.0, negatives=extra)[
        "loss"
    ]
    assert more > plain


def test_expectation_equals_the_explicit_mean(scene):
    target, queries, uv = scene
    valid = torch.ones(2, 6, dtype=torch.bool)
    p = (queries @ target.values.flatten(2) / 0.1).softmax(-1)
    theirs = ((p @ grid() - uv) / 4).norm(dim=-1).mean()
    ours = expectation_error(queries, target, uv, valid, temperature=0.1)["loss"]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_perfect_map_has_a_small_loss_and_a_wrong_truth_a_large_one():
    # one-hot descriptors: every cell is its own class
    values = torch.eye(108).reshape(1, 108, 9, 12)
    target = DescriptorMap(values, CELLS, (36, 48), "cosine")
    uv = torch.tensor([[[1.5 + 4 * 5, 1.5 + 4 * 3]]])
    queries = values[0, :, 3, 5][None, None]
    valid = torch.ones(1, 1, dtype=torch.bool)
    right = expectation_error(queries, target, uv, valid, temperature=0.02)["loss"]
    wrong = expectation_error(queries, target, uv + 16, valid, temperature=0.02)["loss"]
    assert right < 0.01 < 5 < wrong


@pytest.mark.parametrize("objective", ["kl", "expectation"])
def test_no_valid_row_gives_zero_and_still_back_propagates(scene, objective):
    target, queries, uv = scene
    none = torch.zeros(2, 6, dtype=torch.bool)
    if objective == "kl":
        loss = gaussian_divergence(queries, target, uv, none, temperature=0.1, sigma=4.0)["loss"]
    else:
        loss = expectation_error(queries, target, uv, none, temperature=0.1)["loss"]
    loss.backward()
    assert loss.item() == 0
    assert not queries.grad.any()
