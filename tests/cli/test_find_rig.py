"""`samepoint find` with a run that has named keypoints: 3-D in recordings of several cameras, 2-D in images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.inference.spots import (
    BROWN,
    NAMES,
    POINTS,
    SIGMA,
    looking_at_origin,
    pictures,
    recorded,
    ring,
    spot_network,
)

import samepoint
from samepoint.cli.main import run
from samepoint.data.rig.anipose import write_calibration
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.models.weights import save_network
from samepoint.workflows import rig_finding
from samepoint.workflows.rig_finding import find_in_recordings


def moved(k):
    """The keypoints in moment k."""
    return {name: (x, y, z + 0.02 * k) for name, (x, y, z) in POINTS.items()}


def write_recording(folder, cameras, moments=("000", "001", "002"), calibration=True):
    for k, moment in enumerate(moments):
        for name, image in pictures(cameras, points=moved(k)).items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / name / f"{moment}.png")
    if calibration:
        write_calibration(folder / "calibration.toml", cameras)
    return folder


@pytest.fixture
def trained(tmp_path):
    """A run whose network is exchanged for the one that sees spots, if `seeing` asks for it."""
    network = HeatmapNetwork(UNetConfig((4, 8), 1), NAMES, torch.Generator().manual_seed(0))
    save_network(tmp_path / "run", network, {"recipe": {"sigma": SIGMA}, "max_size": 320})
    return tmp_path / "run"


@pytest.fixture
def seeing(trained, monkeypatch):
    def load(*arguments, **options):
        finder = samepoint.load_rig(*arguments, **options)
        finder.network = spot_network
        return finder

    monkeypatch.setattr(rig_finding, "load_rig", load)
    return trained


def find(capsys, *arguments):
    capsys.readouterr()
    assert run(["find", *(str(a) for a in arguments)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def fails(capsys, *arguments):
    capsys.readouterr()
    assert run(["find", *(str(a) for a in arguments)]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.strip())
    return line


def test_a_line_a_moment(seeing, tmp_path, capsys):
    folder = write_recording(tmp_path / "test", ring(3, lens=BROWN))
    lines = find(capsys, seeing, folder, "--json", tmp_path / "found.json", "--draw", tmp_path / "drawn")
    assert [line["recording"] for line in lines] == ["test"] * 3
    assert [line["moment"] for line in lines] == ["000", "001", "002"]
    for k, line in enumerate(lines):
        assert tuple(line["keypoints"]) == NAMES
        for name, found in line["keypoints"].items():
            assert set(found) == {"xyz", "sigma_mm", "confidence", "visible", "views"}
            np.testing.assert_allclose(found["xyz"], moved(k)[name], atol=2e-3)
            assert all(0 < value < 10 for value in found["sigma_mm"])
            assert found["views"] == ["cam0", "cam1", "cam2"]
    rows = json.loads((tmp_path / "found.json").read_text())["moments"]
    assert [row["moment"] for row in rows] == ["000", "001", "002"]
    red = rows[0]["keypoints"]["red"]
    np.testing.assert_allclose(1e3 * np.sqrt(np.diag(red["covariance"])), red["sigma_mm"])
    assert set(red["uv"]) == set(red["projected"]) == {"cam0", "cam1", "cam2"}
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == ["test_000.png", "test_001.png", "test_002.png"]
    with Image.open(tmp_path / "drawn" / drawn[0]) as picture:
        assert picture.size == (3 * 256, 192)


def test_folders_of_several_recordings(seeing, tmp_path, capsys):
    for name in ("a", "b"):
        write_recording(tmp_path / "data" / name, ring(2), ("9", "10"))
    lines = find(capsys, seeing, tmp_path / "data", tmp_path / "data/b", "--draw", tmp_path / "drawn")
    assert [line["recording"] for line in lines] == ["a", "a", "b", "b", "b", "b"]
    drawn = {"a_9.png", "a_10.png", "b_9.png", "b_10.png", "b_9_2.png", "b_10_2.png"}
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == drawn


def test_a_calibration_takes_the_place_of_the_recordings_own(seeing, tmp_path, capsys):
    cameras = ring(3)
    bare = write_recording(tmp_path / "bare", cameras, calibration=False)
    write_calibration(tmp_path / "good.toml", cameras)
    assert "no moment with two calibrated views" in fails(capsys, seeing, bare)
    lines = find(capsys, seeing, bare, "--calibration", tmp_path / "good.toml")
    np.testing.assert_allclose(lines[1]["keypoints"]["red"]["xyz"], moved(1)["red"], atol=2e-3)
    wrong = {
        name: replace(camera, world_from_camera=looking_at_origin(c).float())
        for c, (name, camera) in enumerate(cameras.items())
    }
    write_calibration(bare / "calibration.toml", wrong)
    assert find(capsys, seeing, bare, "--calibration", tmp_path / "good.toml") == lines


def test_moments_with_fewer_views(seeing, tmp_path, capsys):
    folder = write_recording(tmp_path / "test", ring(3))
    (folder / "cam0/000.png").unlink()
    (folder / "cam0/001.png").unlink()
    (folder / "cam2/001.png").unlink()
    two, one, three = (line["keypoints"]["red"] for line in find(capsys, seeing, folder))
    assert two["views"] == ["cam1", "cam2"]
    np.testing.assert_allclose(two["xyz"], moved(0)["red"], atol=2e-3)
    nowhere = {"xyz": None, "sigma_mm": None, "confidence": 0.0, "visible": False, "views": []}
    assert one == nowhere
    assert three["visible"]


def test_moments_come_one_at_a_time(seeing, tmp_path):
    folder = write_recording(tmp_path / "test", ring(2))
    (folder / "cam1/002.png").write_bytes((folder / "cam1/002.png").read_bytes()[:500])
    moments = find_in_recordings(seeing, [folder])
    assert [next(moments).moment, next(moments).moment] == ["000", "001"]
    with pytest.raises(samepoint.errors.DataError, match=r"cam1/002\.png.*damaged or truncated"):
        next(moments)


def test_a_truncated_image_is_named(trained, tmp_path, capsys):
    folder = write_recording(tmp_path / "test", ring(2))
    (folder / "cam1/001.png").write_bytes((folder / "cam1/001.png").read_bytes()[:500])
    line = fails(capsys, trained, folder, "--json", tmp_path / "found.json")
    assert str(folder / "cam1/001.png") in line
    assert "damaged or truncated" in line
    assert not (tmp_path / "found.json").exists()


def test_images_alone_are_looked_at_in_pixels(trained, tmp_path, capsys):
    folder = write_recording(tmp_path / "test", ring(2))
    image = folder / "cam0/000.png"
    (row,) = find(capsys, trained, image, "--json", tmp_path / "hits.json", "--draw", tmp_path / "drawn")
    assert row["image"] == str(image)
    assert tuple(row["hits"]) == NAMES
    assert set(row["hits"]["red"]) == {"uv", "confidence", "visible"}
    assert (tmp_path / "hits.json").is_file()
    assert (tmp_path / "drawn/000.png").is_file()


def test_bad_input_is_one_line(trained, tmp_path, capsys):
    folder = write_recording(tmp_path / "test", ring(2))
    image = folder / "cam0/000.png"
    assert "is not a folder; give recordings alone, or images alone" in fails(capsys, trained, folder, image)
    assert "takes no database" in fails(capsys, trained, folder, "--keypoints", "k.sqlite")
    calibration = folder / "calibration.toml"
    assert "--calibration is for recordings" in fails(capsys, trained, image, "--calibration", calibration)
    assert "no moment with two calibrated views" in fails(capsys, trained, folder / "cam0")
    assert "does not exist" in fails(capsys, trained, folder, "--calibration", tmp_path / "none.toml")
    (tmp_path / "empty").mkdir()
    assert "empty" in fails(capsys, trained, tmp_path / "empty")


def test_a_training_tells_its_run_where_to_look(tmp_path, capsys):
    """End to end: a label, a few steps, points."""
    cameras = ring(3)
    folder = write_recording(tmp_path / "train", cameras)
    labelled = [(m, camera, "red") for m in range(2) for camera in cameras]
    labelled += [(0, "cam0", "blue"), (0, "cam1", "blue")]
    lines = ["moment,camera,keypoint,u,v"]
    for m, camera, name in labelled:
        u, v = recorded(cameras[camera], moved(m)[name])
        lines.append(f"{m:03d},{camera},{name},{u},{v}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    small = ["--network.channels", "4", "8", "--network.blocks", "1", "--size", "64", "--labelled", "1"]
    options = [
        "--unlabelled",
        "1",
        "--look-for",
        "labelled",
        "--steps",
        "2",
        "--device",
        "cpu",
        "--workers",
        "0",
    ]
    arguments = ["train", "s3k", "--data", folder, "--out", tmp_path / "run", *small, *options]
    assert run([str(a) for a in arguments]) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["looked_for"] == {"cam0": ["red", "blue"], "cam1": ["red", "blue"], "cam2": ["red"]}
    finder = samepoint.load_rig(tmp_path / "run", folder / "calibration.toml", "cpu")
    hits = finder.find({name: folder / name / "002.png" for name in cameras})
    assert set(hits["blue"].uv) == {"cam0", "cam1"}
    assert set(hits["red"].uv) == set(cameras)
    assert len(find(capsys, tmp_path / "run", folder)) == 3
