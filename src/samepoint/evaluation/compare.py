"""Several evaluations on the same pairs, side by side, with the difference of each to the first.

Differences are bootstrapped *paired*: every resample draws the same image pairs for both, so what makes a
pair hard for both cancels. An interval of the difference that excludes 0 is evidence even where
the two intervals overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.errors import DataError
from samepoint.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    percentile_interval,
    resample_weights,
    resampled_means,
)
from samepoint.evaluation.tables import COLUMNS, baseline_row, format_table, metric_row, number, value_at


@dataclass(frozen=True)
class Comparison:
    """`rows`: per name the row of its evaluation, and its `difference` to the first: {column: {"mean",
    "interval"}}. `baselines` are those of the first evaluation.
    """

    rows: Mapping[str, Mapping[str, Any]]
    baselines: Mapping[str, Mapping[str, Any]]
    level: float = LEVEL

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"rows": dict(self.rows), "baselines": dict(self.baselines), "level": self.level}

    def table(self) -> str:
        """The rows as text; under each but the first its difference to the first, `*` where 0 is excluded."""
        header = ["", *(heading for heading, _ in COLUMNS)]
        lines = []
        for name, row in self.rows.items():
            lines.append(metric_row(name, row))
            if "difference" in row:
                lines.append(["  difference", *(_difference(row["difference"][h]) for h, _ in COLUMNS)])
        lines += [baseline_row(name, row) for name, row in self.baselines.items()]
        foot = f"*: the {self.level:.0%} interval of the paired difference excludes 0"
        return f"{format_table(header, lines)}\n{foot}"


def compare(
    evaluations: Mapping[str, Mapping[str, Any]],
    generator: torch.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Comparison:
    """Evaluations (JSON content, by the name to show) against the first of them.

    DataError if they were not made on the same pairs.
    """
    if not evaluations:
        raise DataError("nothing to compare", mend="give at least one evaluation")
    (first, reference), *others = evaluations.items()
    made_on = reference["provenance"].get("pairs_sha256")
    for name, other in others:
        if other["provenance"].get("pairs_sha256") != made_on:
            raise DataError(
                f"was not evaluated on the pairs of {first!r}",
                where=name,
                mend="evaluate both on one pairs file",
            )
    weights = resample_weights(len(reference["per_pair"]), generator, resamples)
    rows: dict[str, dict[str, Any]] = {first: _row(reference)}
    for name, other in others:
        rows[name] = {**_row(other), "difference": paired_differences(reference, other, weights, level)}
    return Comparison(rows, dict(reference["baselines"]), level)


def paired_differences(
    reference: Mapping[str, Any],
    other: Mapping[str, Any],
    weights: Float[Tensor, "r p"],
    level: float = LEVEL,
) -> dict[str, dict[str, Any]]:
    """`other` minus `reference` for every column of the table, from their means per pair."""
    found = {}
    for heading, keys in COLUMNS:
        means = [resampled_means(*_sums(row, keys), weights) for row in (reference, other)]
        low, high = percentile_interval(means[1] - means[0], level).tolist()
        difference = value_at(other, keys) - value_at(reference, keys)
        found[heading] = {"mean": difference, "interval": [low, high]}
    return found


def _sums(row: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    counts = torch.tensor([pair["n_points"] for pair in row["per_pair"]], dtype=torch.float64)
    means = torch.tensor([value_at(pair, keys) or 0.0 for pair in row["per_pair"]], dtype=torch.float64)
    return means * counts, counts


def _row(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in evaluation.items() if key not in ("per_pair", "baselines")}


def _difference(entry: Mapping[str, Any]) -> str:
    low, high = entry["interval"]
    return number(entry["mean"], signed=True) + ("*" if low > 0 or high < 0 else " ")
