import json
import shutil
import sys
import types

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.decode import decode_mask, decode_view
from samepoint.data.importers import write_native
from samepoint.data.readers.bask import is_bask, read_bask
from samepoint.data.readers.bop import read_bop
from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, transform

H, W, STEPS = 12, 16, 5
K = torch.tensor([[20.0, 0, 7], [0, 21, 6], [0, 0, 1]])


def pose_of(rng):
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(rng.normal(size=3))[0]
    pose[:3, 3] = rng.normal(size=3)
    return torch.from_numpy(pose).float()


def write_trajectory(folder, cameras="wo", seed=0, masks="gt", k=K):
    """A trajectory as Trajectory.save writes it; returns the camera-to-world matrices by camera."""
    rng = np.random.default_rng(seed)
    poses = {}
    for c in cameras:
        for name in ("rgb", "d", "ext", "mask_gt", f"mask_{masks}"):
            (folder / f"cam_{c}_{name}").mkdir(parents=True, exist_ok=True)
        torch.save(k, folder / f"cam_{c}_int.dat")
        poses[c] = [pose_of(rng) for _ in range(STEPS)]
        for t in range(STEPS):
            image = rng.integers(0, 255, (H, W, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"cam_{c}_rgb" / f"{t}.png"), image)
            torch.save(torch.rand(H, W) + 0.5, folder / f"cam_{c}_d" / f"{t}.dat")
            torch.save(poses[c][t], folder / f"cam_{c}_ext" / f"{t}.dat")
            labels = torch.from_numpy(rng.choice([0, 10, 83, 92], (H, W)).astype(np.uint8))
            torch.save(labels, folder / f"cam_{c}_mask_{masks}" / f"{t}.dat")
    for name in ("action", "feedback", "ee_pose", "object_poses"):
        (folder / name).mkdir()
        for t in range(STEPS):
            torch.save(torch.zeros(7), folder / name / f"{t}.dat")
    metadata = {"len": STEPS, "object_label_gt": [0, 10, 83, 92]}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return poses


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "PhoneOnBase" / "densecorr_manual_20"
    (root / "trajectories").mkdir(parents=True)
    for name in ("embeddings", "encodings"):
        (root / name).mkdir()
    settings = {
        "camera_names": {"py/tuple": ["wrist", "overhead"]},
        "object_labels": None,
        "ignore_gt_labels": {"py/tuple": [10, 255]},
        "file_config": {"py/object": "tapas_gmm.dataset.scene.FileNameConfig", "DATA_SUFFIX": ".dat"},
    }
    (root / "metadata.json").write_text(json.dumps(settings))
    return root


@pytest.fixture
def trajectory(root):
    folder = root / "trajectories" / "2023_01_31-12_00_00"
    write_trajectory(folder)
    return folder


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def load(path):
    return torch.load(path, weights_only=True)


def test_read(root, trajectory, scratch):
    write_trajectory(root / "trajectories" / "2023_01_31-12_00_05", cameras="w", seed=1)
    data = read_bask(root, scratch)
    rig, scan = data.recordings
    assert (rig.name, rig.mode, rig.split) == ("2023_01_31-12_00_00", "rig", None)
    assert (scan.name, scan.mode) == ("2023_01_31-12_00_05", "scan")
    assert {n: model.family for n, model in data.objects.items()} == {83: "label_83", 92: "label_92"}
    assert len(rig.moments) == STEPS
    for t, moment in enumerate(rig.moments):
        assert (moment.sync_group, moment.time) == (str(t), None)
        assert sorted(view.camera for view in moment.views) == ["o", "w"]
        for view in moment.views:
            c = view.camera
            assert view.image == trajectory / f"cam_{c}_rgb" / f"{t}.png"
            assert torch.equal(view.intrinsics, K)
            torch.testing.assert_close(view.world_from_camera, load(trajectory / f"cam_{c}_ext" / f"{t}.dat"))
            depth = np.load(view.depth.path)
            assert np.array_equal(depth, load(trajectory / f"cam_{c}_d" / f"{t}.dat").numpy())
            labels = load(trajectory / f"cam_{c}_mask_gt" / f"{t}.dat").numpy()
            assert [p.object_id for p in view.placements] == [83, 92]
            for placement in view.placements:
                assert np.array_equal(decode_mask(placement.mask), labels == placement.object_id)
                assert scratch in placement.mask.parents
    assert [m.sync_group for m in scan.moments] == [None] * STEPS


def test_every_place_to_start_from(root, trajectory, scratch):
    for source in (root, root / "trajectories", trajectory):
        data = read_bask(source, scratch)
        assert [r.name for r in data.recordings] == [trajectory.name]
        assert sorted(data.objects) == [83, 92]
    shutil.move(trajectory, root / "alone")
    shutil.rmtree(root / "trajectories")
    assert [r.name for r in read_bask(root, scratch).recordings] == ["alone"]


def test_convention_opencv_camera_to_world(trajectory, scratch):
    for view in read_bask(trajectory, scratch).recordings[0].moments[3].views:
        pose = load(trajectory / f"cam_{view.camera}_ext" / "3.dat")
        world = (pose @ torch.tensor([0.3, 0.2, 2, 1]))[None, :3]
        uv, depth = project(view.intrinsics, transform(invert(view.world_from_camera), world))
        torch.testing.assert_close(uv, torch.tensor([[7 + 20 * 0.15, 6 + 21 * 0.1]]), atol=1e-4, rtol=0)
        torch.testing.assert_close(depth, torch.tensor([2.0]), atol=1e-5, rtol=0)


def test_convention_rlbench_looks_with_x_left_and_y_up(root, scratch):
    """RLBench projects by K [I 0] world_to_camera with negative focal lengths, and measures from a pixel's corner."""
    k = torch.tensor([[-20.0, 0, W / 2], [0, -20, H / 2], [0, 0, 1]])
    poses = write_trajectory(root / "trajectories" / "a", cameras="w", k=k)["w"]
    for view, pose in zip(read_bask(root, scratch).views(), poses, strict=True):
        assert view.intrinsics.tolist() == [[20, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]
        point = torch.tensor([0.3, 0.2, 2, 1])
        corner = (k @ point[:3])[:2] / point[2]
        world = (pose @ point)[None, :3]
        uv, depth = project(view.intrinsics, transform(invert(view.world_from_camera), world))
        torch.testing.assert_close(uv[0], corner - 0.5, atol=1e-4, rtol=0)
        torch.testing.assert_close(depth, torch.tensor([2.0]), atol=1e-5, rtol=0)


def test_missing_parts(trajectory, scratch):
    (trajectory / "cam_o_rgb" / "1.png").unlink()
    (trajectory / "cam_w_d" / "2.dat").unlink()
    (trajectory / "cam_w_ext" / "3.dat").unlink()
    torch.save(None, trajectory / "cam_w_mask_gt" / "4.dat")
    shutil.rmtree(trajectory / "object_poses")
    moments = read_bask(trajectory, scratch).recordings[0].moments
    assert [v.camera for v in moments[1].views] == ["w"]
    views = [next(v for v in moment.views if v.camera == "w") for moment in moments]
    assert [t for t, v in enumerate(views) if v.depth is None] == [2]
    assert [t for t, v in enumerate(views) if v.world_from_camera is None] == [3]
    assert [t for t, v in enumerate(views) if not v.placements] == [4]


def test_intrinsics_of_every_step(trajectory, scratch):
    (trajectory / "cam_w_int.dat").unlink()
    (trajectory / "cam_w_int").mkdir()
    for t in range(STEPS):
        torch.save(K + torch.eye(3) * torch.tensor([t, t, 0.0]), trajectory / "cam_w_int" / f"{t}.dat")
    for t, moment in enumerate(read_bask(trajectory, scratch).recordings[0].moments):
        (view,) = (v for v in moment.views if v.camera == "w")
        assert float(view.intrinsics[0, 0]) == 20 + t


def test_masks_of_fusion(root, scratch):
    folder = root / "trajectories" / "a"
    write_trajectory(folder, cameras="w", masks="tsdf")
    labels = torch.zeros(H, W, dtype=torch.int8)
    labels[2:5, 3:8] = 10  # what ground truth ignores, fusion may use
    for t in range(STEPS):
        torch.save(labels, folder / "cam_w_mask_tsdf" / f"{t}.dat")
    for view in read_bask(root, scratch).views():
        assert [p.object_id for p in view.placements] == [10]
        assert decode_mask(view.placements[0].mask).sum() == 15


def test_wanted_labels(root, trajectory, scratch):
    (root / "metadata.json").write_text(json.dumps({"object_labels": [92, 7]}))
    assert sorted(read_bask(root, scratch).objects) == [92]
    (root / "metadata.json").unlink()
    assert sorted(read_bask(root, scratch).objects) == [10, 83, 92]


def object_pose(x):
    half = np.sqrt(0.5)
    return torch.tensor([x, 0.2, 0.3, half, 0, 0, half])  # turned by 90 degrees about z; real part first


def one_object(root, step, cameras="w"):
    folder = root / "trajectories" / "a"
    write_trajectory(folder, cameras=cameras)
    (root / "metadata.json").write_text(json.dumps({"object_labels": [83]}))
    for t in range(STEPS):
        torch.save({"obj_pose": object_pose(t * step)}, folder / "object_poses" / f"{t}.dat")
    return folder


@pytest.mark.parametrize(("step", "mode"), [(0.001, "scan"), (0.05, "shuffle")])
def test_one_pose_belongs_to_the_one_label(root, scratch, step, mode):
    one_object(root, step)
    (recording,) = read_bask(root, scratch).recordings
    assert recording.mode == mode
    turned = torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]]).float()
    for t, view in enumerate(recording.views()):
        (placement,) = view.placements
        world_from_object = view.world_from_camera @ placement.camera_from_object
        torch.testing.assert_close(world_from_object[:3, :3], turned, atol=1e-5, rtol=0)
        expected = torch.tensor([t * step, 0.2, 0.3])
        torch.testing.assert_close(world_from_object[:3, 3], expected, atol=1e-5, rtol=0)


def test_poses_that_belong_to_no_label(root, scratch):
    folder = one_object(root, 0.0)
    (root / "metadata.json").write_text(json.dumps({"object_labels": [83, 92]}))
    assert all(p.camera_from_object is None for v in read_bask(root, scratch).views() for p in v.placements)
    (root / "metadata.json").write_text(json.dumps({"object_labels": [83]}))
    two = {"obj000": object_pose(0), "obj001": object_pose(0)}
    torch.save(two, folder / "object_poses" / "3.dat")
    assert all(p.camera_from_object is None for v in read_bask(root, scratch).views() for p in v.placements)
    for t in range(STEPS):
        torch.save({"stacked": torch.zeros(14)}, folder / "object_poses" / f"{t}.dat")
    assert all(p.camera_from_object is None for v in read_bask(root, scratch).views() for p in v.placements)


def test_demonstrations_are_no_scans(root, scratch):
    write_trajectory(root / "trajectories" / "a", cameras="w")
    for name, mode in (("demos", "shuffle"), ("cloning_10", "shuffle"), ("dcm_20", "scan")):
        shutil.move(root, root.with_name(name))
        root = root.with_name(name)
        assert read_bask(root, scratch).recordings[0].mode == mode
        assert read_bask(root / "trajectories" / "a", scratch).recordings[0].mode == mode


def test_tensordicts_are_left_alone(trajectory, scratch, monkeypatch):
    module = types.ModuleType("tensordict")
    module.TensorDict = type("TensorDict", (), {"__module__": "tensordict", "__qualname__": "TensorDict"})
    monkeypatch.setitem(sys.modules, "tensordict", module)
    torch.save(module.TensorDict(), trajectory / "object_poses" / "2.dat")
    assert len(read_bask(trajectory, scratch).recordings[0].moments) == STEPS
    torch.save(module.TensorDict(), trajectory / "cam_w_ext" / "2.dat")
    with pytest.raises(DataError, match=r"cam_w_ext/2\.dat: holds a TensorDict"):
        read_bask(trajectory, scratch)


def test_to_the_native_form(trajectory, scratch, tmp_path):
    data = read_bask(trajectory, scratch)
    write_native(data, tmp_path / "out")
    again = read_bop(tmp_path / "out")
    assert again.recordings[0].mode == "rig"
    for mine, theirs in zip(data.views(), again.views(), strict=True):
        torch.testing.assert_close(theirs.world_from_camera, mine.world_from_camera, atol=1e-5, rtol=0)
        arrays = decode_view(theirs)
        metres = arrays.depth * arrays.metres_per_unit
        np.testing.assert_allclose(metres, np.load(mine.depth.path), atol=6e-5)
        assert np.array_equal(arrays.labels, decode_view(mine).labels)


class Anything:
    pass


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "metadata.json").unlink(), r"metadata\.json: this file does not exist"),
        (lambda f: (f / "metadata.json").write_text("{"), r"metadata\.json: is not valid JSON"),
        (lambda f: (f / "metadata.json").write_text("[]"), r"metadata\.json: does not hold names"),
        (lambda f: (f / "metadata.json").write_text("{}"), r"metadata\.json: len is None; write the number"),
        (
            lambda f: (f / "metadata.json").write_text('{"len": 12}'),
            r"step 5 of 12 \(metadata.json\) has no",
        ),
        (
            lambda f: (f.parent.parent / "metadata.json").write_text('{"object_labels": ["mug"]}'),
            r"metadata\.json: object_labels is \['mug'\]; write a list",
        ),
        (lambda f: [shutil.rmtree(f / f"cam_{c}_rgb") for c in "wo"], r"holds no trajectory with cam_C_rgb"),
        (lambda f: (f / "cam_w_int.dat").unlink(), r"cam_w has depth without intrinsics; write cam_w_int"),
        (lambda f: torch.save(torch.eye(4), f / "cam_w_int.dat"), r"cam_w_int\.dat: expected 9 numbers"),
        (lambda f: torch.save(-K, f / "cam_w_int.dat"), r"cam_w_int\.dat: the camera matrix"),
        (lambda f: torch.save("K", f / "cam_w_int.dat"), r"cam_w_int\.dat: expected 9 numbers"),
        (lambda f: torch.save(torch.eye(3), f / "cam_o_ext" / "2.dat"), r"cam_o_ext/2\.dat: expected 16"),
        (lambda f: torch.save(torch.eye(4) * 2, f / "cam_o_ext" / "2.dat"), r"cam_o_ext/2\.dat: the last"),
        (
            lambda f: torch.save(torch.diag(torch.tensor([1.0, 1, -1, 1])), f / "cam_o_ext" / "2.dat"),
            r"cam_o_ext/2\.dat: .*mirrored",
        ),
        (
            lambda f: torch.save(torch.zeros(W, H), f / "cam_o_d" / "2.dat"),
            r"cam_o_d/2\.dat: is \(16, 12\), but the image is 12 16",
        ),
        (
            lambda f: torch.save([1, 2], f / "cam_w_mask_gt" / "2.dat"),
            r"cam_w_mask_gt/2\.dat: is list, but the image is 12 16",
        ),
        (lambda f: (f / "cam_w_d" / "2.dat").write_bytes(b""), r"cam_w_d/2\.dat: is empty"),
        (
            lambda f: (f / "cam_w_d" / "2.dat").write_bytes((f / "cam_w_d" / "2.dat").read_bytes()[:500]),
            r"cam_w_d/2\.dat: is not a readable tensor file",
        ),
        (lambda f: (f / "cam_w_d" / "2.dat").write_text("depth"), r"cam_w_d/2\.dat: holds more than tensors"),
        (
            lambda f: torch.save(Anything(), f / "cam_w_d" / "2.dat"),
            r"cam_w_d/2\.dat: holds more than tensors",
        ),
        (
            lambda f: torch.save({"obj_pose": torch.ones(7)}, f / "object_poses" / "2.dat"),
            r"object_poses/2\.dat obj_pose: the quaternion",
        ),
        (
            lambda f: torch.save({"obj_pose": object_pose(np.nan)}, f / "object_poses" / "2.dat"),
            r"object_poses/2\.dat obj_pose: the pose has values that are not finite",
        ),
        (lambda f: (f / "cam_w_rgb" / "2.png").write_bytes(b"x"), r"2\.png: is not a readable image"),
    ],
)
def test_bad(trajectory, scratch, break_it, message):
    break_it(trajectory)
    with pytest.raises(DataError, match=message) as error:
        read_bask(trajectory, scratch)
    assert "\n" not in str(error.value)


def test_steps_beyond_the_written_length_and_missing_parts_are_said(root, trajectory, scratch):
    metadata = json.loads((trajectory / "metadata.json").read_text()) | {"len": 3}
    (trajectory / "metadata.json").write_text(json.dumps(metadata))
    (trajectory / "cam_w_d" / "1.dat").unlink()
    (trajectory / "cam_o_rgb" / "2.png").unlink()
    notes = read_bask(root, scratch).notes
    assert notes[:2] == (
        "1 of 3 steps of camera o have no image (2023_01_31-12_00_00)",
        "1 of 3 steps of camera w have no depth (2023_01_31-12_00_00)",
    )
    left = "trajectories/2023_01_31-12_00_00/cam_w_rgb: 2 of 5 .png files are not used (3.png, ...)"
    assert f"{left}: metadata.json gives fewer steps (len)" in notes


def test_a_complete_recording_needs_no_word(root, trajectory, scratch):
    assert is_bask(root)
    assert is_bask(trajectory)
    assert not is_bask(trajectory / "cam_w_rgb")
    assert read_bask(root, scratch).notes == ()
