"""The report of a run with named 3-D keypoints: one HTML file that needs nothing beside it. It shows; it computes
nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from samepoint.files import write_whole
from samepoint.viewers.content import HeatPictures, MomentPicture, RigReportContent, ViewPicture
from samepoint.viewers.page import page
from samepoint.viewers.pictures import cross, joined, picture, ring
from samepoint.viewers.report import chart_grid, fact_groups, results_table, signs, target_picture

WORST_NOTE = "Those with the largest median error of their keypoints, of all evaluated moments."
BEST_NOTE = "Those with the smallest."
PLACE_NOTE = (
    "The found place is the keypoint's point in space, projected into each view, also where it is hidden."
)
HEAT_NOTE = (
    "How likely the network thinks each pixel shows the keypoint, from this view alone, and where the view looks: "
    "one small bright spot is good; several spots mean that it cannot tell these places apart."
)


def write_rig_report(path: str | Path, content: RigReportContent) -> None:
    """Writes the report to `path`, whole or not at all. DataError if the file cannot be written."""
    write_whole(Path(path), rig_report_html(content).encode())


def rig_report_html(content: RigReportContent) -> str:
    """The report as an HTML document, with every picture embedded and no script."""
    header = f"<p>{escape(content.summary)}</p>" if content.summary else ""
    return page(
        content.title,
        header,
        [
            ("warnings", "Warnings", _warnings(content.warnings)),
            ("results", "Results", results_table(content.results)),
            ("keypoints", "By keypoint", results_table(content.by_keypoint)),
            ("worst", "Worst moments", _moments(content.worst, WORST_NOTE, content.names)),
            ("best", "Best moments", _moments(content.best, BEST_NOTE, content.names)),
            ("heatmaps", "Heatmaps", _heats(content.heats, content.heat_note)),
            ("training", "Training", chart_grid(content.training)),
            ("facts", "The run", fact_groups(content.facts)),
        ],
    )


def _warnings(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="card"><ul>{items}</ul></div>' if items else ""


def _moments(moments: Sequence[MomentPicture], note: str, names: Sequence[str]) -> str:
    if not moments:
        return ""
    legend = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
    cards = "".join(_moment(moment) for moment in moments)
    return f'<p class="note">{note} {PLACE_NOTE}</p><p class="note">{escape(legend)}</p>{signs()}{cards}'


def _moment(moment: MomentPicture) -> str:
    views = "".join(_view(view) for view in moment.views)
    return (
        f'<div class="card"><p class="head"><b>{escape(moment.caption)}</b><span>{escape(moment.note)}</span></p>'
        f'<div class="row">{views}</div></div>'
    )


def _view(view: ViewPicture) -> str:
    size, marks = (view.image.shape[0], view.image.shape[1]), ""
    for number in sorted({*view.true, *view.found}):
        true, found = view.true.get(number), view.found.get(number)
        if true is not None and found is not None:
            marks += joined(true, found, size)
        if true is not None:
            marks += ring(true, size, str(number))
        if found is not None:
            marks += cross(found, size, "" if true is not None else str(number))
    return picture(view.image, marks, view.camera)


def _heats(heats: Sequence[HeatPictures], note: str) -> str:
    if not heats:
        return ""
    return f'<p class="note">{escape(note)} {HEAT_NOTE}</p>{signs()}' + "".join(_heat(heat) for heat in heats)


def _heat(heat: HeatPictures) -> str:
    targets = "".join(target_picture(target) for target in heat.targets)
    return f'<div class="card"><p class="head"><b>{escape(heat.name)}</b></p><div class="row">{targets}</div></div>'
