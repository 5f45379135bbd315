"""Rendered cells: whole recordings, true to their own geometry, repeatable, training and test apart."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from samepoint.cli.main import run
from samepoint.data.rig.anipose import read_calibration
from samepoint.data.rig.camera import Camera
from samepoint.errors import DataError
from samepoint.sim.cell import CellSettings, render_cell
from samepoint.sim.cell.cameras import cell_cameras
from samepoint.sim.cell.plan import recordings
from samepoint.sim.cell.render import make_actor
from samepoint.sim.cell.stage import build_stage, clear_table, place_beside
from samepoint.sim.pool import stream
from samepoint.sim.renderer import load_mujoco

SMALL = {"moments": 3, "test_moments": 2, "size": (48, 64), "workers": 1, "seed": 3}
Render = Callable[..., Path]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Renders with the given changes to SMALL, once each."""
    done: dict[str, Path] = {}

    def render(**what: object) -> Path:
        key = repr(sorted(what.items()))
        if key not in done:
            settings = CellSettings(**{**SMALL, **what})  # type: ignore[arg-type]
            done[key] = render_cell(tmp_path_factory.mktemp("cell") / "data", settings)
        return done[key]

    return render


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def points_of(recording: Path) -> dict[tuple[str, str], np.ndarray]:
    rows = table(recording / "points.csv")
    return {(r["moment"], r["keypoint"]): np.array([float(r[a]) for a in "xyz"]) for r in rows}


def cameras_of(recording: Path, moment: str) -> dict[str, Camera]:
    fixed = recording / "calibration.toml"
    return read_calibration(fixed if fixed.exists() else recording / "calibration" / f"{moment}.toml")


def pixel(camera: Camera, point: np.ndarray) -> np.ndarray:
    pose = camera.world_from_camera.double().numpy()
    xyz = camera.intrinsics.double().numpy() @ (pose[:3, :3].T @ (point - pose[:3, 3]))
    return xyz[:2] / xyz[2]


def fingerprint(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("fixed", [False, True])
def test_recordings_are_whole(rendered: Render, fixed: bool) -> None:
    root = rendered(fixed_cameras=fixed, cameras=3)
    assert {p.name for p in root.iterdir()} == {"cell.json", "train_00", "test_00"}
    for name, moments in (("train_00", 3), ("test_00", 2)):
        names = [f"{moment:06d}" for moment in range(moments)]
        assert (root / name / "calibration.toml").exists() == fixed
        for camera in ("cam0", "cam1", "cam2"):
            images = sorted((root / name / camera).iterdir())
            assert [p.name for p in images] == [f"{moment}.png" for moment in names]
            assert all(cv2.imread(str(p)).shape == (48, 64, 3) for p in images)
        for moment in names:
            assert list(cameras_of(root / name, moment)) == ["cam0", "cam1", "cam2"]
        known = json.loads((root / "cell.json").read_text())["keypoints"]
        assert list(points_of(root / name)) == [(m, k) for m in names for k in known]


@pytest.mark.parametrize("kind", ["box", "shoe", "plush", "cable"])
def test_convention_points_project_to_the_labels(rendered: Render, kind: str) -> None:
    root = rendered(kind=kind)
    labelled = 0
    for recording in (root / "train_00", root / "test_00"):
        labels = {(r["moment"], r["camera"], r["keypoint"]): r for r in table(recording / "labels.csv")}
        for (moment, keypoint), point in points_of(recording).items():
            for name, camera in cameras_of(recording, moment).items():
                u, v = pixel(camera, point)
                row = labels.get((moment, name, keypoint))
                assert (row is not None) == (-0.5 <= u < 63.5 and -0.5 <= v < 47.5)
                if row is not None:
                    assert np.allclose([float(row["u"]), float(row["v"])], [u, v], atol=0.01)
        labelled += len(labels)
    assert labelled > 0.8 * 5 * 4 * 3


def test_the_same_settings_give_the_same_bytes_whatever_the_workers(rendered: Render, tmp_path: Path) -> None:
    settings = CellSettings(**{**SMALL, "workers": 2})  # type: ignore[arg-type]
    assert fingerprint(render_cell(tmp_path / "again", settings)) == fingerprint(rendered())


def test_box_is_the_carton_and_lies_flat(rendered: Render) -> None:
    points = points_of(rendered(moments=12) / "train_00")
    heights = set()
    for moment in {moment for moment, _ in points}:
        corner, right, below = (
            points[moment, f"front_{k}"] for k in ("top_left", "top_right", "bottom_left")
        )
        assert np.linalg.norm(right - corner) == pytest.approx(0.105, abs=1e-6)
        assert np.linalg.norm(below - corner) == pytest.approx(0.199, abs=1e-6)
        assert np.ptp([corner[2], right[2], below[2]]) < 1e-6
        heights.add(round(corner[2], 4))
        assert np.linalg.norm((right + below)[:2] / 2) < 0.0701
    assert heights == {0.0, 0.017}


def test_shoes_of_training_and_test_differ(rendered: Render) -> None:
    root = rendered(kind="shoe", moments=3, train_objects=3, test_objects=2)
    lengths = []
    for recording in sorted(p for p in root.iterdir() if p.is_dir()):
        points = points_of(recording)
        lengths.append(np.linalg.norm(points["000000", "front"] - points["000000", "heel"]))
    assert len(lengths) == 5
    assert min(b - a for a, b in pairwise(sorted(lengths))) > 1e-5
    assert all(0.2 < length < 0.3 for length in lengths)


def test_distractor_sets_differ_and_touch_nothing() -> None:
    settings = CellSettings(moments=2, test_moments=2, distractors=3, distractor_sets=2)
    mujoco = load_mujoco()
    prints = []
    for recording in recordings(settings):
        actor = make_actor(settings, recording)
        generator = stream(0, recording.split, "distractors", recording.distractors)
        world = build_stage(mujoco, "box", actor, stream(0, 0, "room"), generator, 3, (64, 64))
        clear_table(world)
        actor.act(world, stream(0, 0, "moment", 0, 0))
        place_beside(world, stream(0, 0, "places", 0, 0), world.things[1:])
        pairs = world.data.contact.geom[: world.data.ncon]
        assert (pairs == world.model.geom("table").id).any(1).all()
        assert all(np.linalg.norm(world.pose(thing)[:2, 3]) < 0.5 for thing in world.things)
        prints.append(hashlib.sha256(bytes(world.model.tex_data)).hexdigest())
    assert [r.name for r in recordings(settings)] == ["train_00", "train_01", "test_00", "test_01"]
    assert len(set(prints)) == 4


def test_cameras_look_at_the_middle_from_different_sides() -> None:
    for seed in range(20):
        poses = cell_cameras(np.random.default_rng(seed), 4)
        eyes = poses[:, :3, 3] - [0, 0, 0.03]
        assert (np.abs(np.linalg.norm(eyes, axis=1) - 0.4346) < 0.02).all()
        turns = np.sort(np.arctan2(eyes[:, 1], eyes[:, 0]))
        assert np.diff([*turns, turns[0] + 2 * np.pi]).min() > np.deg2rad(25)
        toward = np.einsum("ck,ck->c", poses[:, :3, 2], -eyes) / np.linalg.norm(eyes, axis=1)
        assert (toward > 0.995).all()


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ({"kind": "boot"}, "kind 'boot' is unknown; choose one of: box, shoe, plush, cable"),
        (
            {"moments": 1, "distractor_sets": 2},
            "moments cannot be 1; 2 (one a recording) or more is possible",
        ),
        ({"test_moments": 0}, "test_moments cannot be 0; 1 (one a recording) or more is possible"),
        ({"size": (8, 64)}, "size cannot be (8, 64); 16 to 2048 is possible"),
        ({"cameras": 0}, "cameras cannot be 0; 1 to 20 is possible"),
        ({"distractors": 9}, "distractors cannot be 9; 0 to 8 is possible"),
    ],
)
def test_bad_settings_give_one_clear_line(what: dict[str, object], line: str, tmp_path: Path) -> None:
    settings = CellSettings()
    for name, value in what.items():
        object.__setattr__(settings, name, value)
    with pytest.raises(DataError, match=f"^{re.escape(line)}$"):
        render_cell(tmp_path / "out", settings)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        render_cell(tmp_path, CellSettings(**SMALL))  # type: ignore[arg-type]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "cell", "--out", str(tmp_path / "out"), "--moments", "1", "--test-moments", "1"]
    assert run([*words, "--size", "64x48", "--workers", "1"]) == 0
    assert "rendered 2 of 2 moments" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "out" / "test_00" / "cam3" / "000000.png")).shape == (48, 64, 3)
