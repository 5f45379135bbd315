"""A report's content with everything in it, small."""

from __future__ import annotations

import numpy as np
import pytest

from samepoint.inference.examples import (
    DescriptorPicture,
    Examples,
    PairPicture,
    QueryPicture,
    TargetPicture,
)
from samepoint.viewers.content import Chart, Column, Curve, Interval, ReportContent, ResultRow, Results


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)


@pytest.fixture
def content(image: np.ndarray) -> ReportContent:
    columns = (Column("5", "PCK@5", "share", "higher"), Column("error", "mean error", "pixels", "lower"))
    own = {"5": Interval(0.357, 0.321, 0.394), "error": Interval(12.34)}
    results = Results(
        columns,
        (ResultRow("this run", own), ResultRow("chance <&>", {"5": Interval(float("nan"))}, baseline=True)),
        "13 pairs",
    )
    uv = np.array([[3.0, 4.0], [20.0, 10.5]])
    pair = PairPicture(image, image, uv, uv, uv + 2.0, np.array([2.8, 2.8]), 2.83, "a → b")
    heat = np.zeros((24, 32), dtype=np.float32)
    heat[10, 20] = 0.9
    target = TargetPicture(image, heat, (20.0, 10.0), 0.9, (19.0, 10.0), 1.0)
    unknown = TargetPicture(image, heat, (20.0, 10.0), 0.4)
    curve = Curve("loss", (0.0, 1.0, 2.0), (3.0, float("nan"), 1.0), (2.9, 1.0, 0.9), (3.1, 1.0, 1.1))
    chart = Chart("Loss", "step", "loss", (curve, Curve("other", (0.0, 2.0), (0.5, 0.1), baseline=True)))
    return ReportContent(
        title="mug <script>alert(1)</script>",
        summary="36 % of points & more",
        results=results,
        accuracy=(chart,),
        training=(chart, Chart("Loss again", "step", "loss", (curve,), log_x=True, log_y=True)),
        examples=Examples(
            (pair,),
            (pair, pair),
            (QueryPicture(image, (3.0, 4.0), (target, unknown), "query"),),
            (DescriptorPicture(image, image, "photo"),),
        ),
        facts={"Data": {"fingerprint": "9f3ac801", "path": "<here>"}},
    )
