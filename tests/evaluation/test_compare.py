"""Runs side by side."""

import pytest
import torch

from samepoint.errors import DataError
from samepoint.evaluation.compare import compare
from samepoint.evaluation.evaluate import EvaluationSettings, evaluate
from samepoint.evaluation.predictions import PairPrediction, Predictions
from samepoint.evaluation.tables import format_table, number


def evaluation(file, error_of_pair, name):
    """Answers that are wrong by error_of_pair(i) pixels."""
    pairs = tuple(
        PairPrediction(pair.uv_b + torch.tensor([float(error_of_pair(i)), 0.0]))
        for i, pair in enumerate(file.pairs)
    )
    settings = EvaluationSettings(resamples=100)
    return evaluate(Predictions(name, pairs), file, {"frozen": "unavailable: none"}, settings).to_json()


def test_a_paired_difference_is_sharper_than_two_intervals(make_pairs, generator):
    """B is one pixel worse on every pair, while pairs differ by 60 pixels: intervals overlap, the difference
    does not."""
    file = make_pairs(6)
    a, b = evaluation(file, lambda i: 10 * i, "a"), evaluation(file, lambda i: 10 * i + 1, "b")
    assert a["intervals"]["mean_pixel_error"][1] > b["intervals"]["mean_pixel_error"][0]
    row = compare({"a": a, "b": b}, generator).rows["b"]["difference"]["error px"]
    assert row["mean"] == pytest.approx(1, abs=1e-3)
    assert row["interval"] == [pytest.approx(1, abs=1e-3)] * 2


def test_the_table_names_every_run_and_marks_sure_differences(make_pairs, generator):
    file = make_pairs(6)
    runs = {name: evaluation(file, lambda i, e=e: e, name) for name, e in (("near", 1), ("far", 40))}
    comparison = compare(runs, generator)
    lines = comparison.table().splitlines()
    assert lines[1].split()[:2] == ["near", "1.000"]
    assert lines[2].split()[:2] == ["far", "0.000"]
    assert "-1.000*" in lines[3]
    assert "unavailable: none" in lines[4]
    assert set(comparison.to_json()["rows"]) == {"near", "far"}


def test_a_run_against_itself_differs_by_nothing(make_pairs, generator):
    same = evaluation(make_pairs(4), lambda i: i * 7, "a")
    for entry in compare({"a": same, "b": same}, generator).rows["b"]["difference"].values():
        assert entry["mean"] == 0
        assert entry["interval"] == [0, 0]


def test_evaluations_on_other_pairs_are_refused(make_pairs, generator):
    a, b = (evaluation(make_pairs(n), lambda i: 1, "x") for n in (3, 4))
    with pytest.raises(DataError, match="second: was not evaluated on the pairs of 'first'"):
        compare({"first": a, "second": b}, generator)
    with pytest.raises(DataError, match="nothing to compare"):
        compare({}, generator)


def test_tables_line_up():
    rows = [["a", "0.100", "1"], ["long name", "12.0", "2"], ["b", "unavailable: why"]]
    assert format_table(["", "PCK@5", "n"], rows).splitlines() == [
        "           PCK@5  n",
        "a          0.100  1",
        "long name   12.0  2",
        "b          unavailable: why",
    ]


def test_numbers():
    assert [number(x) for x in (None, 0.12345, 12.3456)] == ["-", "0.123", "12.3"]
    assert number(0.5, signed=True) == "+0.500"
