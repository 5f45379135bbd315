"""`samepoint evaluate` and `samepoint compare`: runs scored on pairs files, beside their baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from samepoint.data.links import crosses
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.pairs import PairsFile, read_pairs
from samepoint.data.recording import Dataset
from samepoint.errors import DataError
from samepoint.evaluation.compare import Comparison, compare
from samepoint.evaluation.evaluate import Evaluation, EvaluationSettings, default_baselines, evaluate
from samepoint.evaluation.network_predictor import NetworkPredictor
from samepoint.evaluation.predictions import Predictions, read_predictions
from samepoint.inference.loading import choose_device
from samepoint.models.weights import load_network

Report = Callable[[str, int, int], None]
"""(what is being asked, pairs done, pairs in all)."""


@dataclass(frozen=True)
class PairsWanted:
    """Which pairs to make of a data set that comes without a pairs file."""

    number: int = 100
    cross_scene: bool | None = None
    seed: int = 0


def pairs_of(pairs: Path | None, data: Path | None, wanted: PairsWanted | None = None) -> PairsFile:
    """The pairs file, or pairs made from the data set's test split (else validation, else all of it).

    `cross_scene` None: across recordings where they share objects with poses, else within them. A data folder with
    its own `pairs.json` is evaluated on that. Raises DataError if neither or both are given.
    """
    if (pairs is None) == (data is None):
        raise DataError("give either --pairs FILE or --data PATH")
    if pairs is not None:
        return read_pairs(pairs)
    assert data is not None
    if data.is_dir() and (data / "pairs.json").is_file():
        return read_pairs(data / "pairs.json")
    wanted = wanted or PairsWanted()
    dataset = held_out(open_dataset(data))
    crossing = wanted.cross_scene
    if crossing is None:
        crossing = crosses(dataset)
    made = make_pairs(dataset, number=wanted.number, cross_scene=crossing, seed=wanted.seed)
    return PairsFile(dataset.root, tuple(made))


def held_out(dataset: Dataset) -> Dataset:
    """The test split, else validation, else all of it."""
    for name in ("test", "validation"):
        split = tuple(r for r in dataset.recordings if r.split == name)
        if split:
            return replace(dataset, recordings=split)
    return dataset


def evaluate_run(
    run: Path,
    file: PairsFile,
    *,
    predictions: Path | None = None,
    baselines: bool = True,
    device: str = "auto",
    weights: Mapping[str, Path] | None = None,
    settings: EvaluationSettings | None = None,
    progress: Report | None = None,
) -> Evaluation:
    """The run's network on the pairs; beside it chance, SIFT, the untrained network, what it started from, and frozen
    backbones.

    `predictions`: another program's answers are scored in place of the network's. `weights`: files of frozen
    backbones by name. `device` as in `inference.load`. Raises RunError or DataError with one line.
    """
    torch.set_flush_denormal(True)  # untrained networks produce subnormal numbers, which are slow on a CPU
    target = choose_device(device)
    network, config = load_network(run, target)
    settings = replace(settings or EvaluationSettings(), progress=progress)
    trained: NetworkPredictor | Predictions = NetworkPredictor(
        network, name=Path(run).name, max_size=config.get("max_size", 320), device=target
    )
    if predictions is not None:
        trained = read_predictions(predictions, file)
    others = default_baselines(config, device=target, weights=weights) if baselines else {}
    provenance = {"run": Path(run).name, "method": config.get("method")}
    return evaluate(trained, file, others, settings, provenance)


def score_predictions(predictions: Path, file: PairsFile, settings: EvaluationSettings) -> Evaluation:
    """Answers of any program to the pairs, without a run: `samepoint evaluate --predictions FILE`."""
    return evaluate(read_predictions(predictions, file), file, {}, settings)


def compare_runs(
    runs: Sequence[Path],
    file: PairsFile,
    *,
    device: str = "auto",
    seed: int = 0,
    progress: Report | None = None,
) -> Comparison:
    """Runs on the same pairs, with paired differences to the first; baselines are evaluated once."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, run in zip(shown_names(runs), runs, strict=True):
        first = not found
        found[name] = evaluate_run(run, file, baselines=first, device=device, progress=progress).to_json()
    return compare(found, torch.Generator().manual_seed(seed))


def shown_names(runs: Sequence[Path]) -> list[str]:
    """The folders' names, or their paths where two have one name."""
    return [run.name if [r.name for r in runs].count(run.name) == 1 else str(run) for run in runs]
