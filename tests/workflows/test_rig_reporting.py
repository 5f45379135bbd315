"""The report of an s3k run: which moments and keypoints it shows, and where it puts them."""

import json

import numpy as np
import pytest
import torch
from tests.recipes.dots import COLOURS, tiny_run
from tests.viewers.test_report import check

from samepoint.evaluation.point_errors import PointErrors
from samepoint.workflows.rig_evaluation import evaluate_rig_run
from samepoint.workflows.rig_pictures import heat_pictures, moment_picture
from samepoint.workflows.rig_reporting import (
    by_error,
    curves_of,
    hardest_keypoints,
    summary_of,
    write_rig_run_report,
)

NAN = float("nan")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def evaluation(run):
    return evaluate_rig_run(run, run.parent / "data")


def errors_of(metres, asked, agreed):
    metres, agreed = torch.tensor(metres), torch.tensor(agreed)
    inside = torch.zeros_like(metres, dtype=torch.bool)
    return PointErrors(agreed, agreed, metres, inside, torch.tensor(asked), inside, metres)


def test_moments_are_ranked_by_millimetres_and_what_is_not_found_is_worst():
    metres = [[0.003, 0.001, 0.009], [0.001, NAN, 0.001], [NAN, NAN, 0.002], [NAN, NAN, NAN]]
    asked = [[True] * 3, [True, False, True], [True, True, True], [False] * 3]
    errors = errors_of(metres, asked, [[[1.0] * 3]] * 4)
    ranked, unit = by_error(errors)
    assert unit == "mm"
    assert [k for k, _ in ranked] == [1, 0, 2]  # nothing is known of the last
    assert [error for _, error in ranked] == pytest.approx([1.0, 3.0, float("inf")])
    assert hardest_keypoints(errors, 0) == [2, 0, 1]
    assert set(hardest_keypoints(errors, 2)[:2]) == {0, 1}


def test_moments_are_ranked_by_pixels_where_nobody_knows_the_points():
    agreed = [[[1.0, NAN], [5.0, NAN]], [[0.5, 0.4], [NAN, NAN]]]
    ranked, unit = by_error(errors_of([[NAN] * 2] * 2, [[False] * 2] * 2, agreed))
    assert unit == "px"
    assert ranked == [(1, pytest.approx(0.4)), (0, pytest.approx(1.0))]


def test_the_pictures_show_the_images_and_the_dots_where_they_are(evaluation):
    right = []
    for k in range(5):
        shown = moment_picture(evaluation.exam, k)
        assert [view.camera for view in shown.views] == ["cam0", "cam1", "cam2", "cam3"]
        assert shown.caption == f"test/00{k}"
        for view in shown.views:
            for number, (u, v) in view.true.items():
                other = view.true.get(3 - number, (99.0, 99.0))
                if np.hypot(u - other[0], v - other[1]) > 4:  # one does not hide the other
                    colour = list(COLOURS.values())[number - 1]
                    right.append(tuple(view.image[round(v), round(u)].tolist()) == colour)
    assert len(right) > 15
    assert all(right)


def test_heatmaps_are_of_the_keypoints_asked_for_in_every_view(evaluation):
    errors = evaluation.answers["mode, refined"].errors.pixels[1]
    (heat,) = heat_pictures(evaluation.exam, 1, [1], errors)
    assert heat.name == "blue"
    assert len(heat.targets) == 4
    for c, target in enumerate(heat.targets):
        assert target.heat.shape == target.image.shape[:2]
        if target.uv_true is not None:
            off = np.hypot(*(np.array(target.uv_found) - target.uv_true))
            assert target.error == pytest.approx(float(errors[c, 1]))
            assert off == pytest.approx(float(errors[c, 1]), abs=1e-3)


def test_the_curves_leave_out_what_the_log_does_not_have(run):
    charts = {chart.title: chart for chart in curves_of(run)}
    assert [curve.label for curve in charts["Loss"].curves] == ["labelled/loss", "unlabelled/loss"]
    labelled, unlabelled = (curve.x for curve in charts["Loss"].curves)
    assert len(labelled) == 6
    assert 0 < len(unlabelled) < 6  # it begins later


def test_the_report_is_whole(run, evaluation, tmp_path):
    examined = json.loads((run / "metrics.json").read_text())["examined"]["warnings"]
    write_rig_run_report(tmp_path / "report.html", run, evaluation)
    found = check((tmp_path / "report.html").read_text())
    for text in (*examined, "chance", "mode, refined", "1 red, 2 blue", "Heatmaps", "test/000", "recordings"):
        assert text in found.text, text
    pictures = sum(r.startswith("data:") for r in found.references)
    assert pictures == 5 * 4 + 2 * 4  # every moment of the five, once; two keypoints
    assert examined


def test_the_summary_says_what_is_known(evaluation):
    values = evaluation.to_json()
    assert "5 moments of 4 cameras" in summary_of(values)
    own = values["readings"][values["reading"]]
    assert f"sure of {own['visible']:.0%}" in summary_of(values)
    nothing = {**own, "median_mm": None, "mm_95": None, "covered": None, "found": None}
    assert "no truth in space" in summary_of({**values, "readings": {values["reading"]: nothing}})
