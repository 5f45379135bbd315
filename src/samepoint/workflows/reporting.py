"""The report of a run: what was measured and seen, put together for the viewer."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from samepoint.data.pairs import Pair, PairsFile
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.inference.examples import ExampleCounts, ExamplePair, Examples, build_examples
from samepoint.inference.settings import settings_of
from samepoint.models.weights import load_network, read_config
from samepoint.training.log import read_log
from samepoint.viewers.content import Chart, Column, Curve, Interval, ReportContent, ResultRow, Results
from samepoint.viewers.report import write_report

COLUMNS = (
    *(Column(f"pck{k}", f"PCK@{k}", "share", "higher") for k in (3, 5, 10, 25, 50)),
    Column("auc_1_100", "AUC 1–100", "share", "higher"),
    Column("mean_pixel_error", "mean error", "pixels", "lower"),
)


def write_run_report(
    path: Path, run: Path, file: PairsFile, evaluation: Mapping[str, Any], counts: ExampleCounts | None = None
) -> None:
    """The HTML report of a run and its evaluation JSON: curves, table, pictures, successes and failures."""
    config = read_config(run)
    content = ReportContent(
        title=f"{run.name}: {config.get('method', 'descriptors')}",
        summary=summary_of(evaluation),
        results=results_of(evaluation),
        accuracy=(accuracy_chart(evaluation),),
        training=training_charts(run),
        examples=examples_of(run, file.pairs, counts),
        facts={**kept_facts(run), **facts_of(config, evaluation)},
    )
    write_report(path, content)


def summary_of(evaluation: Mapping[str, Any]) -> str:
    """A sentence a newcomer understands."""
    baselines = evaluation["baselines"]
    text = (
        f"On {evaluation['n_pairs']} image pairs with {evaluation['n_points']} known points, the network finds"
        f" {_percent(evaluation['pck']['10'])} of the points to within 10 pixels"
        f" and {_percent(evaluation['pck']['5'])} to within 5"
    )
    others = [
        f"{label} {_percent(baselines[key]['pck']['10'])}"
        for key, label in (
            ("sift", "SIFT"),
            ("untrained", "the untrained network"),
            ("start", "what the training started from"),
            ("chance", "chance"),
        )
        if "pck" in baselines.get(key, {})
    ]
    return text + (f"; to within 10 pixels, {', '.join(others)}." if others else ".")


def results_of(evaluation: Mapping[str, Any]) -> Results:
    rows = [_row(evaluation["predictor"], evaluation, False)]
    rows += [_row(name.replace("_", " "), row, True) for name, row in evaluation["baselines"].items()]
    note = "PCK@k: share of the points found within k pixels of the truth, at the images' own resolution."
    missing = [
        f"{name} is unavailable ({row['unavailable']})"
        for name, row in evaluation["baselines"].items()
        if "unavailable" in row
    ]
    return Results(COLUMNS, tuple(rows), " ".join([note, *(f"{line}." for line in missing)]))


def _row(name: str, row: Mapping[str, Any], baseline: bool) -> ResultRow:
    if "unavailable" in row:
        return ResultRow(f"{name} (unavailable)", {}, baseline)
    bounds = row.get("intervals", {})
    values = {f"pck{k}": _interval(v, bounds.get("pck", {}).get(k)) for k, v in row["pck"].items()}
    for key in ("auc_1_100", "mean_pixel_error"):
        values[key] = _interval(row[key], bounds.get(key))
    if "variants" in row:
        name = f"{name} (best of {len(row['variants'])}: {row['predictor']})"
    return ResultRow(name, values, baseline)


def _interval(value: float, ends: Sequence[float] | None) -> Interval:
    return Interval(value) if ends is None else Interval(value, ends[0], ends[1])


def accuracy_chart(evaluation: Mapping[str, Any]) -> Chart:
    """PCK against the distance, for the run and its baselines."""
    rows = {evaluation["predictor"]: evaluation} | {
        name.replace("_", " "): row for name, row in evaluation["baselines"].items() if "pck" in row
    }
    curves = [
        Curve(
            name,
            tuple(float(k) for k in row["pck"]),
            tuple(row["pck"].values()),
            baseline=row is not evaluation,
        )
        for name, row in rows.items()
    ]
    return Chart("Points found within k pixels", "k (pixels)", "share", tuple(curves), y_range=(0.0, 1.0))


def training_charts(run: Path) -> tuple[Chart, ...]:
    """Loss, learning rate and waiting for data, from the run's log."""
    rows = read_log(run)
    if not rows:
        return ()
    steps = tuple(float(row["step"]) for row in rows)

    def chart(title: str, column: str, axis: str, log: bool = False) -> Chart:
        return Chart(
            title, "step", axis, (Curve(column, steps, tuple(float(row[column]) for row in rows)),), log_y=log
        )

    return (
        chart("Loss", "loss", "loss"),
        chart("Learning rate", "lr", "learning rate"),
        chart("Time spent waiting for data", "data_wait", "share"),
    )


def examples_of(run: Path, pairs: Sequence[Pair], counts: ExampleCounts | None = None) -> Examples:
    """Pictures of the run's network on at most 40 of the pairs, evenly chosen."""
    network, config = load_network(run)
    chosen = pairs[:: max(1, len(pairs) // 40)]
    return build_examples(network, [example_pair(pair) for pair in chosen], settings_of(config, run), counts)


def example_pair(pair: Pair) -> ExamplePair:
    """A pair of a pairs file as the examples take it."""
    visible = None if pair.visible_b is None else pair.visible_b.numpy()
    caption = f"{pair.image_a.parent.parent.name}/{pair.image_a.name} → "
    caption += f"{pair.image_b.parent.parent.name}/{pair.image_b.name}"
    alternatives = None
    if pair.alternatives_b is not None:
        alternatives = tuple(answers.double().numpy() for answers in pair.alternatives_b)
    uv_a, uv_b = pair.uv_a.double().numpy(), pair.uv_b.double().numpy()
    return ExamplePair(pair.image_a, pair.image_b, uv_a, uv_b, visible, caption, alternatives)


def kept_facts(run: Path) -> dict[str, dict[str, str]]:
    """What the training kept and why, with the score of every candidate; nothing for a run without such a choice."""
    try:
        kept = read_json(run / "metrics.json").get("kept")
    except (DataError, AttributeError):
        return {}
    if not kept:
        return {}
    scores = {
        f"{row['name']}, step {row['step']}": "not finite" if row["score"] is None else f"{row['score']:.3f}"
        for row in kept["candidates"]
    }
    return {"what was kept": {"": kept["line"], "measured on": kept["measured_on"], **scores}}


def facts_of(config: Mapping[str, Any], evaluation: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What a reader needs to repeat the run."""
    network, training, data = (config.get(key, {}) for key in ("network", "training", "data"))
    return {
        "method": {"method": str(config.get("method")), "initial weights": str(config.get("init"))},
        "network": {key: str(value) for key, value in network.items() if key != "version"},
        "training": {key: str(value) for key, value in training.items() if value is not None},
        "data": {key: str(value) for key, value in data.items() if key != "path"},
        "evaluation": {key: str(value) for key, value in evaluation["provenance"].items()},
        "machine": {"processor": _processor(), "cores": str(os.cpu_count()), "torch": torch.__version__},
    }


def _processor() -> str:
    return platform.processor() or platform.machine()


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
