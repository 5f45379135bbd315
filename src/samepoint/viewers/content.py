"""What a report shows, as plain values: every number and picture comes in ready, viewers compute none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from samepoint.inference.examples import Examples, TargetPicture

Numbers = Sequence[float | int]


@dataclass(frozen=True)
class Interval:
    """A value and the interval it lies in (None where it is not known)."""

    value: float | int
    low: float | int | None = None
    high: float | int | None = None


@dataclass(frozen=True)
class Column:
    """One column of the results: `unit` "share" is shown in percent, the others as they are."""

    key: str
    label: str
    unit: Literal["share", "pixels", "mm", "number"] = "number"
    better: Literal["higher", "lower"] | None = None


@dataclass(frozen=True)
class ResultRow:
    """One predictor's results. A key that is absent is shown as unknown."""

    name: str
    values: Mapping[str, Interval]
    baseline: bool = False


@dataclass(frozen=True)
class Results:
    """The results table; `note` says on what the numbers were measured and what the intervals are."""

    columns: tuple[Column, ...]
    rows: tuple[ResultRow, ...]
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """Points (x, y) joined by lines; `low` and `high`, if given, bound a band. `baseline` curves are drawn
    lighter."""

    label: str
    x: Numbers
    y: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    baseline: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves over common axes. Values that are not finite, or not above 0 on a logarithmic axis, are left
    out."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False
    y_range: tuple[float | int, float | int] | None = None


@dataclass(frozen=True)
class ReportContent:
    """One report. `summary` is a few sentences on what the numbers mean; `facts` are groups of name and value
    (configuration, data and its fingerprint, machine, time). Whatever is empty is left out."""

    title: str
    summary: str = ""
    results: Results | None = None
    accuracy: tuple[Chart, ...] = ()
    training: tuple[Chart, ...] = ()
    examples: Examples = field(default_factory=Examples)
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ViewPicture:
    """One camera's image of a moment. `true` and `found`: by a keypoint's number (from 1) its place, pixels of
    `image`; what is not known or lies outside is left out."""

    camera: str
    image: UInt8[np.ndarray, "h w 3"]
    true: Mapping[int, tuple[float, float]]
    found: Mapping[int, tuple[float, float]]


@dataclass(frozen=True)
class MomentPicture:
    """All views of a moment; `note` says how far off the points are."""

    views: tuple[ViewPicture, ...]
    caption: str
    note: str = ""


@dataclass(frozen=True)
class HeatPictures:
    """A keypoint's heatmaps in all views of a moment."""

    name: str
    targets: tuple[TargetPicture, ...]


@dataclass(frozen=True)
class RigReportContent:
    """The report of a run with named 3-D keypoints: like `ReportContent`. `warnings` are a line each, `names` of the
    keypoints in their order, `heat_note` says whose heatmaps `heats` are."""

    title: str
    summary: str = ""
    warnings: tuple[str, ...] = ()
    results: Results | None = None
    by_keypoint: Results | None = None
    names: tuple[str, ...] = ()
    worst: tuple[MomentPicture, ...] = ()
    best: tuple[MomentPicture, ...] = ()
    heats: tuple[HeatPictures, ...] = ()
    heat_note: str = ""
    training: tuple[Chart, ...] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
