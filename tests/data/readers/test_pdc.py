import re
import shutil

import cv2
import numpy as np
import pytest
import torch
import yaml

from samepoint.data.decode import decode_view
from samepoint.data.importers import write_native
from samepoint.data.mesh import read_ply
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.pdc import is_pdc, read_pdc
from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, transform

HEIGHT, WIDTH = 24, 32
NUMBERS = (0, 17, 2553)
K = [30.0, 0.0, 15.5, 0.0, 31.0, 11.25, 0.0, 0.0, 1.0]
POINT = np.array([0.6, 0.05, 0.1])
"""On the table, in the robot's base frame."""


def camera(number):
    """Position, rotation (its columns are the camera's axes in the base frame) and quaternion w x y z."""
    axis = np.array([-0.7, 0.69, -0.16]) / np.linalg.norm([-0.7, 0.69, -0.16])
    angle = 2.9 + number / 20000
    position = np.array([0.55 + number / 50000, 0.02, 0.8])
    quaternion = [np.cos(angle / 2), *(np.sin(angle / 2) * axis)]
    return position, cv2.Rodrigues(angle * axis)[0], [float(q) for q in quaternion]


def pose_entry(number):
    position, _, quaternion = camera(number)
    return {
        "camera_to_world": {
            "quaternion": dict(zip("wxyz", quaternion, strict=True)),
            "translation": {name: float(v) for name, v in zip("xyz", position, strict=True)},
        },
        "depth_image_filename": f"{number:06d}_depth.png",
        "rgb_image_filename": f"{number:06d}_rgb.png",
        "timestamp": 1523888723371051542 + number * 33_000_000,
    }


def camera_info():
    return {
        "camera_matrix": {"cols": 3, "data": K, "rows": 3},
        "distortion_coefficients": {"cols": 5, "data": [0.05, -0.27, 0.0, 0.0, 0.29], "rows": 1},
        "distortion_model": "plumb_bob",
        "image_height": HEIGHT,
        "image_width": WIDTH,
    }


def write_log(folder):
    processed = folder / "processed"
    for name in ("images", "image_masks", "rendered_images"):
        (processed / name).mkdir(parents=True)
    rng = np.random.default_rng(len(folder.name))
    for number in NUMBERS:
        image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[4:9, 6:12] = 1
        stem = f"{number:06d}"
        files = {
            f"images/{stem}_rgb": image,
            f"images/{stem}_depth": np.full((HEIGHT, WIDTH), 900, np.uint16),
            f"image_masks/{stem}_mask": mask,
            f"image_masks/{stem}_visible_mask": mask * 255,
            f"rendered_images/{stem}_depth": np.full((HEIGHT, WIDTH), 800, np.uint16),
            f"rendered_images/{stem}_depth_cropped": np.full((HEIGHT, WIDTH), 700, np.uint16),
        }
        for name, values in files.items():
            cv2.imwrite(str(processed / f"{name}.png"), values)
    poses = {number: pose_entry(number) for number in (*NUMBERS, 8)}  # 8: a pose whose image was taken out
    (processed / "images" / "pose_data.yaml").write_text(yaml.safe_dump(poses))
    (processed / "images" / "camera_info.yaml").write_text(yaml.safe_dump(camera_info()))
    return folder


@pytest.fixture
def log(tmp_path):
    return write_log(tmp_path / "pdc" / "logs_proto" / "2018-04-16-14-25-19")


def test_read(log):
    assert is_pdc(log)
    data = read_pdc(log)
    (recording,) = data.recordings
    assert (recording.name, recording.mode, recording.split) == (log.name, "scan", None)
    assert [view.image.name for view in recording.views()] == [f"{n:06d}_rgb.png" for n in NUMBERS]
    assert [moment.time for moment in recording.moments] == pytest.approx(
        [1523888723.371051542 + n * 0.033 for n in NUMBERS], abs=1e-6
    )
    (model,) = data.objects.values()
    assert (model.object_id, model.family) == (1, None)
    view = next(recording.views())
    assert view.lens is None  # the images are rectified, whatever the distortion says
    arrays = decode_view(view)
    assert (arrays.depth * np.float32(arrays.metres_per_unit) == np.float32(0.8)).all()  # drawn, not sensed
    assert np.argwhere(arrays.labels).min(0).tolist() == [4, 6]
    assert (arrays.labels > 0).sum() == 30


def test_convention_pose(log):
    """A point of the base frame, through the camera's axes as they are written, lies at the same pixel by ours."""
    for number, view in zip(NUMBERS, read_pdc(log).views(), strict=True):
        position, rotation, _ = camera(number)
        right, down, forward = rotation.T
        offset = POINT - position
        depth = offset @ forward
        assert depth > 0.5
        truth = (
            K[0] * (offset @ right) / depth + K[2],
            K[4] * (offset @ down) / depth + K[5],
        )
        xyz = transform(invert(view.world_from_camera), torch.from_numpy(POINT[None]).float())
        uv, z = project(view.intrinsics, xyz)
        assert uv[0].tolist() == pytest.approx(truth, abs=1e-3)
        assert z.item() == pytest.approx(depth, abs=1e-5)


def test_parts_may_be_missing(log):
    processed = log / "processed"
    (processed / "rendered_images" / "000017_depth.png").unlink()
    (processed / "images" / "000017_depth.png").unlink()
    (processed / "rendered_images" / "002553_depth.png").unlink()
    (processed / "image_masks" / "000000_mask.png").unlink()
    poses = {n: pose_entry(n) for n in (0, 17)}
    del poses[17]["timestamp"]
    (processed / "images" / "pose_data.yaml").write_text(yaml.safe_dump(poses))
    (recording,) = read_pdc(log).recordings
    first, second, third = recording.views()
    assert first.depth.path.parent.name == "rendered_images"
    assert second.depth is None
    assert third.depth.path.parent.name == "images"
    assert [len(v.placements) for v in recording.views()] == [0, 1, 1]
    assert [v.world_from_camera is None for v in recording.views()] == [False, False, True]
    assert [m.time is None for m in recording.moments] == [False, True, True]


def test_folders(log):
    """A log, its processed/ folder, that folder under another name, the logs root and the folder above it."""
    write_log(log.parent / "2018-05-04-20-12-25")
    (log.parent / "notes").mkdir()
    assert [r.name for r in read_pdc(log / "processed").recordings] == [log.name]
    shutil.copytree(log / "processed", log.parents[2] / "frame")
    assert [r.name for r in read_pdc(log.parents[2] / "frame").recordings] == ["frame"]
    for root in (log.parent, log.parents[1]):
        assert is_pdc(root)
        data = read_pdc(root)
        assert [r.name for r in data.recordings] == [log.name, "2018-05-04-20-12-25"]
        assert [v.placements[0].object_id for v in data.views()] == [1, 1, 1, 2, 2, 2]


def write_configs(log):
    """The layout of the original's config/dense_correspondence/dataset/, beside the data."""
    logs = [log, *(write_log(log.parent / name) for name in ("shoe-2", "hat-1", "both-1", "unnamed"))]
    folder = log.parents[1] / "config"
    contents = {
        "single_object/shoe.yaml": {"object_id": "shoe", "train": [logs[0].name], "test": ["shoe-2"]},
        "single_object/hats.yaml": {
            "object_id": "hat",
            "train": ["hat-1"],
            "test": None,
            "evaluation_labeled_data_path": [],
        },
        "single_object/unnamed.yaml": {"train": ["unnamed", "shoe-2"], "test": []},
        "multi_object/both.yaml": {
            "logs_root_path": "elsewhere",
            "object_id_list": ["shoe", "hat"],
            "train": ["both-1"],
            "test": ["both-1"],
        },
        "composite/hats.yaml": {
            "logs_root_path": "code/data_volume/pdc/logs_proto",
            "single_object_scenes_config_files": ["shoe.yaml", "hats.yaml"],
            "multi_object_scenes_config_files": ["both.yaml"],
        },
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(content))
    return folder


def read_names(path):
    data = read_pdc(path)
    families = {r.name: data.objects[next(r.views()).placements[0].object_id].family for r in data.recordings}
    return [(r.name, r.split, families[r.name]) for r in data.recordings]


def test_composite(log):
    folder = write_configs(log)
    assert read_names(folder / "composite" / "hats.yaml") == [
        (f"{log.name}/train", "train", "shoe"),
        ("shoe-2/test", "test", "shoe"),
        ("hat-1/train", "train", "hat"),
        ("both-1/train", "train", "shoe+hat"),
        ("both-1/test", "test", "shoe+hat"),
    ]
    flat = log.parent / "dataset.yaml"  # all files in one folder, the logs beside them
    shutil.copy(folder / "composite" / "hats.yaml", flat)
    for name in ("single_object/shoe.yaml", "single_object/hats.yaml", "multi_object/both.yaml"):
        shutil.copy(folder / name, log.parent)
    assert len(read_pdc(flat).recordings) == 5


def test_single_object(log):
    folder = write_configs(log)
    assert read_names(folder / "single_object" / "shoe.yaml") == [
        (f"{log.name}/train", "train", "shoe"),
        ("shoe-2/test", "test", "shoe"),
    ]
    data = read_pdc(folder / "single_object" / "unnamed.yaml")
    assert [model.family for model in data.objects.values()] == [None, None]
    assert [r.name for r in data.split("train").recordings] == ["unnamed/train", "shoe-2/train"]
    path = folder / "single_object" / "shoe.yaml"
    moved = log.parents[2] / "moved"
    log.parent.rename(moved)
    config(path, logs_root_path=str(moved))
    assert len(read_pdc(path).recordings) == 2


def config(path, **changes):
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda f: (f / "single_object" / "hats.yaml").unlink(),
            r"hats\.yaml: names hats\.yaml, which is not",
        ),
        (
            lambda f: config(f / "single_object" / "hats.yaml", train=["hat-9"]),
            r"hat-9: this log does not exist; restore it, or take it off the list in hats\.yaml",
        ),
        (
            lambda f: config(f / "single_object" / "hats.yaml", train=["shoe-2"]),
            "lists shoe-2 for shoe and for hat; list it for one of them",
        ),
        (lambda f: config(f / "single_object" / "hats.yaml", train="hat-1"), "train is not a list of names"),
        (lambda f: (f / "single_object" / "hats.yaml").write_text("a: b"), "is no data set configuration"),
        (lambda f: (f / "single_object" / "hats.yaml").write_text("a: ["), r"hats\.yaml: is not valid YAML"),
        (lambda f: (f / "composite" / "hats.yaml").write_text("- a"), "holds no keys and values"),
        (lambda f: (f / "composite" / "hats.yaml").write_text("train: []"), "lists no logs"),
        (lambda f: (f / "composite" / "hats.yaml").write_bytes(b"\xff\xfe\xfd"), "cannot be read as text"),
        (lambda f: (f / "composite" / "hats.yaml").unlink(), "this file does not exist"),
        (
            lambda f: (f.parent / "logs_proto").rename(f / "away"),
            r"its logs \(2018-04-16-14-25-19 \.\.\.\) are not found under code/data_volume/pdc/logs_proto",
        ),
        (
            lambda f: shutil.rmtree(f.parent / "logs_proto" / "hat-1" / "processed"),
            r"hat-1: is no log, but hats\.yaml lists it",
        ),
    ],
)
def test_bad_config(log, break_it, message):
    folder = write_configs(log)
    break_it(folder)
    with pytest.raises(DataError, match=message) as raised:
        read_pdc(folder / "composite" / "hats.yaml")
    assert "\n" not in str(raised.value)


def poses(folder, number=17, **changes):
    path = folder / "images" / "pose_data.yaml"
    content = yaml.safe_load(path.read_text())
    content[number] |= changes
    path.write_text(yaml.safe_dump(content))


def info(folder, **changes):
    config(folder / "images" / "camera_info.yaml", **changes)


def moved(part, **changes):
    """camera_to_world with some numbers changed."""
    content = pose_entry(17)["camera_to_world"]
    return content | {part: {k: v for k, v in (content[part] | changes).items() if v is not None}}


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "images" / "pose_data.yaml").unlink(), r"pose_data\.yaml: this file does not exist"),
        (lambda f: (f / "images" / "camera_info.yaml").unlink(), r"camera_info\.yaml: this file does not"),
        (
            lambda f: (f / "images" / "pose_data.yaml").write_text("0: {a"),
            r"pose_data\.yaml: is not valid YAML",
        ),
        (lambda f: (f / "images" / "pose_data.yaml").write_text(""), "holds no keys and values"),
        (lambda f: (f / "images" / "pose_data.yaml").write_text("0: 1"), "entry 0: lacks camera_to_world"),
        (lambda f: poses(f, camera_to_world=[1]), "entry 17: lacks camera_to_world > quaternion > w"),
        (
            lambda f: poses(f, camera_to_world=moved("translation", z=None)),
            r"pose_data\.yaml, entry 17: lacks camera_to_world > translation > z; write the file again",
        ),
        (lambda f: poses(f, camera_to_world=moved("translation", z="far")), "entry 17: expected 3 numbers"),
        (lambda f: poses(f, camera_to_world=moved("translation", z=float("nan"))), "entry 17: .*finite"),
        (
            lambda f: poses(f, camera_to_world=moved("quaternion", w=2.0)),
            "entry 17: the quaternion .* length",
        ),
        (lambda f: poses(f, timestamp="noon"), "entry 17: the timestamp is 'noon'; write nanoseconds"),
        (lambda f: info(f, camera_matrix={"rows": 3}), r"camera_info\.yaml: lacks camera_matrix > data"),
        (lambda f: info(f, camera_matrix={"data": K[:6]}), r"camera_info\.yaml: expected 9 numbers"),
        (lambda f: info(f, camera_matrix={"data": [-k for k in K]}), r"camera_info\.yaml: the camera matrix"),
        (
            lambda f: info(f, image_width=640),
            r"camera_info\.yaml: is for images 640 pixels wide, but 000000_rgb\.png is 32x24",
        ),
        (lambda f: [p.unlink() for p in f.glob("images/*_rgb.png")], "images: holds no images NNNNNN_rgb"),
        (
            lambda f: (f / "images" / "000000_rgb.png").write_bytes(b"x"),
            r"000000_rgb\.png: is not a readable",
        ),
        (
            lambda f: shutil.rmtree(f / "images"),
            r"holds no log; a log is a folder with images/camera_info\.yaml",
        ),
    ],
)
def test_bad(log, break_it, message):
    break_it(log / "processed")
    with pytest.raises(DataError, match=message) as raised:
        read_pdc(log)
    assert "\n" not in str(raised.value)


def test_import(log, tmp_path):
    data = read_pdc(write_configs(log) / "composite" / "hats.yaml")
    write_native(data, tmp_path / "bop")
    again = read_bop(tmp_path / "bop")
    assert len(again.split("train").views()) == 9
    assert {m.family for m in again.objects.values()} == {"shoe", "hat", "shoe+hat"}
    for mine, theirs in zip(data.split("test").views(), again.split("test").views(), strict=True):
        torch.testing.assert_close(mine.world_from_camera, theirs.world_from_camera, atol=1e-6, rtol=1e-6)
        a, b = decode_view(mine), decode_view(theirs)
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.depth, b.depth)
        assert np.array_equal(a.labels, b.labels)


def test_real_frame(realdata):
    """The published cloud, projected with the published pose, lies on the depth drawn from the fused mesh."""
    folder = realdata / "don_frame"
    assert is_pdc(folder)
    data = read_pdc(folder)
    (view,) = data.views()
    assert data.recordings[0].moments[0].time == pytest.approx(1523888723.371, abs=1e-3)
    cloud = read_ply(folder / "fusion_pointcloud.ply").vertices
    uv, z = project(view.intrinsics, transform(invert(view.world_from_camera), cloud))
    inside = (z > 0) & (uv >= 0).all(1) & (uv <= torch.tensor([639, 479])).all(1)
    arrays = decode_view(view)
    column, row = uv[inside].round().long().unbind(1)
    drawn = torch.from_numpy(arrays.depth * np.float32(arrays.metres_per_unit))[row, column]
    error = (drawn - z[inside]).abs()[drawn > 0]
    assert len(error) > 130_000
    assert error.median() < 0.005
    assert (error < 0.01).float().mean() > 0.8
    assert (arrays.labels > 0).sum() == 19_789


def test_what_single_images_lack_is_counted(log):
    folder = log / "processed"
    assert read_pdc(log).notes == ()
    image = sorted((folder / "images").glob("*_rgb.png"))[-1]
    image.rename(image.with_name("000999_rgb.png"))
    (folder / "images" / "overview.jpg").write_bytes(b"1")
    notes = read_pdc(log).notes
    assert any(re.match(r"1 of \d images have no pose \(", note) for note in notes)
    assert any(re.match(r"1 of \d images have no depth image \(", note) for note in notes)
    assert any("images: 1 .jpg file is not used (overview.jpg)" in note for note in notes)
