"""Resampling by pairs."""

import pytest
import torch

from samepoint.evaluation.bootstrap import (
    mean_interval,
    pair_sums,
    percentile_interval,
    resample_weights,
    resampled_means,
)


def test_weights_are_counts_of_drawn_pairs(generator):
    weights = resample_weights(7, generator, 500)
    assert (weights.sum(1) == 7).all()
    assert (weights == weights.round()).all()
    torch.testing.assert_close(weights.mean(0), torch.ones(7, dtype=torch.float64), atol=0.2, rtol=0)


def test_resampled_means_equal_a_loop_over_resamples(generator):
    values, pair = torch.rand(40, generator=generator), torch.randint(6, (40,), generator=generator)
    values[3] = torch.nan
    weights = resample_weights(6, generator, 20)
    fast = resampled_means(*pair_sums(values, pair, 6), weights)
    for r in range(20):
        drawn = [float(x) for p in range(6) for _ in range(int(weights[r, p])) for x in values[pair == p]]
        slow = torch.tensor([x for x in drawn if x == x], dtype=torch.float64).mean()
        torch.testing.assert_close(fast[r], slow, atol=1e-6, rtol=0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says(generator):
    """200 experiments of 40 pairs with correlated points: a 90 % interval covers 90 % of the time."""
    covered = 0
    pair = torch.arange(40).repeat_interleave(5)
    for _ in range(200):
        values = torch.randn(40, generator=generator)[pair] + 0.3 * torch.randn(200, generator=generator)
        low, high = mean_interval(values, pair, 40, generator, resamples=300, level=0.9)
        covered += bool(low <= 0 <= high)
    assert 0.82 <= covered / 200 <= 0.96


def test_points_of_one_pair_are_not_independent(generator):
    """Copies of the same point must not narrow the interval."""
    values = torch.rand(30, generator=generator)
    pair = torch.arange(30)
    one = mean_interval(values, pair, 30, torch.Generator().manual_seed(1))
    many = mean_interval(
        values.repeat_interleave(50), pair.repeat_interleave(50), 30, torch.Generator().manual_seed(1)
    )
    torch.testing.assert_close(one, many)


def test_the_same_seed_gives_the_same_interval():
    values, pair = torch.arange(10.0), torch.arange(10)
    first, second = (mean_interval(values, pair, 10, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def test_empty_and_single():
    generator = torch.Generator().manual_seed(0)
    assert mean_interval(torch.zeros(0), torch.zeros(0, dtype=torch.long), 0, generator).isnan().all()
    assert mean_interval(torch.zeros(0), torch.zeros(0, dtype=torch.long), 3, generator).isnan().all()
    one = mean_interval(torch.tensor([2.0]), torch.tensor([0]), 1, generator)
    assert one.tolist() == [2.0, 2.0]


def test_percentiles_are_central():
    means = torch.linspace(0, 1, 1001, dtype=torch.float64)
    low, high = percentile_interval(means, 0.9).tolist()
    assert (low, high) == (pytest.approx(0.05), pytest.approx(0.95))
