"""The evaluation of a run with named 3-D keypoints as a table of plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from samepoint.evaluation.tables import format_table, number

COLUMNS = (
    ("views rms px", "rms_pixels"),
    ("median px", "median_pixels"),
    ("point rms px", "rms_agreed_pixels"),
    ("median px", "median_agreed_pixels"),
    ("median mm", "median_mm"),
    ("95 % mm", "mm_95"),
    ("found", "found"),
    ("visible", "visible"),
    ("their mm", "visible_median_mm"),
    ("covered", "covered"),
    ("stated mm", "stated_mm"),
)
"""Heading, and the key of a summary of PointErrors."""
HEADER = ("", *(heading for heading, _ in COLUMNS))
SHARES = ("found", "visible", "covered")
LEGEND = (
    "views: each view's own answer; point: where the agreed point lies in it; px at the recorded size; visible: the"
    " network is sure;\ncovered: in the ellipsoid that should hold 95 % of the points; stated: the ellipsoid's"
    " standard deviation"
)


def rig_table(evaluation: Mapping[str, Any]) -> str:
    """Every reading and the baselines, then each keypoint of the finder's reading; from the evaluation's JSON."""
    readings = evaluation["readings"]
    every = {**readings, **evaluation["baselines"]}
    rows = [rig_row(name, summary) for name, summary in every.items()]
    rows.append([f"by keypoint ({evaluation['reading']})", ""])
    keypoints = readings[evaluation["reading"]]["keypoints"]
    rows += [rig_row(f"  {name}", summary) for name, summary in keypoints.items()]
    known = known_of(evaluation["trained_on_moments"], evaluation["moments"])
    return "\n".join([format_table(HEADER, rows), foot(evaluation), *known])


def foot(evaluation: Mapping[str, Any]) -> str:
    """What was asked, and what the columns are."""
    whole = evaluation["readings"][evaluation["reading"]]
    return (
        f"{evaluation['moments']} moments of {evaluation['cameras']} cameras; {whole['n_points']} points known in"
        f" space, {whole['n_places']} places in views.\n{LEGEND}"
    )


def known_of(trained_on: int | None, moments: int) -> list[str]:
    """A line that says how many of the moments were trained on; none if none was."""
    if trained_on is None:
        return ["whether these moments were trained on is not known: the run's training data is not there"]
    if not trained_on:
        return []
    which = "these moments" if trained_on == moments else f"{trained_on} of these moments"
    return [f"{which} were trained on: this is no test"]


def rig_row(name: str, summary: Mapping[str, Any]) -> list[str]:
    """The name and the value of every column."""
    return [name, *(_cell(summary[key], key in SHARES) for _, key in COLUMNS)]


def _cell(value: float | None, share: bool) -> str:
    return f"{value:.1%}" if share and value is not None else number(value)
