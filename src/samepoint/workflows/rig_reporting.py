"""The report of an s3k run: what was measured and seen, put together for the viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.evaluation.point_errors import PointErrors
from samepoint.evaluation.rig_tables import foot, known_of
from samepoint.files import read_json
from samepoint.models.weights import read_config
from samepoint.training.log import read_log
from samepoint.viewers.content import (
    Chart,
    Column,
    Curve,
    HeatPictures,
    Interval,
    MomentPicture,
    ResultRow,
    Results,
    RigReportContent,
)
from samepoint.viewers.rig_report import write_rig_report
from samepoint.workflows.reporting import facts_of, kept_facts, training_charts
from samepoint.workflows.rig_evaluation import CHANCE, READING, Exam, RigEvaluation
from samepoint.workflows.rig_pictures import heat_pictures, moment_name, moment_picture

WORST, BEST, HEATS = 4, 2, 12
"""Moments shown, and keypoints whose heatmaps are."""
COLUMNS = (
    Column("rms_pixels", "views, rms", "pixels", "lower"),
    Column("median_pixels", "views, median", "pixels", "lower"),
    Column("rms_agreed_pixels", "point, rms", "pixels", "lower"),
    Column("median_agreed_pixels", "point, median", "pixels", "lower"),
    Column("median_mm", "in space, median", "mm", "lower"),
    Column("mm_95", "in space, 95 %", "mm", "lower"),
    Column("found", "found", "share", "higher"),
    Column("visible", "visible", "share", "higher"),
    Column("visible_median_mm", "of the visible, median", "mm", "lower"),
    Column("covered", "covered", "share"),
    Column("stated_mm", "stated deviation", "mm"),
)


def write_rig_run_report(path: Path, run: Path, evaluation: RigEvaluation) -> None:
    """The HTML report of an s3k run and its evaluation: tables, worst and best moments, heatmaps, curves."""
    config, values, exam = read_config(run), evaluation.to_json(), evaluation.exam
    worst, best = shown_moments(exam, evaluation.answers[READING].errors)
    heats, note = shown_heats(exam, evaluation.answers[READING].errors)
    content = RigReportContent(
        title=f"{run.name}: {config.get('method', 's3k')}",
        summary=summary_of(values),
        warnings=(*known_of(exam.trained_on, len(exam.asked)), *warnings_of(run)),
        results=results_of(values),
        by_keypoint=keypoint_results(values),
        names=exam.moments.names,
        worst=worst,
        best=best,
        heats=heats,
        heat_note=note,
        training=curves_of(run),
        facts={**kept_facts(run), **rig_facts(config, values)},
    )
    write_rig_report(path, content)


def shown_moments(
    exam: Exam, errors: PointErrors
) -> tuple[tuple[MomentPicture, ...], tuple[MomentPicture, ...]]:
    """The worst and the best, no moment twice."""
    ranked, unit = by_error(errors)
    best = min(BEST, len(ranked) // 2)
    worst = min(WORST, len(ranked) - best)
    first, last = (
        tuple(moment_picture(exam, k, off(error, unit)) for k, error in part)
        for part in (ranked[::-1][:worst], ranked[:best])
    )
    return first, last


def shown_heats(exam: Exam, errors: PointErrors) -> tuple[tuple[HeatPictures, ...], str]:
    """Of the worst moment's keypoints (those with the largest errors, where there are many), and a note."""
    ranked, _ = by_error(errors)
    if not ranked:
        return (), ""
    k, names = ranked[-1][0], exam.moments.names
    chosen = hardest_keypoints(errors, k)[:HEATS]
    which = "" if len(chosen) == len(names) else f", of the {len(chosen)} keypoints with the largest error"
    return heat_pictures(
        exam, k, chosen, errors.pixels[k]
    ), f"Of the worst moment, {moment_name(exam, k)}{which}."


def by_error(errors: PointErrors) -> tuple[list[tuple[int, float]], str]:
    """The moments with their median error, from the smallest, and its unit: millimetres, or pixels of the point in
    the views where no truth in space is known. What is not found counts as infinitely far."""
    far = keypoint_errors(errors)
    medians = far.flatten(1).nanmedian(1).values
    known = medians.isfinite() | medians.isinf()
    order = medians.argsort()[: int(known.sum())]  # NaN comes last
    return [(int(k), float(medians[k])) for k in order], "mm" if errors.asked.any() else "px"


def keypoint_errors(errors: PointErrors) -> Float[Tensor, "m *c n"]:
    """Millimetres, or pixels in the views where no truth in space is known; infinite where nothing is found."""
    if errors.asked.any():
        return _missed(1000 * errors.metres, errors.asked)
    return _missed(errors.agreed, errors.pixels.isfinite())


def _missed(far: Float[Tensor, "*b"], asked: Bool[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    return far.masked_fill(asked & ~far.isfinite(), torch.inf)


def hardest_keypoints(errors: PointErrors, k: int) -> list[int]:
    """The keypoints of a moment, from the largest error."""
    far = keypoint_errors(errors)[k].reshape(-1, errors.metres.shape[1]).nanmedian(0).values
    return far.nan_to_num(nan=-1.0, posinf=torch.inf).argsort(descending=True, stable=True).tolist()


def off(error: float, unit: str) -> str:
    return "not found" if error == float("inf") else f"median error {error:.1f} {unit}"


def summary_of(values: Mapping[str, Any]) -> str:
    """A few sentences that a newcomer understands."""
    own, chance = values["readings"][values["reading"]], values["baselines"][CHANCE]
    where = f"In {values['moments']} moments of {values['cameras']} cameras"
    names = f"{len(values['names'])} keypoints"
    if own["median_mm"] is None:
        found = f"the places of {names} in the views are found to within {_one(own['median_agreed_pixels'])} pixels"
        return f"{where}, {found} (median); no truth in space is known, or nothing was found."
    text = (
        f"{where}, the network answers for {own['found']:.0%} of the points of {names} and is sure of"
        f" {own['visible']:.0%}: half of the answers are right to within {_one(own['median_mm'])} mm, 95 % to within"
        f" {_one(own['mm_95'])} mm"
    )
    if chance["median_mm"] is not None:
        text += f" (always the keypoint's mean place: {_one(chance['median_mm'])} mm)"
    text += f". A view's own answer is {_one(own['rms_pixels'])} pixels off (rms)."
    held = f"{own['covered']:.0%} (more than 95 %: they are too large)"
    return f"{text} The ellipsoids that should hold 95 % of the points hold {held}."


def _one(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def warnings_of(run: Path) -> tuple[str, ...]:
    """What the training said of the network it made (metrics.json)."""
    path = run / "metrics.json"
    return tuple(read_json(path).get("examined", {}).get("warnings", ())) if path.is_file() else ()


def results_of(values: Mapping[str, Any]) -> Results:
    rows = [_row(name, summary, name != READING) for name, summary in values["readings"].items()]
    rows += [_row(name, summary, True) for name, summary in values["baselines"].items()]
    return Results(COLUMNS, tuple(rows), f"{foot(values)}. chance: always the keypoint's mean place.")


def keypoint_results(values: Mapping[str, Any]) -> Results:
    """Of the finder's reading."""
    summaries = values["readings"][values["reading"]]["keypoints"]
    rows = tuple(_row(name, summary, True) for name, summary in summaries.items())
    return Results(COLUMNS, rows, f"Read by {values['reading']}, as the finder does.")


def _row(name: str, summary: Mapping[str, Any], baseline: bool) -> ResultRow:
    known = {column.key: summary[column.key] for column in COLUMNS if summary[column.key] is not None}
    return ResultRow(name, {key: Interval(value) for key, value in known.items()}, baseline)


def curves_of(run: Path) -> tuple[Chart, ...]:
    """Of labelled and unlabelled moments by step, from metrics.csv."""
    rows = read_log(run)
    if not rows:
        return ()
    collapse = "Spread and travel (near 0: collapsed)"
    return (
        _chart(rows, "Loss", "loss", ("labelled/loss", "unlabelled/loss"), log=True),
        _chart(
            rows, "Distance from the targets", "pixels", ("labelled/pixels", "unlabelled/pixels"), log=True
        ),
        _chart(rows, collapse, "share of the labels'", ("unlabelled/spread", "unlabelled/travel")),
        *training_charts(run)[1:],
    )


def _chart(
    rows: Sequence[Mapping[str, str]], title: str, axis: str, columns: Sequence[str], log: bool = False
) -> Chart:
    """Without the columns that the log lacks; an empty cell is left out."""
    curves = []
    for column in columns:
        known = [(float(row["step"]), float(row[column])) for row in rows if row.get(column)]
        curves.append(Curve(column, tuple(x for x, _ in known), tuple(y for _, y in known)))
    return Chart(title, "step", axis, tuple(curve for curve in curves if curve.x), log_y=log)


def rig_facts(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What a reader needs to repeat the run, and the shares that tell of a collapse."""
    recipe = {
        key: value
        for key, value in config.get("recipe", {}).items()
        if key not in ("network", "augmentation")
    }
    own = recipe.pop("self_supervision", {})
    recipe |= {f"self-supervision {key}": value for key, value in own.items()}
    facts = facts_of(config, values)
    facts["evaluation"]["recordings"] = ", ".join(values["provenance"]["recordings"])
    collapse = values["readings"][values["reading"]]["collapse"]
    told = {f"{name} (share of the truth's)": f"{share:.2f}" for name, share in collapse.items()}
    return {"recipe": {key: str(value) for key, value in recipe.items()}, **facts, "what was found": told}
