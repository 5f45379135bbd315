"""The doctor's picture of a recording of several cameras: the views of a moment, clicks and projections, findings."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samepoint.data.doctor.findings import Finding
from samepoint.data.rig.soundness.overlays import ClickedMoment, ClickedView
from samepoint.files import write_whole
from samepoint.viewers.doctor_pictures import COLUMNS, DPI, PANEL, draw_lines, finding_lines
from samepoint.viewers.palette import series_colour


def draw_moment(path: Path, name: str, findings: Sequence[Finding], moment: ClickedMoment) -> None:
    """One PNG: every view with clicks as circles and the projections of their 3-D points as crosses, a colour a
    keypoint; and a line for every check."""
    rows = math.ceil(len(moment.views) / COLUMNS)
    lines = finding_lines(findings)
    aspect = max(view.image.shape[0] / view.image.shape[1] for view in moment.views)
    panel = PANEL * aspect + 0.35
    top = 0.7
    height = top + panel * rows + 0.19 * len(lines) + 0.3
    figure = Figure(figsize=(PANEL * COLUMNS, height), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.text(0.01, 1 - 0.25 / height, name, fontsize=13, weight="bold", parse_math=False)
    caption = f"moment {moment.name}: clicks are circles, projections of the points they make crosses"
    caption += f"; {moment.pixels:.2g} px apart (median)"
    figure.text(0.01, 1 - 0.5 / height, caption, fontsize=9, parse_math=False)
    keypoints = list(dict.fromkeys(key for view in moment.views for key in (*view.points, *view.clicks)))
    colours = {key: series_colour(index) for index, key in enumerate(keypoints)}
    for i, view in enumerate(moment.views):
        row, column = divmod(i, COLUMNS)
        bottom = 1 - (top + panel * (row + 1)) / height
        axes = figure.add_axes((column / COLUMNS + 0.005, bottom, 1 / COLUMNS - 0.01, (panel - 0.3) / height))
        _draw_view(axes, view, colours)
    draw_lines(figure, lines, top + panel * rows + 0.15, height)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    write_whole(Path(path), content.getvalue())


def _draw_view(axes: Any, view: ClickedView, colours: dict[str, str]) -> None:
    axes.imshow(view.image)
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    axes.set_title(view.camera, fontsize=9, pad=3, parse_math=False)
    for marker, places, size in (("o", view.clicks, 9), ("+", view.points, 8)):
        for key, (u, v) in places.items():
            for colour, width in (("black", 2.6), (colours[key], 1.3)):
                axes.plot(
                    u, v, marker, color=colour, markersize=size, markeredgewidth=width, fillstyle="none",
                    clip_on=True,
                )  # fmt: skip
