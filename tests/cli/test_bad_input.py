"""Every kind of bad input ends with exit status 2 and one line: what, where, how to mend it."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from samepoint.cli.main import run


@pytest.fixture
def fails(capsys):
    def check(arguments, *parts):
        capsys.readouterr()
        assert run([str(a) for a in arguments]) == 2
        captured = capsys.readouterr()
        lines = [line for line in captured.err.splitlines() if line.strip()]
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("samepoint: ")
        for part in parts:
            assert str(part) in lines[0]

    return check


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, size in enumerate([(60, 80), (64, 64), (90, 50)]):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (*size, 3), dtype=np.uint8))
    return folder


@pytest.fixture
def frames(tmp_path):
    """Three frames of a flat wall, in the colour / depth / pose form."""
    root = tmp_path / "frames"
    rng = np.random.default_rng(0)
    for name in ("color", "depth", "pose"):
        (root / name).mkdir(parents=True)
    for i in range(3):
        cv2.imwrite(str(root / f"color/{i:06d}.png"), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
        cv2.imwrite(str(root / f"depth/{i:06d}.png"), np.full((48, 64), 800, np.uint16))
        pose = np.eye(4)
        pose[0, 3] = 0.01 * i
        np.savetxt(root / f"pose/{i:06d}.txt", pose)
    camera = {
        "width": 64,
        "height": 48,
        "fx": 60.0,
        "fy": 60.0,
        "cx": 31.5,
        "cy": 23.5,
        "depth_unit_m": 0.001,
    }
    (root / "intrinsics.json").write_text(json.dumps(camera))
    return root


def train(data, out, *more, method="identical-view"):
    return ["train", method, "--data", data, "--out", out, "--steps", "1", "--device", "cpu", *more]


def test_missing_path(fails, tmp_path):
    fails(train(tmp_path / "nowhere", tmp_path / "run"), tmp_path / "nowhere", "does not exist")


def test_empty_folder(fails, tmp_path):
    (tmp_path / "empty").mkdir()
    fails(train(tmp_path / "empty", tmp_path / "run"), "empty")


def test_truncated_image(fails, photos, tmp_path):
    content = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(content[: len(content) // 2])
    fails(train(photos, tmp_path / "run"), photos / "1.png")
    assert not (tmp_path / "run").exists()


def test_unreadable_image(fails, photos, tmp_path):
    (photos / "2.png").write_text("not an image")
    fails(train(photos, tmp_path / "run"), photos / "2.png")


def test_images_of_different_sizes_are_fine(photos, tmp_path):
    assert run([str(a) for a in train(photos, tmp_path / "run", "--images", "2", "--points", "16")]) == 0


def test_a_single_image_is_fine_for_identical_view(photos, tmp_path):
    for name in ("1.png", "2.png"):
        (photos / name).unlink()
    assert run([str(a) for a in train(photos, tmp_path / "run", "--images", "2", "--points", "16")]) == 0


def test_a_single_image_cannot_be_paired(fails, photos, tmp_path):
    fails(train(photos, tmp_path / "run", method="don"), "no two views", "identical-view")


def test_a_mask_of_the_wrong_size(fails, photos, tmp_path):
    (photos / "masks").mkdir()
    cv2.imwrite(str(photos / "masks/0.png"), np.full((10, 10), 255, np.uint8))
    fails(train(photos, tmp_path / "run"), "masks/0.png")


def test_depth_without_intrinsics(fails, frames, tmp_path):
    (frames / "intrinsics.json").unlink()
    fails(train(frames, tmp_path / "run", method="don"), "intrinsics")


def test_a_mirrored_pose(fails, frames, tmp_path):
    np.savetxt(frames / "pose/000001.txt", np.diag([-1.0, 1.0, 1.0, 1.0]))
    fails(train(frames, tmp_path / "run", method="don"), "000001.txt", "determinant")


def test_poses_with_nan(fails, frames, tmp_path, capsys):
    """One is a view without a pose, which is said; without any there is nothing to train on."""
    for i in range(3):
        pose = np.loadtxt(frames / f"pose/{i:06d}.txt")
        pose[0, 0] = np.nan
        np.savetxt(frames / f"pose/{i:06d}.txt", pose)
        if i == 0:
            assert run(["data", "info", str(frames)]) == 0
            assert "1 of 3 poses are unknown" in capsys.readouterr().out
    fails(train(frames, tmp_path / "run", method="don"), "pose", "all 3 poses are unknown")


def test_good_frames_train(frames, tmp_path):
    arguments = train(
        frames, tmp_path / "run", "--sampling.pairs", "1", "--sampling.points", "16", method="don"
    )
    assert run([str(a) for a in arguments]) == 0


def test_a_pairs_file_with_points_outside_the_image(fails, photos, tmp_path):
    pairs = photos / "pairs.json"
    pairs.write_text(
        json.dumps(
            {"pairs": [{"image_a": "0.png", "image_b": "1.png", "uv_a": [[5, 5]], "uv_b": [[64.6, 3]]}]}
        )
    )
    run_folder = trained(photos, tmp_path)
    fails(["evaluate", run_folder, "--pairs", pairs], "pair 0", "outside")


def test_evaluate_needs_pairs_or_data(fails, photos, tmp_path):
    fails(["evaluate", trained(photos, tmp_path)], "--pairs", "--data")


def trained(photos, tmp_path):
    out = tmp_path / "trained"
    assert run([str(a) for a in train(photos, out, "--images", "2", "--points", "16")]) == 0
    return out


def test_a_folder_that_is_no_run(fails, photos):
    fails(["find", photos, photos / "0.png"], "not a run")


def test_a_run_of_another_version(fails, photos, tmp_path):
    out = trained(photos, tmp_path)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"version": 99}))
    fails(["find", out, photos / "0.png"], "version 99")


def test_a_half_written_run(fails, photos, tmp_path):
    out = trained(photos, tmp_path)
    (out / "model.safetensors").unlink()
    fails(["find", out, photos / "0.png"], "half-written", "--resume")


def test_a_run_folder_in_use_is_not_overwritten(fails, photos, tmp_path):
    out = trained(photos, tmp_path)
    before = (out / "model.safetensors").read_bytes()
    fails(train(photos, out), "not empty", "--resume")
    assert (out / "model.safetensors").read_bytes() == before


def test_resume_with_other_options(fails, photos, tmp_path):
    out = trained(photos, tmp_path)
    fails([*train(photos, out, "--images", "2", "--points", "16", "--seed", "3"), "--resume"], "seed")


def test_steps_and_minutes_together(fails, photos, tmp_path):
    fails(train(photos, tmp_path / "run", "--minutes", "1"), "steps", "minutes")


def test_frozen_statistics_of_random_weights(fails, photos, tmp_path):
    arguments = train(photos, tmp_path / "run", "--init", "random", "--freeze-norm")
    fails(arguments, "--freeze-norm", "random weights have none")


def test_a_cycle_needs_another_image(fails, photos, tmp_path):
    fails(train(photos, tmp_path / "run", "--images", "1", method="ccl"), "another image", "--images 2")


def test_an_unknown_backbone(fails, photos, tmp_path):
    fails(
        train(photos, tmp_path / "run", "--network.backbone", "mobilenetv3_smal_100"), "mobilenetv3_small_100"
    )


def test_unknown_family(fails, tmp_path):
    fails(["data", "render", "--out", tmp_path / "d", "--families", "teapot"], "teapot", "mug")


def test_a_wrong_size(fails, tmp_path):
    fails(["data", "render", "--out", tmp_path / "d", "--size", "320"], "WIDTHxHEIGHT")


def test_render_into_a_folder_in_use(fails, photos):
    fails(["data", "render", "--out", photos], photos)


def test_unknown_import_format(fails, photos, tmp_path):
    fails(["data", "import", "rosbag", photos, "--out", tmp_path / "d"], "rosbag", "bop", "frames")


def test_unknown_command(fails):
    fails(["trian"], "trian", "train")


def test_a_misspelt_option_is_refused(photos, tmp_path, capsys):
    assert run([str(a) for a in train(photos, tmp_path / "run", "--stpes", "3")]) == 2
    assert "--stpes" in capsys.readouterr().err


def test_copying_a_run_keeps_it_usable(photos, tmp_path):
    import samepoint

    out = trained(photos, tmp_path)
    shutil.copytree(out, tmp_path / "copy")
    finder = samepoint.load(tmp_path / "copy")
    finder.remember("dot", photos / "0.png", uv=(10, 10))
    assert set(finder.find(photos / "0.png")) == {"dot"}


def test_devices_that_are_not_there(fails, photos, tmp_path):
    pairs = tmp_path / "pairs.json"
    pair = {"image_a": "photos/0.png", "image_b": "photos/1.png", "uv_a": [[3, 3]], "uv_b": [[3, 3]]}
    pairs.write_text(json.dumps({"pairs": [pair]}))
    for command in ("evaluate", "compare"):
        asked = [command, "samepoint-small", "--pairs", pairs]
        fails(
            [*asked, "--device", "cuda:99"], "there is no device 'cuda:99' here", "use --device auto or cpu"
        )
        fails([*asked, "--device", "gpu"], "device 'gpu' is unknown; choose one of: auto, cpu, cuda, mps")
    assert run(["evaluate", "samepoint-small", "--pairs", str(pairs), "--no-baselines"]) == 0  # auto
    found = ["find", "samepoint-small", str(photos / "0.png")]
    fails([*found, "--device", "cuda:99"], "there is no device 'cuda:99' here")


def test_fusion_on_cuda_without_it(fails, frames, tmp_path, monkeypatch):
    open3d = pytest.importorskip("open3d")
    monkeypatch.setattr(open3d.core.cuda, "is_available", lambda: False)
    asked = ["data", "fuse", frames, "--out", tmp_path / "out", "--device", "cuda"]
    fails(asked, "this build of Open3D finds no CUDA")


def test_text_of_other_systems_and_files_that_may_not_be_read(fails, frames, tmp_path):
    (frames / "train.txt").write_bytes("000000.png\r\ncolor\\000001.png\r\n".encode("utf-16"))
    assert run(["data", "import", "frames", str(frames), "--out", str(tmp_path / "out")]) == 0
    (frames / "pose" / "000001.txt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    fails(["data", "info", frames], "000001.txt: is a pointer of Git LFS", "git lfs pull")


@pytest.mark.usefixtures("rights_bind")
def test_what_may_not_be_read(photos, tmp_path, fails, capsys):
    (photos / "locked").mkdir()
    (photos / "locked").chmod(0)
    assert run(["data", "info", str(photos)]) == 0
    (photos / "1.png").chmod(0)
    fails(
        ["train", "identical-view", "--data", photos, "--out", tmp_path / "r", "--steps", "1"],
        "1.png: may not be read (permission denied)",
    )
    photos.chmod(0)
    for command in (["data", "info", photos], ["evaluate", photos, "--pairs", photos / "pairs.json"]):
        fails(command, "photos", "ermission denied")
    fails(["find", "samepoint-small", "--keypoints", photos / "k.sqlite", "a.png"], "ermission denied")
