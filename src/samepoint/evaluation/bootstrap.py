"""Percentile confidence intervals by resampling image pairs.

Points of one pair share camera, light and object, so they are not independent: whole pairs are drawn with
replacement (cluster bootstrap; Efron and Tibshirani 1993, chapters 8 and 13). The measures are means over
points, that is ratios of sums over pairs, so one matrix product gives all resamples. With few pairs (less
than about 20) percentile intervals are too narrow.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

RESAMPLES = 2000
LEVEL = 0.95


def pair_sums(
    values: Float[Tensor, " n"], pair: Int[Tensor, " n"], n_pairs: int
) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    """Sum and number of the values (NaN left out) of each pair."""
    known = ~values.isnan()
    sums = torch.zeros(n_pairs, dtype=torch.float64, device=values.device)
    counts = torch.zeros_like(sums)
    sums.index_add_(0, pair[known], values[known].double())
    counts.index_add_(0, pair[known], torch.ones_like(values[known], dtype=torch.float64))
    return sums, counts


def resample_weights(
    n_pairs: int, generator: torch.Generator, resamples: int = RESAMPLES
) -> Float[Tensor, "r p"]:
    """How often each pair is drawn in each resample; rows sum to `n_pairs`."""
    drawn = torch.randint(n_pairs, (resamples, n_pairs), generator=generator, device=generator.device)
    weights = torch.zeros(resamples, n_pairs, dtype=torch.float64, device=generator.device)
    return weights.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))


def resampled_means(
    sums: Float[Tensor, " p *m"], counts: Float[Tensor, " p *m"], weights: Float[Tensor, "r p"]
) -> Float[Tensor, " r *m"]:
    """The mean over points in each resample; NaN where a resample holds none."""
    return (weights @ sums.double()) / (weights @ counts.double())


def percentile_interval(means: Float[Tensor, " r *m"], level: float = LEVEL) -> Float[Tensor, " 2 *m"]:
    """Lower and upper end that hold the central `level` of the resamples."""
    ends = means.new_tensor([(1 - level) / 2, (1 + level) / 2])
    return means.nanquantile(ends, dim=0)


def mean_interval(
    values: Float[Tensor, " n"],
    pair: Int[Tensor, " n"],
    n_pairs: int,
    generator: torch.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Float[Tensor, " 2"]:
    """Interval of the mean of `values` over points whose pair is `pair`. NaN if there are no points."""
    if n_pairs == 0:
        return values.new_full((2,), torch.nan)
    weights = resample_weights(n_pairs, generator, resamples)
    return percentile_interval(resampled_means(*pair_sums(values, pair, n_pairs), weights), level).to(values)
