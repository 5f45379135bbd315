"""Rendered data sets: true to their own geometry, repeatable, split cleanly, and clear about bad input."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise, permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.mesh import load_mesh
from samepoint.data.readers.bop import read_bop
from samepoint.data.recording import Dataset, View
from samepoint.errors import DataError, MissingDependencyError
from samepoint.sim import RenderSettings, render_dataset
from samepoint.sim.noise import DEPTH_NOISE, POSE_SHIFT, POSE_TURN
from samepoint.sim.pool import deal, make_instance, pool
from samepoint.sim.renderer import intrinsics, load_mujoco

SMALL = RenderSettings(
    families=("mug", "box", "shoe"), scenes=3, views=4, size=(96, 128), instances=(2, 1, 1), workers=1, seed=4
)


def changed(**what: object) -> RenderSettings:
    return RenderSettings(**{**SMALL.__dict__, **what})  # type: ignore[arg-type]


def fingerprint(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def depth_of(view: View) -> np.ndarray:
    assert view.depth is not None
    return cv2.imread(str(view.depth.path), cv2.IMREAD_UNCHANGED) * view.depth.metres_per_unit


def sampled(depth: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Depth between pixels; a pixel's value belongs to its centre, at integers."""
    low = np.clip(np.floor(uv).astype(int), 0, np.array(depth.shape[::-1]) - 2)
    (u, v), (s, t) = low.T, (uv - low).T
    top = depth[v, u] * (1 - s) + depth[v, u + 1] * s
    return top * (1 - t) + (depth[v + 1, u] * (1 - s) + depth[v + 1, u + 1] * s) * t


def mask_of(path: Path | None) -> np.ndarray:
    assert path is not None
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED) > 0


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Dataset]:
    """Renders with the given changes to SMALL, once each."""
    done: dict[str, Dataset] = {}

    def render(**what: object) -> Dataset:
        key = repr(sorted(what.items()))
        if key not in done:
            out = tmp_path_factory.mktemp("rendered") / "data"
            done[key] = read_bop(render_dataset(out, changed(**what)))
        return done[key]

    return render


def test_the_same_settings_give_the_same_bytes_whatever_the_workers(
    rendered: Callable[..., Dataset], tmp_path: Path
) -> None:
    again = render_dataset(tmp_path / "again", changed(workers=2))
    assert fingerprint(rendered().root) == fingerprint(again)
    other = render_dataset(tmp_path / "other", changed(seed=5, scenes=1))
    assert not set(fingerprint(other).values()) & {
        v for k, v in fingerprint(again).items() if "rgb" in k or k.endswith(".ply")
    }


def test_convention_vertices_project_to_the_mask_and_depth(rendered: Callable[..., Dataset]) -> None:
    """K, poses, depth and masks agree: visible vertices lie on the mask and have the depth of their pixel."""
    dataset = rendered(size=(240, 320), scenes=1)
    errors, inside, seen = [], 0, 0
    for view in dataset.views():
        depth = depth_of(view)
        for placement in view.placements:
            assert placement.camera_from_object is not None
            assert view.intrinsics is not None
            xyz = load_mesh(dataset.objects[placement.object_id]).vertices.numpy()
            pose = placement.camera_from_object.numpy()
            xyz = xyz @ pose[:3, :3].T + pose[:3, 3]
            uv = xyz @ view.intrinsics.numpy().T
            exact = (uv[:, :2] / uv[:, 2:]).astype(np.float32)
            uv = np.rint(exact).astype(int)
            mask = cv2.erode(mask_of(placement.mask).astype(np.uint8), np.ones((7, 7))) > 0
            ok = (uv >= 0).all(1) & (uv < (320, 240)).all(1)
            uv, z = uv[ok], xyz[ok, 2]
            at = sampled(depth, exact[ok])
            on = mask[uv[:, 1], uv[:, 0]]
            front = on & (z < at + 0.003)
            errors += list(np.abs(z - at)[front])
            visible = mask_of(placement.mask)[uv[:, 1], uv[:, 0]]
            near = np.abs(z - at) < 0.0005
            inside, seen = inside + int(visible[near].sum()), seen + int(near.sum())
    assert len(errors) > 500
    assert np.median(errors) < 0.0003
    assert inside / seen > 0.93


def test_a_scan_relates_its_views_by_depth_and_pose(rendered: Callable[..., Dataset]) -> None:
    """A pixel of one view, lifted by its depth and projected into another, has the depth found there."""
    recording = rendered(size=(240, 320), scenes=1).recordings[0]
    assert recording.mode == "scan"
    views = list(recording.views())
    shares = [share_found(a, b) for a, b in permutations(views, 2)]
    assert np.median(shares) > 0.5
    assert max(shares) > 0.8


def share_found(first: View, second: View) -> float:
    """The share of the pixels of `first` that fall into `second` whose depth there is as expected."""
    assert first.intrinsics is not None and second.intrinsics is not None  # noqa: PT018
    assert first.world_from_camera is not None and second.world_from_camera is not None  # noqa: PT018
    depth, target = depth_of(first), depth_of(second)
    v, u = np.nonzero(depth > 0)
    rays = np.stack([u, v, np.ones_like(u)], 1) @ np.linalg.inv(first.intrinsics.numpy()).T
    world = (rays * depth[v, u, None]) @ first.world_from_camera[:3, :3].numpy().T
    world = world + first.world_from_camera[:3, 3].numpy() - second.world_from_camera[:3, 3].numpy()
    there = world @ second.world_from_camera[:3, :3].numpy()
    uv = there @ second.intrinsics.numpy().T
    at = np.rint(uv[:, :2] / uv[:, 2:])
    ok = (there[:, 2] > 0) & (at >= 0).all(1) & (at < (320, 240)).all(1)
    gap = np.abs(target[at[ok, 1].astype(int), at[ok, 0].astype(int)] - there[ok, 2])
    return float((gap < 0.01).mean()) if ok.sum() > 500 else 0.0


def test_convention_depth_unprojects_to_the_table(rendered: Callable[..., Dataset]) -> None:
    """Most of what a camera above sees is the table at z = 0: metric to a millimetre."""
    view = rendered(mode="shuffle", scenes=1).recordings[0].moments[0].views[0]
    assert view.intrinsics is not None
    assert view.world_from_camera is not None
    depth = depth_of(view)
    v, u = np.nonzero(depth > 0)
    rays = np.stack([u, v, np.ones_like(u)], 1) @ np.linalg.inv(view.intrinsics.numpy()).T
    pose = view.world_from_camera.numpy()
    height = ((rays * depth[v, u, None]) @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    assert (np.abs(height) < 0.001).mean() > 0.3
    assert (height > -0.001).mean() > 0.6


def test_convention_principal_point_is_between_the_middle_pixels() -> None:
    k = intrinsics(np.pi / 2, (240, 320))
    np.testing.assert_allclose(k, [[120, 0, 159.5], [0, 120, 119.5], [0, 0, 1]])


def test_splits_share_no_object_shape_or_texture() -> None:
    settings = changed(families=("mug", "toy"), scenes=10)
    made = [(slot, make_instance(settings, slot)) for slot in pool(settings)]
    for k, (slot, instance) in enumerate(made):
        for other, second in made[:k]:
            if slot.family == other.family:
                assert np.abs(instance.model.vertices - second.model.vertices).max() > 1e-4
            assert np.abs(instance.texture.astype(int) - second.texture).mean() > 3
    ids = [{s.object_id for hand in deal(settings, split) for s in hand} for split in range(3)]
    assert not ids[0] & ids[1] and not ids[0] & ids[2] and not ids[1] & ids[2]  # noqa: PT018


def test_the_same_objects_in_new_scenes_if_asked() -> None:
    settings = changed(families=("mug", "toy"), scenes=10, same_objects=True)
    ids = [{s.object_id for hand in deal(settings, split) for s in hand} for split in range(3)]
    assert ids[1] | ids[2] <= ids[0]
    assert {slot.split for slot in pool(settings)} == {0}


def test_splits_share_no_table(rendered: Callable[..., Dataset]) -> None:
    dataset = rendered()
    tables = {}
    for recording in dataset.recordings:
        image = cv2.imread(str(next(recording.views()).image))
        tables[recording.split] = image.reshape(-1, 3).mean(0)
    assert set(tables) == {"train", "validation", "test"}
    values = list(tables.values())
    assert all(np.abs(values[i] - values[j]).max() > 1 for i in range(3) for j in range(i))


@pytest.mark.parametrize("scenes", [(20, 2, 2), (5, 3, 2), (40, 4, 4)])
def test_objects_recur_in_other_scenes_of_their_split(scenes: tuple[int, int, int]) -> None:
    settings = RenderSettings(split_scenes=scenes)
    for split in range(3):
        hands = deal(settings, split)
        assert len(hands) == scenes[split]
        assert all(len(set(hand)) == len(hand) >= 2 for hand in hands)
        counts: dict[int, int] = {}
        for slot in (slot for hand in hands for slot in hand):
            counts[slot.object_id] = counts.get(slot.object_id, 0) + 1
        assert sum(n >= 2 for n in counts.values()) >= 0.6 * len(counts)


@pytest.mark.parametrize(
    ("scenes", "expected"),
    [(40, (32, 4, 4)), (10, (6, 2, 2)), (5, (1, 2, 2)), (3, (1, 1, 1)), (2, (1, 0, 1)), (1, (1, 0, 0))],
)
def test_scenes_are_shared_out(scenes: int, expected: tuple[int, int, int]) -> None:
    assert RenderSettings(scenes=scenes).scenes_of_splits() == expected
    assert RenderSettings(scenes=scenes, split_scenes=(1, 7, 2)).scenes_of_splits() == (1, 7, 2)


def test_images_are_neither_black_nor_blown_out(rendered: Callable[..., Dataset]) -> None:
    for image in (cv2.imread(str(view.image)) for view in rendered().views()):
        assert 0.25 < image.mean() / 255 < 0.65
        assert image.std() / 255 > 0.1  # there is something to see
        assert (image.max(-1) < 5).mean() < 0.02
        assert (image.min(-1) > 250).mean() < 0.02


def test_every_view_of_a_scan_shows_an_object(rendered: Callable[..., Dataset]) -> None:
    for view in rendered().views():
        assert sum(mask_of(p.mask).sum() for p in view.placements) > 30


def test_keypoints_are_in_the_data(rendered: Callable[..., Dataset]) -> None:
    dataset = rendered()
    assert {model.family for model in dataset.objects.values()} <= {"mug", "box", "shoe"}
    for model in dataset.objects.values():
        mesh = load_mesh(model)
        assert mesh.coordinates is not None
        assert 0 <= mesh.coordinates.min() <= mesh.coordinates.max() <= 1
        for point in model.keypoints.values():
            assert (mesh.vertices - point).norm(dim=1).min() < 1e-5


def test_shuffle_keeps_the_camera_and_moves_the_objects(rendered: Callable[..., Dataset]) -> None:
    recording = rendered(mode="shuffle", scenes=1, views=6).recordings[0]
    assert recording.mode == "shuffle"
    views = list(recording.views())
    poses = [v.world_from_camera.numpy() for v in views if v.world_from_camera is not None]
    assert all(np.allclose(p, poses[0]) for p in poses)
    places: dict[int, list[np.ndarray]] = {}
    for placement in (p for v in views for p in v.placements):
        assert placement.camera_from_object is not None
        places.setdefault(placement.object_id, []).append(placement.camera_from_object[:3, 3].numpy())
    assert all(np.linalg.norm(a - b) > 1e-3 for p in places.values() for a, b in pairwise(p))


def test_a_rig_has_synchronised_cameras_that_stand_still(rendered: Callable[..., Dataset]) -> None:
    recording = rendered(mode="rig", scenes=1, views=6, cameras=3).recordings[0]
    assert recording.mode == "rig"
    assert [len(m.views) for m in recording.moments] == [3, 3]
    assert len({m.sync_group for m in recording.moments}) == 2
    for first, second in zip(*(m.views for m in recording.moments)):
        assert first.camera == second.camera
        assert np.allclose(first.world_from_camera, second.world_from_camera)
    for moment in recording.moments:
        worlds = [v.world_from_camera @ p.camera_from_object for v in moment.views for p in v.placements[:1]]
        assert all(np.allclose(w, worlds[0], atol=1e-4) for w in worlds)


def test_robot_only_shows_no_object(rendered: Callable[..., Dataset]) -> None:
    recording = rendered(mode="robot-only", scenes=1).recordings[0]
    assert recording.mode == "robot-only"
    assert all(not view.placements for view in recording.views())
    assert len({view.image.read_bytes() for view in recording.views()}) == 4


def test_modes_take_turns(rendered: Callable[..., Dataset]) -> None:
    dataset = rendered(mode=("scan", "shuffle"), split_scenes=(2, 0, 0))
    assert [r.mode for r in dataset.recordings] == ["scan", "shuffle"]


def test_noise_changes_depth_and_poses_a_little_and_leaves_holes(rendered: Callable[..., Dataset]) -> None:
    clean, noisy = (list(rendered(scenes=1, noise=n).recordings[0].views()) for n in (False, True))
    for one, other in zip(clean, noisy):
        a, b = depth_of(one), depth_of(other)
        assert 0.02 < (b == 0).mean() - (a == 0).mean() < 0.3
        both = (a > 0) & (b > 0)
        # half of normal errors lie within 0.67 standard deviations, and smoothing leaves 0.73 of these
        expected = 0.67 * 0.73 * DEPTH_NOISE
        assert np.median(np.abs(a - b)[both] / a[both] ** 2) == pytest.approx(expected, rel=0.15)
        moved = one.world_from_camera - other.world_from_camera  # type: ignore[operator]
        assert 0 < moved[:3, 3].norm() < 4 * POSE_SHIFT
        assert 0 < moved[:3, :3].norm() < 4 * POSE_TURN * np.sqrt(2)
    for of_clean, of_noisy in zip(clean, noisy):  # the scene and the true poses are the same to the last view
        for one, other in zip(of_clean.placements, of_noisy.placements):
            assert torch.equal(one.camera_from_object, other.camera_from_object)  # type: ignore[arg-type]


def test_close_ups_are_nearer_than_overviews(rendered: Callable[..., Dataset]) -> None:
    far, near = (
        [
            p.camera_from_object[2, 3]
            for v in rendered(scenes=1, close_ups=share).views()
            for p in v.placements
        ]
        for share in (0.0, 1.0)
    )
    assert torch.stack(near).median() < 0.8 * torch.stack(far).median()


def test_gripper_in_view_covers_part_of_the_scan(rendered: Callable[..., Dataset]) -> None:
    plain, held = (list(rendered(scenes=1, gripper=g, views=8).views()) for g in (False, True))
    nearer = [(depth_of(h) < depth_of(p) - 0.02).mean() for p, h in zip(plain, held)]
    assert max(nearer) > 0.02


def test_texture_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    with pytest.raises(DataError, match="no images"):
        render_dataset(tmp_path / "out", changed(texture_folder=folder))
    cv2.imwrite(str(folder / "a.png"), np.full((64, 64, 3), (0, 0, 255), np.uint8))
    instance = make_instance(changed(texture_folder=folder), pool(SMALL)[1])
    red = (np.abs(instance.texture.astype(int) - (255, 0, 0)).max(2) < 90).mean()
    assert red > 0.1


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DataError, match=r"not empty.*choose a new folder"):
        render_dataset(tmp_path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_nothing_is_left_when_rendering_stops(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_dataset(tmp_path / "out", changed(scenes=2, views=1), stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"families": ("mug", "teapot")}, "'teapot' is unknown; choose one of: cap, shoe"),
        ({"mode": "film"}, "'film' is unknown; choose one of: scan"),
        ({"views": 0}, "views cannot be 0"),
        ({"size": (8, 8)}, "size cannot be"),
        ({"objects_per_scene": (3, 1)}, "objects_per_scene cannot be"),
        ({"split_scenes": (0, 0, 0)}, "scenes cannot be"),
    ],
)
def test_bad_settings_are_named(what: dict[str, object], message: str, tmp_path: Path) -> None:
    settings = changed()
    for name, value in what.items():
        object.__setattr__(settings, name, value)
    with pytest.raises(DataError, match=message):
        render_dataset(tmp_path / "out", settings)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_gl_library_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "egl")
    from mujoco import gl_context

    def broken(width: int, height: int) -> None:
        raise RuntimeError("no display")

    monkeypatch.setattr(gl_context, "GLContext", broken)
    with pytest.raises(MissingDependencyError, match="libegl1 libgl1-mesa-dri"):
        load_mujoco()


def test_the_settings_are_written(rendered: Callable[..., Dataset]) -> None:
    content = json.loads((rendered().root / "samepoint.json").read_text())
    assert content["generator"]["seed"] == 4
    assert "workers" not in content["generator"]


def test_a_script_without_a_main_guard_gets_one_clear_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from samepoint.sim import RenderSettings, render_dataset\n"
        "render_dataset(Path('out'), RenderSettings(families=('mug',), scenes=2, views=1, size=(48, 64)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert 'call it below `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
