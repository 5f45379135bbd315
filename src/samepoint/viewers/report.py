"""The report of a run: one HTML file that needs nothing beside it. It shows; it computes nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from samepoint.files import write_whole
from samepoint.inference.examples import DescriptorPicture, PairPicture, QueryPicture, TargetPicture
from samepoint.viewers.charts import line_chart
from samepoint.viewers.content import Chart, Column, Interval, ReportContent, ResultRow, Results
from samepoint.viewers.drawing import heat_overlay
from samepoint.viewers.page import page
from samepoint.viewers.pictures import cross, joined, numbered, picture, ring

UNKNOWN = "–"
SIGN = (16, 16)


def write_report(path: str | Path, content: ReportContent) -> None:
    """Writes the report to `path`, whole or not at all. DataError if the file cannot be written."""
    write_whole(Path(path), report_html(content).encode())


def report_html(content: ReportContent) -> str:
    """The report as an HTML document, with every picture embedded and no script."""
    examples = content.examples
    header = f"<p>{escape(content.summary)}</p>" if content.summary else ""
    return page(
        content.title,
        header,
        [
            ("results", "Results", results_table(content.results) + chart_grid(content.accuracy)),
            ("queries", "One point in other images", _queries(examples.queries)),
            ("worst", "Worst pairs", _pairs(examples.failures, WORST_NOTE)),
            ("best", "Best pairs", _pairs(examples.successes, BEST_NOTE)),
            ("descriptors", "Descriptors as colours", _descriptors(examples.descriptors)),
            ("training", "Training", chart_grid(content.training)),
            ("facts", "The run", fact_groups(content.facts)),
        ],
    )


WORST_NOTE = (
    "Those with the largest median error of all evaluated pairs. If these are bad, so may a grasp be."
)
BEST_NOTE = "Those with the smallest median error."
QUERY_NOTE = (
    "A point of the first image, and how likely the network thinks each pixel of other images is the same "
    "point: one small bright spot is good; several spots mean that it cannot tell these places apart."
)
DESCRIPTOR_NOTE = (
    "The three main directions of all descriptors shown, as colours that mean the same in every image: the "
    "same point should have the same colour, and different parts different ones."
)


def results_table(results: Results | None) -> str:
    """The table and its note."""
    if results is None or not results.rows:
        return ""
    head = "".join(f"<th>{escape(column.label)}{_arrow(column)}</th>" for column in results.columns)
    body = "".join(_row(row, results.columns) for row in results.rows)
    note = f'<p class="note">{escape(results.note)}</p>' if results.note else ""
    return f'{note}<div class="card scroll"><table><tr><th></th>{head}</tr>{body}</table></div>'


def _row(row: ResultRow, columns: Sequence[Column]) -> str:
    cells = "".join(f"<td>{_value(row.values.get(column.key), column)}</td>" for column in columns)
    kind = "" if row.baseline else ' class="own"'
    return f"<tr{kind}><td>{escape(row.name)}</td>{cells}</tr>"


def _value(value: Interval | None, column: Column) -> str:
    if value is None or not math.isfinite(value.value):
        return UNKNOWN
    text = _number(value.value, column)
    if value.low is not None and value.high is not None:
        text += f"<small>{_number(value.low, column, False)} to {_number(value.high, column, False)}</small>"
    return text + (_bar(value) if column.unit == "share" else "")


def _number(value: float | int, column: Column, with_unit: bool = True) -> str:
    if column.unit == "share":
        return f"{100 * value:.1f}" + (" %" if with_unit else "")
    if column.unit != "number":
        unit = {"pixels": " px", "mm": " mm"}[column.unit]
        return f"{value:.{2 if abs(value) < 10 else 1}f}" + (unit if with_unit else "")
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def _bar(value: Interval) -> str:
    low, high = (value.value if x is None else x for x in (value.low, value.high))
    return (
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="100" height="6" rx="1" fill="var(--line)"/>'
        f'<rect width="{100 * value.value:.1f}" height="6" rx="1" fill="var(--accent)"/>'
        f'<rect x="{100 * low:.1f}" width="{100 * (high - low):.1f}" y="2" height="2"'
        ' fill="var(--text)"/></svg>'
    )


def _arrow(column: Column) -> str:
    return {None: "", "higher": " ↑", "lower": " ↓"}[column.better]


def chart_grid(charts: Sequence[Chart]) -> str:
    """Charts side by side."""
    drawn = "".join(line_chart(chart) for chart in charts)
    return f'<div class="grid2" style="margin-top:14px">{drawn}</div>' if drawn else ""


def _queries(queries: Sequence[QueryPicture]) -> str:
    if not queries:
        return ""
    return f'<p class="note">{QUERY_NOTE}</p>{signs()}' + "".join(_query(query) for query in queries)


def _query(query: QueryPicture) -> str:
    first = picture(query.image, ring(query.uv, _size(query)), "the point")
    others = "".join(target_picture(target) for target in query.targets)
    head = f'<p class="head"><b>{escape(query.caption)}</b></p>' if query.caption else ""
    return f'<div class="card">{head}<div class="row">{first}{others}</div></div>'


def target_picture(target: TargetPicture) -> str:
    """An image under its heatmap, with ring and cross."""
    marks = cross(target.uv_found, _size(target))
    caption = f"confidence {target.confidence:.2f}"
    if target.uv_true is not None:
        marks = ring(target.uv_true, _size(target)) + marks
    if target.error is not None:
        caption = f"{target.error:.1f} px off, {caption}"
    elif target.uv_true is None:
        caption += ", truth unknown"
    if target.caption:
        caption = f"{target.caption}: {caption}"
    return picture(heat_overlay(target.image, target.heat), marks, caption)


def _pairs(pairs: Sequence[PairPicture], note: str) -> str:
    if not pairs:
        return ""
    cards = "".join(_pair(pair) for pair in pairs)
    return f'<p class="note">{note}</p>{signs()}<div class="pairs">{cards}</div>'


def _pair(pair: PairPicture) -> str:
    size_a = (pair.image_a.shape[0], pair.image_a.shape[1])
    size_b = (pair.image_b.shape[0], pair.image_b.shape[1])
    marks = ""
    for index, (true, found) in enumerate(zip(pair.uv_true.tolist(), pair.uv_found.tolist())):
        marks += joined(true, found, size_b) + ring(true, size_b, str(index + 1)) + cross(found, size_b)
    errors = ", ".join(f"{error:.0f}" for error in pair.error.tolist())
    return (
        f'<div class="card"><p class="head"><b>{escape(pair.caption)}</b>'
        f"<span>median error {pair.median_error:.1f} px</span></p>"
        f'<div class="row two">{picture(pair.image_a, numbered(pair.uv_a, size_a), "points asked for")}'
        f"{picture(pair.image_b, marks, f'errors {errors} px')}</div></div>"
    )


def _descriptors(pictures: Sequence[DescriptorPicture]) -> str:
    if not pictures:
        return ""
    cards = "".join(
        f'<div class="card"><div class="row two">{picture(shown.image, "", shown.caption)}'
        f"{picture(shown.colours)}</div></div>"
        for shown in pictures
    )
    return f'<p class="note">{DESCRIPTOR_NOTE}</p><div class="pairs">{cards}</div>'


def fact_groups(facts: Mapping[str, Mapping[str, str]]) -> str:
    """A card of names and values for each group."""
    groups = []
    for name, values in facts.items():
        rows = "".join(
            f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in values.items()
        )
        groups.append(f'<div class="card"><h3 style="margin-top:0">{escape(name)}</h3><dl>{rows}</dl></div>')
    return f'<div class="pairs">{"".join(groups)}</div>' if groups else ""


def signs() -> str:
    """What ring and cross mean."""
    marks = ((ring((8.0, 8.0), SIGN), "true place"), (cross((8.0, 8.0), SIGN), "found place"))
    box = f"0 0 {SIGN[1]} {SIGN[0]}"
    spans = "".join(f'<span><svg viewBox="{box}">{mark}</svg>{text}</span>' for mark, text in marks)
    return f'<p class="signs">{spans}</p>'


def _size(shown: QueryPicture | TargetPicture) -> tuple[int, int]:
    return shown.image.shape[0], shown.image.shape[1]
