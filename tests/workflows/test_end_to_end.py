"""What a user does, at toy size: train, evaluate, compare, find; kill and resume; the demo's own protocol."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

import samepoint
from samepoint.cli.main import run
from samepoint.data.open import open_dataset
from samepoint.models.config import NetworkConfig
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.log import read_log
from samepoint.workflows import evaluation as evaluating
from samepoint.workflows.demonstration import SHORT_RUN, Demo, demo

pytestmark = pytest.mark.slow

TINY = NetworkConfig("mobilenetv3_small_100", dim=8, width=16, levels=None)
NETWORK = [
    "--network.backbone", TINY.backbone, "--network.levels", "None", "--network.dim", "8", "--network.width", "16",
]  # fmt: skip
COMMON = [*NETWORK, "--points", "64", "--device", "cpu", "--size", "128", "--log-every", "5"]
QUICK = [*("--sampling.points" if word == "--points" else word for word in COMMON), "--sampling.pairs", "2"]


HARDLY_AUGMENTED = [
    "--augmentation.rotation", "0", "--augmentation.scale", "1", "1", "--augmentation.perspective", "0",
    "--augmentation.colour", "0.1", "--augmentation.grey", "0", "--augmentation.background", "0",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(rendered, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "don"
    arguments = ["train", "don", "--data", str(rendered), "--out", str(out), "--steps", "250", "--lr", "3e-3"]
    assert run([*arguments, *QUICK, *HARDLY_AUGMENTED]) == 0
    return out


@pytest.fixture(scope="module")
def pairs(rendered, tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs") / "pairs.json"
    assert run(["data", "pairs", str(rendered), "--out", str(out), "--number", "12", "--split", "train"]) == 0
    return out


@pytest.fixture
def without_sift(monkeypatch):
    """SIFT, at many scales and turns, takes two thirds of an evaluation's time: it is evaluated once here."""
    make = evaluating.default_baselines

    def others(*arguments, **named):
        return {name: one for name, one in make(*arguments, **named).items() if name != "sift"}

    monkeypatch.setattr(evaluating, "default_baselines", others)


def test_a_trained_network_beats_chance_and_the_untrained_one(trained, pairs, tmp_path, capsys):
    report, out = tmp_path / "report.html", tmp_path / "evaluation.json"
    code = run(["evaluate", str(trained), "--pairs", str(pairs), "--json", str(out), "--report", str(report)])
    assert code == 0
    evaluation = json.loads(out.read_text())
    baselines = evaluation["baselines"]
    assert evaluation["pck"]["10"] > 3 * baselines["chance"]["pck"]["10"]
    assert evaluation["pck"]["10"] > baselines["untrained"]["pck"]["10"] + 0.05
    assert {"sift", "untrained", "chance"} <= set(baselines)
    assert "PCK@10" in capsys.readouterr().out
    html = report.read_text()
    assert html.count("data:image/") >= 4
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_the_run_folder_is_complete(trained):
    assert {"config.json", "model.safetensors", "metrics.json", "metrics.csv", "checkpoints"} <= {
        path.name for path in trained.iterdir()
    }
    config = json.loads((trained / "config.json").read_text())
    assert config["method"] == "don"
    assert config["data"]["fingerprint"]
    assert config["max_size"] == 128
    assert config["commit"]
    assert config["command"]


@pytest.mark.usefixtures("without_sift")
def test_compare_and_predictions_of_others(trained, pairs, tmp_path, capsys):
    exported = tmp_path / "answers"
    own = ["evaluate", str(trained), "--pairs", str(pairs), "--no-baselines", "--export", str(exported)]
    first = json_of(own, tmp_path / "a.json")
    others = ["evaluate", "--pairs", str(pairs), "--predictions", str(exported / "don.json")]
    assert first["pck"] == json_of(others, tmp_path / "b.json")["pck"]
    assert run(["compare", str(trained), str(trained), "--pairs", str(pairs)]) == 0
    assert "difference" in capsys.readouterr().out


def json_of(arguments, path):
    assert run([*arguments, "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_find_what_was_remembered(trained, rendered, tmp_path, capsys):
    view = open_dataset(rendered).split("test").views()[0]
    image = np.asarray(Image.open(view.image).convert("RGB"))
    finder = samepoint.load(trained)
    finder.remember("corner", image, uv=(60, 40))
    hit = finder.find(image)["corner"]
    assert np.hypot(hit.uv[0] - 60, hit.uv[1] - 40) < 4
    out, drawn = tmp_path / "hits.json", tmp_path / "drawn"
    assert run(["find", str(trained), str(view.image), "--json", str(out), "--draw", str(drawn)]) == 0
    (row,) = json.loads(out.read_text())["images"]
    assert np.allclose(row["hits"]["corner"]["uv"], hit.uv, atol=1e-3)
    assert len(list(drawn.glob("*.png"))) == 1


def test_a_killed_command_resumes_to_the_same_weights(rendered, tmp_path):
    """SIGTERM in the middle of a real process; the resumed run equals one that was left alone."""
    arguments = ["train", "don", "--data", str(rendered), "--steps", "40", *QUICK]
    assert run([*arguments, "--out", str(tmp_path / "whole")]) == 0
    killed = tmp_path / "killed"
    code = "import sys; from samepoint.cli.main import run; sys.exit(run(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments, "--out", str(killed)])
    deadline = time.monotonic() + 600
    while not (killed / "metrics.csv").is_file() or len((killed / "metrics.csv").read_text().split()) < 3:
        assert time.monotonic() < deadline, "the training did not start"
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(300) == 130
    assert not (killed / "model.safetensors").exists()
    assert run([*arguments, "--out", str(killed), "--resume"]) == 0
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(np.allclose(whole[name], resumed[name], rtol=1e-4, atol=1e-5) for name in whole)


def test_identical_view_trains_on_photos_of_mixed_sizes(realdata, tmp_path):
    data = realdata / "photos_dreambooth" / "shiny_sneaker"
    folder = data if data.is_dir() else next(p for p in data.parent.iterdir() if p.is_dir())
    quick = [*COMMON, "--images", "2"]
    out = tmp_path / "run"
    assert (
        run(["train", "identical-view", "--data", str(folder), "--out", str(out), "--steps", "6", *quick])
        == 0
    )
    assert (out / "model.safetensors").is_file()


def test_the_demo_runs_through_and_keeps_what_is_done(rendered, tmp_path):
    """At toy size: every file is there, and a second call trains and renders nothing anew."""
    shutil.copytree(rendered, tmp_path / "demo" / "data")
    recipe = replace(
        SHORT_RUN,
        network=TINY,
        augmentation=replace(SHORT_RUN.augmentation, view=(64, 64)),
    )
    settings = Demo(minutes=0.03, pairs=2, recipe=recipe)
    said = []
    first = demo(tmp_path / "demo", settings, said.append)
    files = {"data", "run", "pairs.json", "evaluation.json", "report.html"}
    assert files <= {path.name for path in (tmp_path / "demo").iterdir()}
    assert {"chance", "sift", "untrained"} <= set(first["baselines"])
    assert json.loads((tmp_path / "demo" / "run" / "config.json").read_text())["recipe"]["sampling"]["pairs"]
    written = (tmp_path / "demo" / "run" / "model.safetensors").stat().st_mtime_ns
    second = demo(tmp_path / "demo", settings, said.append)
    assert second["pck"] == first["pck"]
    assert (tmp_path / "demo" / "run" / "model.safetensors").stat().st_mtime_ns == written
    assert any("open" in line and "report.html" in line for line in said)


@pytest.mark.usefixtures("without_sift")
def test_ccl_learns_from_images_alone(tmp_path):
    """A shuffled recording from above, no geometry, both stages: better than chance by far and than untrained."""
    data, pairs, out = tmp_path / "data", tmp_path / "pairs.json", tmp_path / "ccl"
    settings = RenderSettings(
        families=("mug", "box"), mode="shuffle", views=34, size=(96, 128), split_scenes=(1, 0, 0),
        instances=(2, 1, 1), objects_per_scene=(4, 4), distractors=(0, 0), max_yaw=30.0, workers=1,
    )  # fmt: skip
    render_dataset(data, settings)
    assert run(["data", "pairs", str(data), "--out", str(pairs), "--number", "24", "--split", "train"]) == 0
    quick = [
        *COMMON, "--images", "4", "--lr", "3e-3", "--augmentation.rotation", "30", "--augmentation.translation",
        "0.25", "--augmentation.colour", "0.1", "--augmentation.perspective", "0",
    ]  # fmt: skip
    assert run(["train", "ccl", "--data", str(data), "--out", str(out), "--steps", "240", *quick]) == 0
    stages = [row["stage"] for row in read_log(out)]
    assert stages.count("identical-view") == stages.count("cycle") == 24
    evaluation = json_of(["evaluate", str(out), "--pairs", str(pairs)], tmp_path / "ccl.json")
    assert evaluation["pck"]["10"] > 8 * evaluation["baselines"]["chance"]["pck"]["10"]
    assert evaluation["pck"]["10"] > evaluation["baselines"]["untrained"]["pck"]["10"] + 0.03
    further = tmp_path / "further"
    arguments = ["train", "ccl", "--data", str(data), "--out", str(further), "--init", str(out)]
    assert run([*arguments, "--steps", "5", *quick]) == 0
    assert {row["stage"] for row in read_log(further)} == {"cycle"}
