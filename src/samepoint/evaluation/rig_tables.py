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
    ("covered", "covered"),
)
"""Heading, and the key of a summary of PointErrors."""
SHARES = ("found", "covered")


def rig_table(evaluation: Mapping[str, Any]) -> str:
    """Every reading and the baselines, then each keypoint of the finder's reading; from the evaluation's JSON."""
    header, readings = ["", *(heading for heading, _ in COLUMNS)], evaluation["readings"]
    every = {**readings, **evaluation["baselines"]}
    rows = [_row(name, summary) for name, summary in every.items()]
    rows.append([f"by keypoint ({evaluation['reading']})", ""])
    keypoints = readings[evaluation["reading"]]["keypoints"]
    rows += [_row(f"  {name}", summary) for name, summary in keypoints.items()]
    return f"{format_table(header, rows)}\n{foot(evaluation)}"


def foot(evaluation: Mapping[str, Any]) -> str:
    """What was asked, and what the columns are."""
    whole = evaluation["readings"][evaluation["reading"]]
    return (
        f"{evaluation['moments']} moments of {evaluation['cameras']} cameras; {whole['n_points']} points known in"
        f" space, {whole['n_places']} places in views.\nviews: each view's own answer; point: where the agreed point"
        " lies in it; px at the recorded size; covered: in the ellipsoid that should hold 95 % of the points"
    )


def _row(name: str, summary: Mapping[str, Any]) -> list[str]:
    return [name, *(_cell(summary[key], key in SHARES) for _, key in COLUMNS)]


def _cell(value: float | None, share: bool) -> str:
    return f"{value:.1%}" if share and value is not None else number(value)
