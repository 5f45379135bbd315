"""Moments of several cameras as one picture: a row a moment, a column a view, true and found keypoints in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from samepoint.viewers.content import MomentPicture, ViewPicture
from samepoint.viewers.drawing import DPI, save_figure
from samepoint.viewers.palette import FOUND, TRUE

VIEW, HEAD, FOOT = 2.3, 0.28, 0.42
"""Inches: a view's width, the line above each row, the legend."""


def draw_moments(path: Path, moments: Sequence[MomentPicture]) -> None:
    """A PNG; above each row its caption and note. Rings are true places, crosses found ones, joined by a line."""
    columns = max(len(moment.views) for moment in moments)
    height, width = moments[0].views[0].image.shape[:2]
    row = HEAD + VIEW * height / width
    inches = VIEW * columns, row * len(moments) + FOOT
    figure = Figure(figsize=inches, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for r, moment in enumerate(moments):
        text: dict[str, Any] = {"fontsize": 10, "va": "center", "parse_math": False}
        line = 1 - (row * r + HEAD / 2) / inches[1]
        figure.text(0.006, line, moment.caption, weight="bold", **text)
        figure.text(0.988, line, moment.note, ha="right", **text)
        bottom = 1 - row * (r + 1) / inches[1]
        for c, view in enumerate(moment.views):
            _draw(figure.add_axes((c / columns, bottom, 1 / columns - 0.006, (row - HEAD) / inches[1])), view)
    signs = [_sign("o", TRUE, "true place"), _sign("x", FOUND, "found place")]
    figure.legend(
        handles=signs, loc="lower center", ncols=2, fontsize=9, facecolor="#8a929b", edgecolor="none"
    )
    save_figure(figure, path)


def _draw(axes: Any, view: ViewPicture) -> None:
    axes.imshow(view.image, interpolation="bilinear", aspect="auto")
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    for number, (u, v) in view.true.items():
        if number in view.found:
            axes.plot((u, view.found[number][0]), (v, view.found[number][1]), color="white", linewidth=0.9)
    for places, shape, size, colour in ((view.true, "o", 10, TRUE), (view.found, "x", 6, FOUND)):
        for place in places.values():
            for edge, line in (("black", 3.4), (colour, 1.7)):  # to be seen on any image
                style = {"markerfacecolor": "none", "markeredgecolor": edge, "markeredgewidth": line}
                axes.plot(*place, shape, markersize=size, **style)


def _sign(shape: str, colour: str, label: str) -> Line2D:
    style: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": colour, "markeredgewidth": 2}
    return Line2D([], [], linestyle="none", marker=shape, markersize=8, label=label, **style)
