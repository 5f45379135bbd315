"""The published direction-of-pixels figure: its simulated values, a double loop, its blindness."""

import math

import pytest
import torch

from samepoint.errors import DataError
from samepoint.evaluation.coordinate_cosine import coordinate_cosine_auc
from samepoint.evaluation.metrics import auc, pixel_errors


def drawn(generator, share, n=50_000):
    """Pixels drawn evenly over the central share of each side of a 640 x 480 image."""
    size = torch.tensor([640.0, 480.0], dtype=torch.float64)
    return ((1 - share) / 2 + share * torch.rand(n, 2, generator=generator, dtype=torch.float64)) * size


@pytest.mark.parametrize(
    ("share", "perfect", "swapped", "expected"),
    [
        (1.0, False, True, 0.818),
        (1.0, False, False, 0.836),
        (0.4, False, True, 0.935),
        (0.4, False, False, 0.969),
        (0.4, True, True, 0.911),
        (0.4, True, False, 1.000),
    ],
)
def test_convention_the_figure_is_that_of_the_simulation(generator, share, perfect, swapped, expected):
    true = drawn(generator, share)
    predicted = true if perfect else drawn(generator, share)
    assert coordinate_cosine_auc(predicted, true, swapped=swapped) == pytest.approx(expected, abs=0.004)


def test_random_answers_beat_perfect_ones_where_pixels_do_not(generator):
    true, random = drawn(generator, 0.4, 2000), drawn(generator, 0.4, 2000)
    assert coordinate_cosine_auc(random, true) > coordinate_cosine_auc(true, true)
    assert auc(pixel_errors(random, true[:, None]), 1, 100) < 0.4
    assert auc(pixel_errors(true, true[:, None]), 1, 100) == 1


@pytest.mark.parametrize("swapped", [False, True])
def test_equals_a_double_loop(generator, swapped):
    predicted, true = drawn(generator, 1.0, 100), drawn(generator, 1.0, 100)
    hits = 0
    for k in range(1, 101):
        for (u, v), (x, y) in zip(predicted.tolist(), true.tolist()):
            if swapped:
                x, y = y, x
            hits += (u * x + v * y) / (math.hypot(u, v) * math.hypot(x, y)) >= k / 100
    assert coordinate_cosine_auc(predicted, true, swapped=swapped) == pytest.approx(hits / 10_000)


def test_it_sees_directions_only_and_is_symmetric(generator):
    predicted, true = drawn(generator, 1.0, 500), drawn(generator, 1.0, 500)
    value = coordinate_cosine_auc(predicted, true)
    assert coordinate_cosine_auc(0.01 * predicted, true) == pytest.approx(value)
    assert coordinate_cosine_auc(true, predicted) == pytest.approx(value)
    assert coordinate_cosine_auc(predicted, true.flip(-1), swapped=False) == pytest.approx(value)
    diagonal = true[:, :1].expand(-1, 2)
    assert coordinate_cosine_auc(7 * diagonal.float(), diagonal.float()) == 1


def test_no_answer_misses_and_bad_truth_is_refused():
    true = torch.tensor([[10.0, 10.0], [20.0, 20.0]])
    for nothing in (math.nan, 0.0):
        predicted = torch.tensor([[10.0, 10.0], [nothing, nothing]])
        assert coordinate_cosine_auc(predicted, true) == 0.5
    assert math.isnan(coordinate_cosine_auc(true[:0], true[:0]))
    with pytest.raises(DataError, match="not finite"):
        coordinate_cosine_auc(true, true * math.nan)
