"""A trained predictor and its baselines on one pairs file: the evaluation JSON of docs/methods/evaluation.md.

Two steps: every predictor's answers are exported (and written, if asked), then all are scored alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.decode import image_size
from samepoint.data.pairs import PairsFile
from samepoint.errors import DataError
from samepoint.evaluation.bootstrap import LEVEL, RESAMPLES, resample_weights
from samepoint.evaluation.frozen import frozen_backbones
from samepoint.evaluation.network_predictor import START, start_predictor, untrained_predictor
from samepoint.evaluation.predictions import (
    MaskOf,
    Predictions,
    pairs_sha256,
    predict_pairs,
    write_predictions,
)
from samepoint.evaluation.predictors import (
    ChancePredictor,
    Predictor,
    SamePixelPredictor,
    expected_chance,
    expected_chance_row,
)
from samepoint.evaluation.scoring import described, per_pair, right_answers, score
from samepoint.evaluation.sift import sift_variants
from samepoint.files import read_json, write_json

FORMAT, VERSION = "samepoint-evaluation", 1

Baseline = Predictor | Sequence[Predictor] | str
"""One predictor, several variants of which the best counts, or the reason why there is none."""

CHOSEN_BY = "auc_1_50"
"""The measure by which the best of several variants is chosen (on the test pairs: in its favour)."""


@dataclass(frozen=True)
class EvaluationSettings:
    """`closer`: also rank the true matches over all pixels (slow on large images). `threshold` of the trained
    predictor's confidence for "visible". `predictions`: folder for the exported answers. `seed` of the
    resampling."""

    closer: bool = True
    threshold: float | None = None
    resamples: int = RESAMPLES
    level: float = LEVEL
    seed: int = 0
    predictions: Path | None = None
    mask_of: MaskOf | None = None
    progress: Callable[[str, int, int], None] | None = None


@dataclass(frozen=True)
class Evaluation:
    """`row` of the trained predictor; of each baseline a row, or a text "unavailable: ..."."""

    row: Mapping[str, Any]
    baselines: Mapping[str, Mapping[str, Any] | str]
    per_pair: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values in the form of the evaluation JSON."""
        baselines = {
            name: {"unavailable": row.removeprefix("unavailable: ")} if isinstance(row, str) else dict(row)
            for name, row in self.baselines.items()
        }
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.row,
            "baselines": baselines,
            "per_pair": [dict(row) for row in self.per_pair],
            "provenance": dict(self.provenance),
        }

    def write(self, path: Path) -> None:
        """Writes the JSON, whole or not at all."""
        write_json(Path(path), self.to_json(), indent=1)


def evaluate(
    trained: Predictor | Predictions,
    file: PairsFile,
    baselines: Mapping[str, Baseline | Predictions] | None = None,
    settings: EvaluationSettings | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Scores a predictor, or predictions read from a file, and its baselines on the same pairs.

    DataError for a file without any point to score. All rows share one set of resamples.
    """
    settings = settings or EvaluationSettings()
    if not any(len(pair) and (pair.visible_b is None or pair.visible_b.any()) for pair in file.pairs):
        raise DataError("there are no visible points to evaluate", where=file.root, mend="give other pairs")
    generator = torch.Generator().manual_seed(settings.seed)
    weights = resample_weights(len(file.pairs), generator, settings.resamples)
    answers = _answers(trained, file, settings)
    row = _row(answers, file, weights, settings, settings.threshold)
    rows = {
        name: _baseline(baseline, file, weights, settings) for name, baseline in (baselines or {}).items()
    }
    origin = {
        "pairs_sha256": pairs_sha256(file),
        "samepoint": version("samepoint"),
        "torch": torch.__version__,
        "seed": settings.seed,
        **(provenance or {}),
    }
    return Evaluation(row, rows, per_pair(score(answers, file), file), origin)


def default_baselines(
    config: Mapping[str, Any] | None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    weights: Mapping[str, str | Path] | None = None,
) -> dict[str, Baseline]:
    """Chance, the same pixel, SIFT, the untrained network of a run's config.json, what the run started from (where
    that was trained itself), frozen backbones.

    `weights`: files of frozen backbones by their name in the table (`frozen.FROZEN`).
    """
    rows: dict[str, Baseline] = {
        "chance": ChancePredictor(torch.Generator().manual_seed(seed)),
        "same_pixel": SamePixelPredictor(),
        "sift": sift_variants(),
    }
    if config is not None:
        rows["untrained"] = untrained_predictor(config, torch.Generator().manual_seed(seed), device)
        start = start_predictor(config, device)
        if start is not None:
            rows[START] = start
    return {**rows, **frozen_backbones(weights=weights, device=device)}


def read_evaluation(path: Path) -> dict[str, Any]:
    """An evaluation that `Evaluation.write` wrote. DataError for anything else."""
    content = read_json(Path(path))
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise DataError(
            "is not an evaluation of this version", where=path, mend="write it with samepoint evaluate --json"
        )
    return content


def _answers(
    predictor: Predictor | Predictions, file: PairsFile, settings: EvaluationSettings
) -> Predictions:
    if isinstance(predictor, Predictions):
        return predictor
    report = settings.progress
    answers = predict_pairs(
        predictor,
        file,
        closer=settings.closer,
        mask_of=settings.mask_of,
        progress=None if report is None else lambda done, all: report(predictor.name, done, all),
    )
    if settings.predictions is not None:
        write_predictions(settings.predictions / f"{predictor.name.replace(' ', '_')}.json", answers)
    return answers


def _row(
    answers: Predictions,
    file: PairsFile,
    weights: Float[Tensor, "r p"],
    settings: EvaluationSettings,
    threshold: float | None = None,
) -> dict[str, Any]:
    points = score(answers, file)
    row = described(points, len(file.pairs), weights, level=settings.level, threshold=threshold)
    return {"predictor": answers.predictor, "config": dict(answers.config), **row}


def _baseline(
    baseline: Baseline | Predictions,
    file: PairsFile,
    weights: Float[Tensor, "r p"],
    settings: EvaluationSettings,
) -> dict[str, Any] | str:
    if isinstance(baseline, str):
        return baseline
    if not isinstance(baseline, Sequence):
        row = _row(_answers(baseline, file, settings), file, weights, settings)
        return row | {"expected": _expected(file)} if isinstance(baseline, ChancePredictor) else row
    rows = [_row(_answers(variant, file, settings), file, weights, settings) for variant in baseline]
    best = max(rows, key=lambda row: row[CHOSEN_BY])
    tried = {row["predictor"]: {"pck": row["pck"], CHOSEN_BY: row[CHOSEN_BY]} for row in rows}
    return {**best, "variants": tried, "chosen_by": CHOSEN_BY}


def _expected(file: PairsFile) -> dict[str, object]:
    """What a random pixel scores on average on the visible points, exactly."""
    parts = []
    for pair in file.pairs:
        answers = right_answers(pair)
        seen = answers if pair.visible_b is None else answers[pair.visible_b]
        parts.append(expected_chance(seen, image_size(pair.image_b)))
    return expected_chance_row({name: torch.cat([part[name] for part in parts]) for name in parts[0]})
