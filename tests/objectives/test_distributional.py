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


@pytest.fixture
def others(scene, generator):
    """Up to two other right answers of each point."""
    uv = torch.rand(2, 6, 2, 2, generator=generator, dtype=torch.float64) * torch.tensor([44.0, 32.0]) + 1
    uv[torch.rand(2, 6, 2, generator=generator) < 0.4] = torch.nan
    uv[0, 0, 0] = scene[2][0, 0] + 3.0  # two windows that share cells
    return uv


def test_divergence_from_a_mixture_equals_the_explicit_kl_in_value_and_gradient(scene, others):
    target, queries, uv = scene
    valid = torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    ours = gaussian_divergence(queries, target, uv, valid, temperature=0.1, sigma=4.0, alternatives=others)[
        "loss"
    ]
    log_p = (queries @ target.values.flatten(2) / 0.1).log_softmax(-1)
    terms = []
    for b, n in valid.nonzero().tolist():
        answers = [uv[b, n], *(o for o in others[b, n] if torch.isfinite(o).all())]
        q = sum((-((grid() - a) ** 2).sum(-1) / (2 * 4.0**2)).softmax(-1) for a in answers) / len(answers)
        terms.append((q * (q.clamp(min=1e-300).log() - log_p[b, n])).sum())
    theirs = torch.stack(terms).mean()
    torch.testing.assert_close(ours, theirs, rtol=3e-3, atol=3e-3)
    for mine, other in zip(
        torch.autograd.grad(ours, (queries, target.values)),
        torch.autograd.grad(theirs, (queries, target.values)),
    ):
        torch.testing.assert_close(mine, other, rtol=0.02, atol=2e-3)


def test_the_nearest_right_answer_counts_for_the_expectation(scene, others):
    target, queries, uv = scene
    valid = torch.ones(2, 6, dtype=torch.bool)
    mean = (queries @ target.values.flatten(2) / 0.1).softmax(-1) @ grid()
    answers = torch.cat((uv[:, :, None], others), 2)
    theirs = ((mean[:, :, None] - answers) / 4).norm(dim=-1).nan_to_num(torch.inf).amin(2).mean()
    ours = expectation_error(queries, target, uv, valid, temperature=0.1, alternatives=others)["loss"]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for grad in torch.autograd.grad(ours, (queries, target.values)):
        assert torch.isfinite(grad).all()


def test_a_map_that_is_the_same_at_all_right_answers_has_less_loss_against_the_set():
    """By construction: two columns of cells are copies of each other, and no training can tell them apart."""
    half = F.normalize(torch.randn(1, 16, 9, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    values = torch.cat((half, half), 3).requires_grad_()
    target = DescriptorMap(values, CELLS, (36, 48), "cosine")
    rows = torch.arange(1, 8)
    uv = torch.stack((torch.full_like(rows, 2), rows), -1)[None] * 4 + 1.5
    queries = half[0, :, 1:8, 2].T[None]
    others = (uv + torch.tensor([24.0, 0.0]))[:, :, None]
    valid = torch.ones(1, 7, dtype=torch.bool)
    kl = [
        gaussian_divergence(queries, target, uv, valid, temperature=0.02, sigma=2.5, alternatives=o)["loss"]
        for o in (others, None)
    ]
    torch.testing.assert_close(kl[1] - kl[0], torch.tensor(2.0).log(), rtol=0.02, atol=0.02)
    wrong = gaussian_divergence(
        queries, target, uv, valid, temperature=0.02, sigma=2.5, alternatives=others + 8
    )["loss"]
    assert wrong > kl[1]
    for loss in kl:
        (grad,) = torch.autograd.grad(loss, values)
        assert torch.isfinite(grad).all()


def test_alternatives_that_are_not_there_change_nothing(scene):
    target, queries, uv = scene
    valid = torch.ones(2, 6, dtype=torch.bool)
    none = torch.full((2, 6, 3, 2), torch.nan, dtype=torch.float64)
    for loss in (
        lambda o: gaussian_divergence(queries, target, uv, valid, temperature=0.1, sigma=4.0, alternatives=o),
        lambda o: expectation_error(queries, target, uv, valid, temperature=0.1, alternatives=o),
    ):
        for given in (none, none[:, :, :0]):
            torch.testing.assert_close(loss(given)["loss"], loss(None)["loss"])


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
