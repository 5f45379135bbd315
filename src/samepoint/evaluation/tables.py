"""Evaluation rows as a table of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = (
    ("PCK@3", ("pck", "3")),
    ("PCK@5", ("pck", "5")),
    ("PCK@10", ("pck", "10")),
    ("PCK@25", ("pck", "25")),
    ("PCK@50", ("pck", "50")),
    ("AUC100", ("auc_1_100",)),
    ("AUC50", ("auc_1_50",)),
    ("error px", ("mean_pixel_error",)),
)
"""Heading, and where its value is in a row of the evaluation JSON."""


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: the first to the left, the others to the right. A short row is a name and a
    remark."""
    full = [row for row in rows if len(row) == len(header)]
    widths = [max(len(line[i]) for line in (header, *full)) for i in range(len(header))]
    widths[0] = max(len(row[0]) for row in (header, *rows))
    lines = []
    for row in (header, *rows):
        cells = [row[0].ljust(widths[0])]
        if len(row) == len(header):
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        else:
            cells += row[1:]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def evaluation_table(evaluation: Mapping[str, Any]) -> str:
    """The trained predictor and its baselines, from evaluation JSON, with the first one's intervals."""
    header = ["", *(heading for heading, _ in COLUMNS)]
    rows = [metric_row(evaluation["predictor"], evaluation)]
    if "intervals" in evaluation:
        level = evaluation["intervals"]["level"]
        rows.append(
            [f"  {level:.0%} of resamples", *(_interval(evaluation["intervals"], k) for _, k in COLUMNS)]
        )
    for name, row in evaluation["baselines"].items():
        rows.append(baseline_row(name, row))
    foot = f"{evaluation['n_points']} points in {evaluation['n_pairs']} pairs; pixels of image B"
    return f"{format_table(header, rows)}\n{foot}"


def baseline_row(name: str, row: Mapping[str, Any]) -> list[str]:
    """A baseline's line: its numbers, the best of its variants, or why it is missing."""
    if "unavailable" in row:
        return [name, f"unavailable: {row['unavailable']}"]
    if "variants" in row:
        name = f"{name} (best of {len(row['variants'])}: {row['predictor']})"
    return metric_row(name, row)


def metric_row(name: str, row: Mapping[str, Any]) -> list[str]:
    """The name and the value of every column."""
    return [name, *(number(value_at(row, keys)) for _, keys in COLUMNS)]


def value_at(row: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """`row[keys[0]][keys[1]]...`"""
    value: Any = row
    for key in keys:
        value = value[key]
    return value


def number(value: float | None, signed: bool = False) -> str:
    """Three decimals, one from 10 on, "-" for what is not there."""
    if value is None:
        return "-"
    sign = "+" if signed else ""
    return f"{value:{sign}.3f}" if abs(value) < 10 else f"{value:{sign}.1f}"


def _interval(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    ends = value_at(row, keys)
    return "-" if ends is None else f"{number(ends[0])}..{number(ends[1])}"
