"""What a user of mined descriptors does, at toy size: train, find, kill and resume, poses, one photo, bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

import samepoint
from samepoint.cli.main import run
from samepoint.data.decode import decode_mask
from samepoint.data.mesh import load_mesh
from samepoint.data.open import open_dataset
from samepoint.data.recording import Symmetry
from samepoint.data.symmetries import symmetry_motions
from samepoint.errors import RunError
from samepoint.evaluation.pose_errors import TURNS
from samepoint.workflows.poses import OBJECTS, load_pose_finder, read_objects

pytestmark = pytest.mark.slow

QUICK = [
    "--device", "cpu", "--workers", "0", "--images", "4", "--group", "2", "--keypoints", "12",
    "--resolution", "cells",
    "--network.backbone", "resnet10t", "--network.head", "pyramid", "--network.stride", "4", "--network.levels", "4",
    "--network.dim", "8", "--network.width", "16", "--cutting.size", "64", "64", "--size", "128", "--init", "random",
]  # fmt: skip


def train(data, out, *more):
    return ["train", "mined", "--data", str(data), "--out", str(out), *QUICK, *more]


@pytest.fixture(scope="module")
def trained(rendered, tmp_path_factory):
    out = tmp_path_factory.mktemp("mined") / "run"
    assert run(train(rendered, out, "--steps", "12")) == 0
    return out


@pytest.fixture
def fails(capsys):
    def check(arguments, *parts):
        capsys.readouterr()
        assert run([str(a) for a in arguments]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        lines = [line for line in lines if line.startswith("samepoint: ")]
        assert len(lines) == 1
        for part in parts:
            assert str(part) in lines[0]

    return check


def test_a_mined_run_finds_like_any_other(trained, rendered, tmp_path, capsys):
    view = open_dataset(rendered).split("test").views()[0]
    image = np.asarray(Image.open(view.image).convert("RGB"))
    finder = samepoint.load(trained, tmp_path / "keys.sqlite")
    finder.remember("corner", image, uv=(60, 40))
    hit = finder.find(image)["corner"]
    assert np.hypot(hit.uv[0] - 60, hit.uv[1] - 40) < 4
    assert run(["evaluate", str(trained), "--data", str(rendered), "--number", "4", "--no-baselines"]) == 0
    assert "PCK" in capsys.readouterr().out
    header = (trained / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"views/consistency", "views/pose", "views/residual"} <= set(header)


def test_a_killed_training_goes_on_to_the_same_weights(rendered, tmp_path):
    arguments = train(rendered, tmp_path / "whole", "--steps", "30")
    assert run(arguments) == 0
    killed = tmp_path / "killed"
    arguments[arguments.index("--out") + 1] = str(killed)
    code = "import sys; from samepoint.cli.main import run; sys.exit(run(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    deadline = time.monotonic() + 600
    while not (killed / "metrics.csv").is_file() or len((killed / "metrics.csv").read_text().split()) < 2:
        assert time.monotonic() < deadline, "the training did not start"
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(300) == 130
    assert run([*arguments, "--resume"]) == 0
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert set(whole) == set(resumed)
    assert all(np.allclose(whole[name], resumed[name], rtol=1e-3, atol=1e-4) for name in whole)


def test_poses_are_found_scored_and_remembered(trained, rendered, tmp_path, capsys):
    out = tmp_path / "poses.json"
    arguments = ["pose", str(trained), str(rendered), "--masked", "--json", str(out)]
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    content = json.loads(out.read_text())
    assert set(content["scores"]) == {"camera", "regressed", "pixels"}
    dataset = open_dataset(rendered)
    for lift, row in content["scores"].items():
        poses = [pose for pose in content["poses"] if pose["lift"] == lift]
        found = [pose for pose in poses if pose["camera_from_object"] is not None]
        assert f"{lift}: a pose in {len(found)} of {len(poses)} views" in printed
        assert row["views"] == len(poses)
        assert row["failed"] == pytest.approx(1 - len(found) / len(poses))
        if not found:  # after 12 steps one lift may find nothing
            assert row["median_degrees"] is None
            continue
        assert row["median_degrees"] == pytest.approx(np.median(degrees_off(found, dataset)), abs=0.05)
        assert 0 < row["median_degrees"] <= 180
        assert all(pose["inliers"] >= 6 for pose in found)
    assert any(pose["camera_from_object"] is not None for pose in content["poses"])
    assert sorted(read_objects(trained / OBJECTS)) == shown_in(dataset.split("train"))
    assert shown_in(dataset.split("train")) != shown_in(dataset)
    content = json.loads((trained / OBJECTS).read_text())
    content["objects"] = {"1": content["objects"]["1"]}
    (trained / OBJECTS).write_text(json.dumps(content))
    assert list(load_pose_finder(trained).objects) == [1]  # read, not learnt again
    assert sorted(load_pose_finder(trained, rendered).objects) == shown_in(dataset)


def shown_in(dataset):
    """The ids of the objects with a mask of 64 pixels or more."""
    placements = [placement for view in dataset.views() for placement in view.placements]
    return sorted({p.object_id for p in placements if decode_mask(p.mask).sum() >= 64})


def degrees_off(poses, dataset):
    """The angle from each pose to the true one, or to the equivalent of it with the smallest mean distance of the
    vertices, one after the other."""
    truths = {
        (str(v.image), p.object_id): p.camera_from_object for v in dataset.views() for p in v.placements
    }
    found = []
    for row in poses:
        model = dataset.objects[row["object"]]
        here, true = np.array(row["camera_from_object"]), truths[row["image"], row["object"]].double().numpy()
        points = np.c_[load_mesh(model).vertices.double().numpy(), np.ones(len(load_mesh(model).vertices))]
        motions = symmetry_motions(model.symmetry or Symmetry(), TURNS).double().numpy()
        equal = [true @ motion for motion in motions]
        best = min(equal, key=lambda one: np.linalg.norm(points @ (one - here).T, axis=1).mean())
        cosine = (np.trace(best[:3, :3].T @ here[:3, :3]) - 1) / 2
        found.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return found


def test_what_is_not_a_file_of_objects(trained, rendered, tmp_path, fails):
    copy = shutil.copytree(trained, tmp_path / "run")
    (copy / OBJECTS).write_text("[1, 2")
    with pytest.raises(RunError, match="does not hold keypoints of objects"):
        load_pose_finder(copy)
    fails(["pose", copy, rendered], "does not hold keypoints", "remove it")
    fails(["pose", copy, rendered, "--device", "gpu"], "device 'gpu' is unknown")


@pytest.fixture
def photo(tmp_path):
    """A coloured disc on a textured ground, with its mask."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8), (160, 120))
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (80, 60), 35, 255, -1)
    image[mask > 0] = cv2.resize(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8), (160, 120))[mask > 0]
    cv2.imwrite(str(tmp_path / "photo.png"), image)
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    return tmp_path


def test_one_photo_and_a_mask_are_enough(photo, rendered, fails):
    data, out = photo / "data", photo / "run"
    image, mask = str(photo / "photo.png"), str(photo / "mask.png")
    assert run(["data", "photo", image, "--mask", mask, "--out", str(data)]) == 0
    assert run(train(data, out, "--steps", "3")) == 0
    assert samepoint.load(out).names == ()
    fails(["pose", out, data], "no object has a mask and a pose", "--reference")


def test_more_keypoints_than_the_mask_has_pixels(photo, fails):
    data = photo / "data"
    image, mask = str(photo / "photo.png"), str(photo / "mask.png")
    assert run(["data", "photo", image, "--mask", mask, "--out", str(data)]) == 0
    arguments = train(data, photo / "run", "--steps", "1", "--keypoints", "9000")
    fails(arguments, "9000 keypoints on an object of", "--keypoints")
    assert not (photo / "run").exists()


def test_photos_without_a_mask(photo, fails):
    folder = photo / "plain"
    folder.mkdir()
    shutil.copy(photo / "photo.png", folder)
    fails(train(folder, photo / "run", "--steps", "1"), "no image has a mask", "data photo")


def test_an_empty_mask(photo, fails):
    folder = photo / "plain"
    (folder / "masks").mkdir(parents=True)
    shutil.copy(photo / "photo.png", folder)
    cv2.imwrite(str(folder / "masks" / "photo.png"), np.zeros((120, 160), np.uint8))
    fails(train(folder, photo / "run", "--steps", "1"), "photo.png", "mask is empty")


def test_a_run_of_another_method_has_no_poses(rendered, tmp_path, fails):
    out = tmp_path / "don"
    quick = [
        "--device",
        "cpu",
        "--workers",
        "0",
        "--network.dim",
        "8",
        "--network.width",
        "16",
        "--init",
        "random",
    ]
    assert run(["train", "don", "--data", str(rendered), "--out", str(out), "--steps", "1", *quick]) == 0
    fails(["pose", out, rendered], "no keypoints of its own", "train mined")
