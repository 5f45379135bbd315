"""Sets of right answers against loops over them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from samepoint.correspondence.answers import (
    distance_to_answers,
    mixture_window,
    near_answers,
    nearest_answer,
    positive_descriptors,
    right_answers,
    widened,
)
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.targets import gaussian_window
from samepoint.types import CellMap, DescriptorMap

CELLS = CellMap((4.0, 4.0), (1.5, 1.5))


@pytest.fixture
def scene(generator):
    """A map, points, and up to three alternatives each, known ones not always in front."""
    values = F.normalize(torch.randn(2, 6, 9, 12, generator=generator), dim=1)
    limit = torch.tensor([46.0, 34.0])
    uv = torch.rand(2, 5, 2, generator=generator) * limit
    others = torch.rand(2, 5, 3, 2, generator=generator) * limit
    others[torch.rand(2, 5, 3, generator=generator) < 0.5] = math.nan
    others[0, 0], others[1, 1, 0] = math.nan, uv[1, 1] + 1.0  # none at all; one that overlaps
    return DescriptorMap(values, CELLS, (36, 48), "cosine"), uv, others


def sets(uv, others):
    """Every point's answers as a list."""
    for b in range(len(uv)):
        for n in range(uv.shape[1]):
            yield b, n, [uv[b, n], *(o for o in others[b, n] if torch.isfinite(o).all())]


def spread(indices, weights, cells=108):
    return torch.zeros(*weights.shape[:2], cells).scatter_add(2, indices, weights)


def test_the_mixture_is_the_mean_of_the_windows_and_names_each_cell_once(scene):
    target, uv, others = scene
    indices, weights = mixture_window(uv, others, target, 4.0)
    found = spread(indices, weights)
    for b, n, answers in sets(uv, others):
        windows = [spread(*gaussian_window(a.expand(2, 1, 2), target, 4.0))[0, 0] for a in answers]
        torch.testing.assert_close(found[b, n], torch.stack(windows).mean(0))
        named = indices[b, n][weights[b, n] > 0]
        assert len(named) == len(named.unique())
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))


@pytest.mark.parametrize("alternatives", [None, torch.zeros(2, 5, 0, 2), torch.full((2, 5, 2, 2), math.nan)])
def test_without_alternatives_there_is_one_answer(scene, generator, alternatives):
    target, uv, _ = scene
    plain, mixed = gaussian_window(uv, target, 4.0), mixture_window(uv, alternatives, target, 4.0)
    torch.testing.assert_close(spread(*plain), spread(*mixed))
    anchors = torch.randn(2, 5, 6, generator=generator)
    assert torch.equal(
        positive_descriptors(anchors, target, uv, alternatives), sample_descriptors(target, uv)
    )
    found = torch.rand(2, 5, 2, generator=generator) * 40
    assert torch.equal(nearest_answer(found, uv, alternatives), uv)
    places = torch.rand(2, 7, 2, generator=generator) * 40
    torch.testing.assert_close(distance_to_answers(places, uv, alternatives), torch.cdist(uv, places))


def test_nearest_of_a_set(scene, generator):
    target, uv, others = scene
    found = torch.rand(2, 5, 2, generator=generator) * 40
    places = torch.rand(2, 7, 2, generator=generator) * 40
    own_places = torch.rand(2, 5, 8, 2, generator=generator) * 40
    anchors = F.normalize(torch.randn(2, 5, 6, generator=generator), dim=-1)
    nearest = nearest_answer(found, uv, others)
    distance = distance_to_answers(places, uv, others)
    close = near_answers(own_places, others, 9.0)
    positives = positive_descriptors(anchors, target, uv, others)
    for b, n, answers in sets(uv, others):
        assert torch.equal(nearest[b, n], min(answers, key=lambda a: float((a - found[b, n]).norm())))
        for k, place in enumerate(places[b]):
            assert math.isclose(
                float(distance[b, n, k]), min(float((a - place).norm()) for a in answers), abs_tol=1e-3
            )
        for k, place in enumerate(own_places[b, n]):
            assert bool(close[b, n, k]) == any(float((a - place).norm()) <= 9.0 for a in answers[1:])
        at = [sample_descriptors(target, a.expand(2, 1, 2))[b, 0] for a in answers]
        best = min(at, key=lambda d: float((d - anchors[b, n]).norm()))
        torch.testing.assert_close(positives[b, n], best)


def test_the_gradient_goes_to_the_chosen_positive_and_to_nothing_else(scene, generator):
    target, uv, others = scene
    values = target.values.clone().requires_grad_()
    anchors = F.normalize(torch.randn(2, 5, 6, generator=generator), dim=-1).requires_grad_()
    chosen = positive_descriptors(anchors, DescriptorMap(values, CELLS, (36, 48), "cosine"), uv, others)
    chosen.sum().backward()
    assert torch.isfinite(values.grad).all()
    assert values.grad.any()
    assert anchors.grad is None


def test_right_answers_and_widening():
    uv = torch.tensor([[[1.0, 2.0]]])
    others = torch.tensor([[[[3.0, 4.0], [math.nan, math.nan]]]])
    assert right_answers(uv, others)[0, 0, :2].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert right_answers(uv, None).shape == (1, 1, 1, 2)
    narrow, wide = widened([torch.zeros(4, 0, 2), torch.ones(2, 3, 2)])
    assert narrow.shape == (4, 3, 2)
    assert narrow.isnan().all()
    assert torch.equal(wide, torch.ones(2, 3, 2))


def test_nothing_at_all():
    empty = DescriptorMap(torch.zeros(0, 4, 3, 3), CELLS, (12, 12), "cosine")
    indices, weights = mixture_window(torch.zeros(0, 2, 2), torch.zeros(0, 2, 1, 2), empty, 4.0)
    assert indices.shape == weights.shape
    assert weights.numel() == 0
