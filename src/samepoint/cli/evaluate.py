"""`samepoint evaluate` and `samepoint compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from samepoint.errors import RunError
from samepoint.evaluation.evaluate import EvaluationSettings
from samepoint.evaluation.rig_compare import compare_rig
from samepoint.evaluation.rig_tables import rig_table
from samepoint.evaluation.tables import evaluation_table
from samepoint.files import write_json
from samepoint.models.weights import has_heatmaps
from samepoint.workflows.evaluation import (
    PairsWanted,
    compare_runs,
    evaluate_run,
    pairs_of,
    score_predictions,
    shown_names,
)
from samepoint.workflows.reporting import write_run_report
from samepoint.workflows.rig_evaluation import evaluate_rig_run
from samepoint.workflows.rig_reporting import write_rig_run_report


@dataclass(frozen=True)
class Evaluate:
    """Score a run beside chance, SIFT and the untrained network; a run of s3k: in millimetres beside chance.

    `run`: a run folder (may be left out with --predictions). `pairs`: a pairs file, or `data`: a data set to
    make `number` pairs of; for a run of s3k recordings of calibrated cameras (docs/multi-camera.md). `json` and
    `report`: files to write. `predictions`: score these answers (of any program) instead of the run's network.
    `export`: folder for the answers of every predictor. `weights`: NAME=FILE of a frozen backbone's weights.
    `device`: auto, cpu, cuda, cuda:1, mps.
    """

    run_folder: tyro.conf.Positional[Path | None] = None
    pairs: Path | None = None
    data: Path | None = None
    json: Path | None = None
    report: Path | None = None
    predictions: Path | None = None
    export: Path | None = None
    number: int = 100
    seed: int = 0
    device: str = "auto"
    baselines: bool = True
    weights: dict[str, Path] | None = None

    def run(self) -> None:
        if self.run_folder is not None and has_heatmaps(self.run_folder):
            return self._rig(self.run_folder)
        file = pairs_of(self.pairs, self.data, PairsWanted(self.number, seed=self.seed))
        settings = EvaluationSettings(predictions=self.export, seed=self.seed)
        if self.run_folder is None:
            if self.predictions is None:
                raise RunError("nothing to evaluate", mend="give a run folder or --predictions FILE")
            evaluation = score_predictions(self.predictions, file, settings).to_json()
        else:
            evaluation = evaluate_run(
                self.run_folder,
                file,
                predictions=self.predictions,
                baselines=self.baselines,
                device=self.device,
                weights=self.weights,
                settings=settings,
                progress=say_progress,
            ).to_json()
        if self.json is not None:
            write_json(self.json, evaluation, indent=1)
        if self.report is not None:
            if self.run_folder is None:
                raise RunError("a report needs a run folder", where="--report", mend="give the run as well")
            write_run_report(self.report, self.run_folder, file, evaluation)
        print(evaluation_table(evaluation))

    def _rig(self, run: Path) -> None:
        """Of a run with named keypoints, which knows no pairs."""
        given = {
            "--pairs": self.pairs,
            "--predictions": self.predictions,
            "--export": self.export,
            "--weights": self.weights,
            "--number": None if self.number == Evaluate.number else self.number,
            "--seed": None if self.seed == Evaluate.seed else self.seed,
            "--no-baselines": None if self.baselines else False,
        }
        evaluation = evaluate_rig_run(run, rig_data(run, self.data, given), device=self.device)
        if self.json is not None:
            write_json(self.json, evaluation.to_json(), indent=1)
        if self.report is not None:
            write_rig_run_report(self.report, run, evaluation)
        print(rig_table(evaluation.to_json()))


@dataclass(frozen=True)
class Compare:
    """Score several runs on the same pairs, with paired differences to the first; runs of s3k on the same moments.

    `pairs`: a pairs file, or `data`: a data set to make `number` pairs of; for runs of s3k recordings of calibrated
    cameras (docs/multi-camera.md). `json`: file to write. `device`: auto, cpu, cuda, cuda:1, mps.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    pairs: Path | None = None
    data: Path | None = None
    json: Path | None = None
    number: int = 100
    seed: int = 0
    device: str = "auto"

    def run(self) -> None:
        if not self.runs:
            raise RunError("nothing to compare", mend="give run folders")
        named = [run for run in self.runs if has_heatmaps(run)]
        if named:
            return self._rigs(named)
        file = pairs_of(self.pairs, self.data, PairsWanted(self.number, seed=self.seed))
        comparison = compare_runs(self.runs, file, device=self.device, seed=self.seed, progress=say_progress)
        if self.json is not None:
            write_json(self.json, comparison.to_json(), indent=1)
        print(comparison.table())

    def _rigs(self, named: Sequence[Path]) -> None:
        """Of runs with named keypoints alone."""
        other = next((run for run in self.runs if run not in named), None)
        if other is not None:
            line = f"has descriptors, and {named[0]} has named keypoints of its own: nothing measures both"
            raise RunError(
                line, where=other, mend="compare runs of samepoint train s3k with each other alone"
            )
        given = {
            "--pairs": self.pairs,
            "--number": None if self.number == Compare.number else self.number,
            "--seed": None if self.seed == Compare.seed else self.seed,
        }
        data, evaluations = rig_data(named[0], self.data, given), {}
        for name, run in zip(shown_names(named), named, strict=True):
            evaluations[name] = evaluate_rig_run(run, data, device=self.device).to_json()
        comparison = compare_rig(evaluations)
        if self.json is not None:
            write_json(self.json, comparison.to_json(), indent=1)
        print(comparison.table())


def rig_data(run: Path, data: Path | None, given: Mapping[str, object]) -> Path:
    """The data set that a run with named keypoints is asked. RunError without one, and for any of the options `given`
    (None: not given), which mean nothing there."""
    wrong = next((name for name, value in given.items() if value is not None), None)
    if wrong is not None or data is None:
        line = "this run has named keypoints of its own and is scored on recordings of calibrated cameras"
        mend = "give --data DIR (docs/multi-camera.md)" + (f" and no {wrong}" if wrong else "")
        raise RunError(line, where=wrong or run, mend=mend)
    return data


def say_progress(name: str, done: int, pairs: int) -> None:
    if done % max(1, pairs // 4) == 0 or done == pairs:
        print(f"{name}: {done} of {pairs} pairs", flush=True)
