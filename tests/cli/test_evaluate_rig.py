"""`samepoint evaluate` of a run with named keypoints."""

import json
import shutil

import pytest
from tests.recipes.dots import tiny_run

from samepoint.cli.main import run
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.models.weights import save_network


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
    assert values["trained_on"] is False
    assert "trained on" not in "\n".join(lines)
    assert (tmp_path / "e.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        (["--pairs", "pairs.json"], "--pairs: "),
        (["--data", ".", "--predictions", "x"], "--predictions: "),
        (["--data", ".", "--no-baselines"], "--no-baselines: "),
        (["--data", ".", "--number", "7"], "--number: "),
        (["--data", ".", "--seed", "7"], "--seed: "),
        ([], ""),
    ],
)
def test_what_an_s3k_run_cannot_be_asked_is_one_line(trained, capsys, given, where):
    assert run(["evaluate", str(trained), *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert where in line
    assert "give --data DIR (docs/multi-camera.md)" in line


def test_what_was_trained_on_is_said_in_table_and_report(trained, tmp_path, capsys):
    files = ["--json", str(tmp_path / "e.json"), "--report", str(tmp_path / "e.html")]
    assert run(["evaluate", str(trained), "--data", str(trained.parent / "data" / "train"), *files]) == 0
    line = "these moments were trained on"
    assert line in capsys.readouterr().out.splitlines()[-1]
    assert line in (tmp_path / "e.html").read_text()
    assert json.loads((tmp_path / "e.json").read_text())["trained_on"] is True


def test_runs_with_named_keypoints_are_compared_in_one_table(trained, tmp_path, capsys):
    other, data = tmp_path / "other", str(trained.parent / "data")
    shutil.copytree(trained, other)
    assert run(["compare", str(trained), str(other), "--data", data, "--json", str(tmp_path / "c.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["run", "other", "chance"]
    assert "visible" in lines[0]
    assert "5 moments of 4 cameras" in lines[4]
    values = json.loads((tmp_path / "c.json").read_text(), parse_constant=pytest.fail)
    assert run(["evaluate", str(trained), "--data", data, "--json", str(tmp_path / "e.json")]) == 0
    alone = json.loads((tmp_path / "e.json").read_text())
    row = values["rows"]["run"]
    assert row == values["rows"]["other"] | {"provenance": alone["provenance"]}
    assert {key: row[key] for key in alone["readings"]["mode, refined"]} == alone["readings"]["mode, refined"]
    assert values["baselines"] == alone["baselines"]
    assert row["trained_on"] is False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give --data DIR (docs/multi-camera.md)"),
        (["--pairs", "pairs.json"], "--pairs: this run has named keypoints"),
        (["--data", ".", "--number", "7"], "--number: this run has named keypoints"),
        (["--data", ".", "--seed", "7"], "--seed: this run has named keypoints"),
        (["described"], "described: has descriptors, and"),
        (["stranger", "--data", "data"], "stranger: knows other keypoints than 'run'"),
    ],
)
def test_what_cannot_be_compared_is_one_line(trained, tmp_path, monkeypatch, capsys, given, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(trained.parent / "data")
    save_network("described", DescriptorNetwork(NetworkConfig()))
    config = json.loads((trained / "config.json").read_text())
    save_network("stranger", HeatmapNetwork(UNetConfig((8, 16), 1), ("blue",)), config | {"heatmaps": None})
    assert run(["compare", str(trained), *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
