"""`samepoint evaluate` of a run with named keypoints."""

import json

import pytest
from tests.recipes.dots import tiny_run

from samepoint.cli.main import run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("tiny"))


def test_it_prints_a_table_and_writes_json_and_a_report(trained, tmp_path, capsys):
    files = ["--json", str(tmp_path / "e.json"), "--report", str(tmp_path / "e.html")]
    assert run(["evaluate", str(trained), "--data", str(trained.parent / "data"), *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line[: lines[0].index("views")].strip() for line in lines[1:]]
    assert names[:7] == [
        "mean",
        "mode",
        "mode, refined",
        "chance",
        "by keypoint (mode, refined)",
        "red",
        "blue",
    ]
    assert "median mm" in lines[0]
    assert "5 moments of 4 cameras; 10 points known in space" in lines[8]
    values = json.loads((tmp_path / "e.json").read_text(), parse_constant=pytest.fail)
    assert set(values["readings"]) == {"mean", "mode", "mode, refined"}
    assert values["provenance"]["recordings"] == ["test"]
    assert (tmp_path / "e.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        (["--pairs", "pairs.json"], "--pairs: "),
        (["--data", ".", "--predictions", "x"], "--predictions: "),
        ([], ""),
    ],
)
def test_what_an_s3k_run_cannot_be_asked_is_one_line(trained, capsys, given, where):
    assert run(["evaluate", str(trained), *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert where in line
    assert "give --data DIR (docs/multi-camera.md)" in line
