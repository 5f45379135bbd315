"""Predictions against truth: one table of points, and its summaries for the evaluation JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.data.decode import image_size
from samepoint.data.pairs import Pair, PairsFile
from samepoint.evaluation.bootstrap import pair_sums, percentile_interval, resampled_means
from samepoint.evaluation.metrics import (
    Scores,
    finite_mean,
    joined,
    nested,
    pixel_errors,
    point_scores,
    summary,
)
from samepoint.evaluation.predictions import PairPrediction, Predictions
from samepoint.evaluation.visibility import visibility_scores
from samepoint.geometry.pixels import in_frame

CLOSER_LEVELS = (0.001, 0.01, 0.05, 0.1, 0.5)
"""Where the distribution of the closer fraction is read off."""


@dataclass(frozen=True)
class ScoredPoints:
    """Every point of a pairs file, scored. `pair` is its pair's index.

    `counted` points are visible in B and make up PCK; `hidden` are not visible although they lie within the
    frame and their place is known. `region` and `object` are None where the file says nothing.
    """

    scores: Scores
    pair: Int[Tensor, " n"]
    visible: Bool[Tensor, " n"]
    hidden: Bool[Tensor, " n"]
    region: tuple[str | None, ...]
    object: tuple[str | None, ...]
    confidence: Float[Tensor, " n"] | None = None
    closer: Float[Tensor, " n"] | None = None

    @property
    def counted(self) -> Bool[Tensor, " n"]:
        return self.visible

    def chosen(self, mask: Bool[Tensor, " n"]) -> dict[str, Float[Tensor, " k"]]:
        """The scores of some points."""
        return {name: values[mask] for name, values in self.scores.items()}


def right_answers(pair: Pair) -> Float[Tensor, "n a 2"]:
    """The truth and its alternatives, padded with NaN to the same number for every point."""
    if pair.alternatives_b is None:
        return pair.uv_b[:, None]
    most = max((len(others) for others in pair.alternatives_b), default=0)
    answers = pair.uv_b.new_full((len(pair), 1 + most, 2), math.nan)
    answers[:, 0] = pair.uv_b
    for i, others in enumerate(pair.alternatives_b):
        answers[i, 1 : 1 + len(others)] = others
    return answers


def score(predictions: Predictions, file: PairsFile) -> ScoredPoints:
    """Scores predictions made for exactly these pairs."""
    parts = [_pair_scores(found, pair) for found, pair in zip(predictions.pairs, file.pairs, strict=True)]
    visible = [_visible(pair) for pair in file.pairs]
    hidden = [
        ~seen & in_frame(pair.uv_b, image_size(pair.image_b))
        for seen, pair in zip(visible, file.pairs, strict=True)
    ]
    index = [torch.full((len(pair),), i, dtype=torch.long) for i, pair in enumerate(file.pairs)]
    return ScoredPoints(
        joined(parts),
        _cat(index, torch.long),
        _cat(visible, torch.bool),
        _cat(hidden, torch.bool),
        tuple(name for pair in file.pairs for name in pair.region or (None,) * len(pair)),
        tuple(
            None if name is None else str(name)
            for pair in file.pairs
            for name in pair.object or (None,) * len(pair)
        ),
        _gathered([found.confidence for found in predictions.pairs], file),
        _gathered([found.closer_fraction for found in predictions.pairs], file),
    )


def described(
    points: ScoredPoints,
    n_pairs: int,
    weights: Float[Tensor, "r p"],
    *,
    level: float = 0.95,
    threshold: float | None = None,
) -> dict[str, object]:
    """One predictor's part of the evaluation JSON. `weights` of `bootstrap.resample_weights`."""
    counted = points.chosen(points.counted)
    row = summary(counted)
    row["n_pairs"] = n_pairs
    row["intervals"] = {
        "level": level,
        "resamples": len(weights),
        "unit": "pair",
        **intervals(counted, points.pair[points.counted], weights, level),
    }
    row["regions"] = _groups(points, points.region)
    if points.hidden.any():
        row["regions"] = {**_groups(points, points.region), "occluded": summary(points.chosen(points.hidden))}
    row["objects"] = _groups(points, points.object)
    row["visibility"] = _visibility(points, threshold)
    row["closer_fraction"] = None if points.closer is None else closer_row(points.closer[points.counted])
    return row


def intervals(
    scores: Scores, pair: Int[Tensor, " n"], weights: Float[Tensor, "r p"], level: float
) -> dict[str, object]:
    """[low, high] of every mean in `scores`, nested like `summary`."""
    flat: dict[str, object] = {}
    for name, values in scores.items():
        ends = percentile_interval(
            resampled_means(*pair_sums(values, pair, weights.shape[1]), weights), level
        )
        flat[name] = ends.tolist() if ends.isfinite().all() else None
    return nested(flat)


def per_pair(points: ScoredPoints, file: PairsFile) -> list[dict[str, object]]:
    """The means of every pair, by its image names."""
    rows = []
    for i, pair in enumerate(file.pairs):
        scores = points.chosen(points.counted & (points.pair == i))
        rows.append({"image_a": pair.image_a.name, "image_b": pair.image_b.name, **summary(scores)})
    return rows


def closer_row(fractions: Float[Tensor, " n"]) -> dict[str, object]:
    """Mean and median of the closer fraction, and `cdf`: the share of points at or below each level."""
    known = fractions[~fractions.isnan()]
    at = {f"{x:g}": float((known <= x).double().mean()) if len(known) else None for x in CLOSER_LEVELS}
    median = float(known.quantile(0.5)) if len(known) else None
    return {"mean": finite_mean(fractions), "median": median, "cdf": at, "n_points": len(known)}


def _pair_scores(found: PairPrediction, pair: Pair) -> dict[str, Float[Tensor, " n"]]:
    height, width = image_size(pair.image_b)
    errors = pixel_errors(found.uv_b, right_answers(pair))
    return point_scores(errors, math.hypot(height, width), pair.depth_b, pair.intrinsics_b)


def _visible(pair: Pair) -> Bool[Tensor, " n"]:
    return torch.ones(len(pair), dtype=torch.bool) if pair.visible_b is None else pair.visible_b


def _groups(points: ScoredPoints, names: Sequence[str | None]) -> Mapping[str, object]:
    groups = sorted({name for name in names if name is not None})
    masks = {group: torch.tensor([name == group for name in names]) & points.counted for group in groups}
    return {group: summary(points.chosen(mask)) for group, mask in masks.items()}


def _visibility(points: ScoredPoints, threshold: float | None) -> dict[str, float | int | None] | None:
    """None unless there are hidden points and the predictor has a confidence."""
    if points.confidence is None or bool(points.visible.all()):
        return None
    said = ~points.confidence.isnan()
    return visibility_scores(points.confidence[said], points.visible[said], threshold)


def _gathered(parts: Sequence[Float[Tensor, " _"] | None], file: PairsFile) -> Float[Tensor, " n"] | None:
    if all(part is None for part in parts):
        return None
    return torch.cat(
        [
            torch.full((len(pair),), math.nan) if part is None else part.float()
            for part, pair in zip(parts, file.pairs, strict=True)
        ]
    )


def _cat(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    return torch.cat(list(parts)) if parts else torch.zeros(0, dtype=dtype)
