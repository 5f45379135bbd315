"""`samepoint data fuse`: a native recording in, objects with masks, meshes and clean depth out."""

import json

import numpy as np
import pytest

pytest.importorskip("open3d", reason="fusion needs Open3D")

from PIL import Image
from tests.fusion.tabletop import Box, cast, frames_of, ring

from samepoint.cli.main import run
from samepoint.data.bop_writer import BopWriter
from samepoint.data.decode import decode_view
from samepoint.data.mesh import load_mesh
from samepoint.data.open import open_dataset
from samepoint.data.scene_writer import WrittenView

APART = (Box((-0.1, -0.04, 0.0), (-0.015, 0.05, 0.08)), Box((0.015, -0.05, 0.0), (0.07, 0.03, 0.05)))
TOUCHING = (Box((-0.06, -0.07, 0.0), (0.0, 0.07, 0.12)), Box((0.0, -0.025, 0.0), (0.08, 0.025, 0.04)))
SIZE = (240, 320)
K = np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]])
POSES = ring()
QUICK = ["--voxel", "0.004", "--coarse", "0.02"]


def write(root, recordings):
    """Recordings as (mode, boxes, depth kept): no masks, no objects."""
    writer = BopWriter(root)
    for number, (mode, boxes, has_depth) in enumerate(recordings):
        with writer.scene("train", number, mode) as scene:
            for frame in frames_of(boxes, POSES, 0.001, SIZE, K):
                depth = frame.depth if has_depth else None
                scene.add_moment([WrittenView("cam0", frame.image, K, frame.world_from_camera, depth)])
    writer.close()
    return root


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write(
        tmp_path_factory.mktemp("scans") / "raw",
        [("scan", APART, True), ("scan", TOUCHING, True), ("scan", (), True), ("shuffle", APART, False)],
    )


@pytest.fixture(scope="module")
def fused(scans):
    out = scans.parent / "fused"
    arguments = ["data", "fuse", str(scans), "--out", str(out), "--empty", "train/000002", "--planes", "1"]
    assert run([*arguments, *QUICK]) == 0
    return out


def masks_against_truth(view, boxes, pose):
    """The best intersection over union of each box among the view's masks."""
    labels, seen = decode_view(view).labels, cast(pose, boxes, SIZE, K)[1]
    found = [labels == k + 1 for k in range(len(view.placements))]
    return [max(((seen == k) & m).sum() / ((seen == k) | m).sum() for m in found) for k in range(len(boxes))]


def test_masks_depth_and_meshes(fused):
    data = open_dataset(fused)
    assert [recording.mode for recording in data.recordings] == ["scan", "scan", "shuffle"]
    views = list(data.recordings[0].views())
    shares = np.array([masks_against_truth(view, APART, pose) for view, pose in zip(views, POSES)])
    assert (np.median(shares, axis=0) > 0.85).all()
    for view, pose in list(zip(views, POSES))[::5]:
        arrays = decode_view(view)
        depth, truth = arrays.depth * arrays.metres_per_unit, cast(pose, APART, SIZE, K)[0]
        assert np.median(np.abs(depth - truth)[arrays.labels > 0]) < 0.0015
    numbers = {p.object_id for p in views[0].placements}
    assert len(numbers) == 2
    for number, size in zip(sorted(numbers), ((0.085, 0.09, 0.08), (0.055, 0.08, 0.05))):
        mesh = load_mesh(data.objects[number])
        np.testing.assert_allclose(np.ptp(mesh.vertices.numpy(), axis=0), size, atol=0.015)
        (placement,) = [p for p in views[0].placements if p.object_id == number]
        world = views[0].world_from_camera @ placement.camera_from_object
        corner = world[:3, 3].numpy() - np.array(size) / 2
        boxes = {(0.085, 0.09, 0.08): APART[0], (0.055, 0.08, 0.05): APART[1]}
        np.testing.assert_allclose(corner, boxes[size].low, atol=0.012)


def test_report_and_pictures(fused):
    rows = json.loads((fused / "fusion" / "fusion.json").read_text())["recordings"]
    assert [row["recording"] for row in rows] == ["train/000000", "train/000001"]
    assert [found["may_be"] for found in rows[0]["objects"]] == [1, 1]
    assert [found["may_be"] for found in rows[1]["objects"]] == [2]
    for picture in ("train-000000.png", "train-000001.png"):
        assert Image.open(fused / "fusion" / picture).size[0] > 800


def test_clicks_split_what_touches(scans, tmp_path):
    pixel = {}
    seen = cast(POSES[0], TOUCHING, SIZE, K)[1]
    for k in range(2):
        v, u = np.argwhere(seen == k).mean(0)
        pixel[k] = [float(u), float(v)]
    clicks = tmp_path / "clicks.json"
    clicks.write_text(
        json.dumps({"train/000001": [{"image": "000000.png", "uv": uv} for uv in pixel.values()]})
    )
    arguments = ["data", "fuse", str(scans), "--empty", "train/000002", *QUICK, "--clicks", str(clicks)]
    assert run([*arguments, "--out", str(tmp_path / "fused")]) == 0
    view = next(open_dataset(tmp_path / "fused").recordings[1].views())
    assert min(masks_against_truth(view, TOUCHING, POSES[0])) > 0.8
    clicks.write_text(json.dumps({"train/000001": [{"image": "000000.png", "uv": [1, 1]}]}))
    assert run([*arguments, "--out", str(tmp_path / "again")]) == 2
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--empty", "nothing"], "recording 'nothing' is unknown; choose one of: train/000000"),
        (["--robot", "arm"], "recording 'arm' is unknown"),
        (["--changed", "train/000000", "nothing"], "recording 'nothing' is unknown"),
        (["--changed", "train/000000"], "--changed train/000000 is one scan, not two"),
        (["--clicks", "none.json"], "does not exist"),
        (["--voxel", "0"], "voxel is 0"),
        (["--box", "5", "5", "5", "6", "6", "6"], "nothing was fused"),
    ],
)
def test_bad_input_is_one_line(scans, arguments, line, tmp_path, capsys):
    code = run(["data", "fuse", str(scans), "--out", str(tmp_path / "out"), *QUICK, *arguments])
    assert code == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def write_lists(root):
    """A frames folder: one pass over two boxes, every third image held out in test.txt."""
    for name in ("color", "depth", "pose"):
        (root / name).mkdir(parents=True)
    (fx, _, cx), (_, fy, cy), _ = K.tolist()
    camera = {"width": 320, "height": 240, "fx": fx, "fy": fy, "cx": cx, "cy": cy, "depth_unit_m": 0.0001}
    (root / "intrinsics.json").write_text(json.dumps(camera))
    for i, frame in enumerate(frames_of(APART, POSES, 0.001, SIZE, K)):
        Image.fromarray(frame.image).save(root / "color" / f"{i:03d}.png")
        Image.fromarray((frame.depth * 10000).astype(np.uint16)).save(root / "depth" / f"{i:03d}.png")
        np.savetxt(root / "pose" / f"{i:03d}.txt", frame.world_from_camera)
    numbers = range(len(POSES))
    (root / "train.txt").write_text("".join(f"{i:03d}.png\n" for i in numbers if i % 3))
    (root / "test.txt").write_text("".join(f"{i:03d}.png\n" for i in numbers if i % 3 == 0))
    return root


@pytest.mark.parametrize("imported", [False, True])
def test_lists_of_one_pass_are_one_scan_with_the_same_objects(tmp_path, imported):
    source = write_lists(tmp_path / "box")
    if imported:
        assert run(["data", "import", "frames", str(source), "--out", str(tmp_path / "native")]) == 0
        source = tmp_path / "native"
    assert run(["data", "fuse", str(source), "--out", str(tmp_path / "fused"), *QUICK]) == 0
    data = open_dataset(tmp_path / "fused")
    lists = {recording.split: recording for recording in data.recordings}
    assert {split: len(found.moments) for split, found in lists.items()} == {"train": 10, "test": 6}
    assert len(data.objects) == 2
    poses = {"train": [p for i, p in enumerate(POSES) if i % 3], "test": POSES[::3]}
    for split, found in lists.items():
        views = list(found.views())
        assert all({p.object_id for p in view.placements} == set(data.objects) for view in views)
        best = [masks_against_truth(view, APART, pose) for view, pose in zip(views, poses[split])]
        assert (np.median(best, axis=0) > 0.85).all()
    (row,) = json.loads((tmp_path / "fused" / "fusion" / "fusion.json").read_text())["recordings"]
    assert (row["recording"], row["frames"]) == ("box", len(POSES))
    assert sorted(row["written"]) == ["test/000000", "train/000000"]
    assert len(list((tmp_path / "fused" / "fusion").glob("*.png"))) == 1


def test_what_was_taken_away_between_scans_is_an_object_of_its_own(tmp_path):
    source = write(tmp_path / "raw", [("scan", TOUCHING, True), ("scan", TOUCHING[:1], True)])
    arguments = ["data", "fuse", str(source), *QUICK]
    assert run([*arguments, "--out", str(tmp_path / "one")]) == 0
    changed = ["--changed", "train/000000", "train/000001"]
    assert run([*arguments, "--out", str(tmp_path / "two"), *changed]) == 0
    found = {name: open_dataset(tmp_path / name) for name in ("one", "two")}
    counts = {
        name: [len({p.object_id for v in r.views() for p in v.placements}) for r in data.recordings]
        for name, data in found.items()
    }
    assert counts == {"one": [1, 1], "two": [2, 1]}
    views = list(found["two"].recordings[0].views())[:5]  # the first cameras see both
    best = np.median([masks_against_truth(v, TOUCHING, pose) for v, pose in zip(views, POSES)], axis=0)
    assert best[0] > 0.9
    assert best[1] > 0.8


def test_photos_cannot_be_fused(tmp_path, capsys):
    Image.new("RGB", (32, 24)).save(tmp_path / "a.png")
    assert run(["data", "fuse", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "there is no scan to fuse" in capsys.readouterr().err
