"""Line charts as inline SVG: sharp at every size, and in the page's own text colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from samepoint.viewers.content import Chart, Curve, Numbers
from samepoint.viewers.palette import DASHES, series_variable

WIDTH, HEIGHT = 560.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 14.0, 46.0
MAX_POINTS = 600


@dataclass(frozen=True)
class Axis:
    """Values to drawing coordinates between `start` and `end`."""

    low: float
    high: float
    log: bool
    start: float
    end: float

    def at(self, value: float | int) -> float:
        low, high, x = (self._scaled(v) for v in (self.low, self.high, value))
        return self.start + (x - low) / (high - low) * (self.end - self.start)

    def holds(self, value: float | int) -> bool:
        return math.isfinite(value) and (not self.log or value > 0)

    def ticks(self) -> list[float]:
        """Round values inside the axis: 1, 2, 5 times a power of ten."""
        if self.log:
            return _log_ticks(self.low, self.high)
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]

    def rounded(self) -> Axis:
        """The axis extended to whole ticks at both ends (logarithmic axes stay)."""
        if self.log:
            return self
        ticks = self.ticks()
        step = ticks[1] - ticks[0] if len(ticks) > 1 else self.high - self.low
        low = math.floor(self.low / step + 1e-9) * step
        high = math.ceil(self.high / step - 1e-9) * step
        return Axis(low, high, self.log, self.start, self.end)

    def _scaled(self, value: float | int) -> float:
        return math.log10(value) if self.log else float(value)


def line_chart(chart: Chart) -> str:
    """The chart as an HTML figure. Long curves are thinned to what can be seen."""
    curves = [curve for curve in chart.curves if curve.x]
    if not curves:
        return ""
    x_axis = _axis([curve.x for curve in curves], chart.log_x, LEFT, WIDTH - RIGHT, None)
    ys: list[Numbers] = [part for c in curves for part in (c.y, c.low, c.high) if part]
    y_axis = _axis(ys, chart.log_y, HEIGHT - BOTTOM, TOP, chart.y_range).rounded()
    body = _grid(x_axis, y_axis, chart)
    legend = []
    for index, curve in enumerate(curves):
        body += _curve(curve, index, x_axis, y_axis)
        legend.append(_legend(curve.label, index))
    keys = f'<div class="legend">{"".join(legend)}</div>' if len(curves) > 1 else ""
    return (
        f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title, quote=True)}">'
        f"{body}</svg>{keys}</figure>"
    )


def number(value: float) -> str:
    """A short text for an axis: 1200 -> 1.2k, 0.0001 -> 1e-4."""
    size = abs(value)
    if value == 0:
        return "0"
    if size < 1e-3:
        mantissa, power = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(power)}"
    if size >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if size >= 1e4 else f"{value:.4g}"


def _axis(values: Sequence[Numbers], log: bool, start: float, end: float, fixed: Numbers | None) -> Axis:
    usable = [v for part in values for v in part if math.isfinite(v) and (not log or v > 0)]
    low, high = map(float, fixed or ((min(usable), max(usable)) if usable else (1, 10)))
    if not log and not fixed and 0 < low < 0.5 * high:
        low = 0.0
    if high - low <= 1e-12 * max(1.0, abs(high)):
        low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    return Axis(low, high, log, start, end)


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if len(powers) > 5 else (1, 2, 5)
    ticks = [m * 10.0**p for p in powers for m in steps if low * 0.999 <= m * 10.0**p <= high * 1.001]
    return ticks if len(ticks) >= 2 else [low, high]


def _grid(x_axis: Axis, y_axis: Axis, chart: Chart) -> str:
    parts = []
    for tick in y_axis.ticks():
        y = y_axis.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    for tick in x_axis.ticks():
        x, bottom = x_axis.at(tick), HEIGHT - BOTTOM
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number(tick)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    centre = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(chart.x_label)}</text>"
    )
    parts.append(
        f'<text class="axis" transform="translate(14 {centre}) rotate(-90)" text-anchor="middle">'
        f"{escape(chart.y_label)}</text>"
    )
    return "".join(parts)


def _curve(curve: Curve, index: int, x_axis: Axis, y_axis: Axis) -> str:
    colour, dash = series_variable(index), DASHES[index % len(DASHES)]
    band = ""
    if curve.low and curve.high:
        upper = _points(curve.x, curve.high, x_axis, y_axis)
        lower = _points(curve.x, curve.low, x_axis, y_axis)[::-1]
        band = f'<polygon points="{" ".join(upper + lower)}" fill="{colour}" fill-opacity="0.15"/>'
    line = " ".join(_points(curve.x, curve.y, x_axis, y_axis))
    width = 1.6 if curve.baseline else 2.4
    return (
        f'{band}<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width}"'
        f' stroke-dasharray="{dash}" stroke-linejoin="round"/>'
    )


def _points(x: Numbers, y: Numbers, x_axis: Axis, y_axis: Axis) -> list[str]:
    step = max(1, math.ceil(len(x) / MAX_POINTS))
    clip: Callable[[float], float] = lambda v: min(max(v, TOP - 2.0), HEIGHT - BOTTOM + 2.0)  # noqa: E731
    return [
        f"{x_axis.at(a):.1f},{clip(y_axis.at(b)):.1f}"
        for a, b in list(zip(x, y))[::step]
        if x_axis.holds(a) and y_axis.holds(b)
    ]


def _legend(label: str, index: int) -> str:
    colour, dash = series_variable(index), DASHES[index % len(DASHES)]
    return (
        f'<span><svg class="key" viewBox="0 0 26 8"><line x1="1" x2="25" y1="4" y2="4" stroke="{colour}"'
        f' stroke-width="2.6" stroke-dasharray="{dash}"/></svg>{escape(label)}</span>'
    )
