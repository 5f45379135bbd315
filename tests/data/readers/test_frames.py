import json
import shutil

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.decode import decode_view
from samepoint.data.importers import import_dataset
from samepoint.data.open import open_dataset
from samepoint.data.readers.frames import is_frames, read_frames
from samepoint.errors import DataError
from samepoint.geometry.cameras import project, unproject
from samepoint.geometry.motions import invert, transform

SIZE = (12, 16)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "box"
    for name in ("color", "depth", "pose"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(root / "color" / f"{i:03d}.png"), rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8))
        cv2.imwrite(str(root / "depth" / f"{i:03d}.png"), rng.integers(0, 5000, SIZE, dtype=np.uint16))
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(rng.normal(size=3))[0]
        pose[:3, 3] = rng.normal(size=3)
        np.savetxt(root / "pose" / f"{i:03d}.txt", pose)
    camera = {"width": 16, "height": 12, "fx": 20.0, "fy": 21, "cx": 7.5, "cy": 5.5, "depth_unit_m": 0.001}
    (root / "intrinsics.json").write_text(json.dumps(camera))
    return root


def test_read(folder):
    assert is_frames(folder)
    (recording,) = read_frames(folder).recordings
    assert (recording.name, recording.mode, recording.split) == ("box", "scan", None)
    for i, view in enumerate(recording.views()):
        truth = np.loadtxt(folder / "pose" / f"{i:03d}.txt")
        torch.testing.assert_close(view.world_from_camera, torch.from_numpy(truth).float())
        assert view.intrinsics.tolist() == [[20, 0, 7.5], [0, 21, 5.5], [0, 0, 1]]
        assert view.depth.metres_per_unit == 0.001


def test_lists_make_splits(folder):
    (folder / "train.txt").write_text("000.png\n002.png\n")
    (folder / "test.txt").write_text("001.png\n")
    data = read_frames(folder)
    assert [(r.name, r.split, len(r.moments)) for r in data.recordings] == [
        ("box/train", "train", 2),
        ("box/test", "test", 1),
    ]
    (folder / "test.txt").write_text("009.png\n")
    with pytest.raises(DataError, match=r"test\.txt: names 009, which is not there"):
        read_frames(folder)


def test_parts_may_be_missing(folder):
    (folder / "pose" / "001.txt").unlink()
    (folder / "depth" / "002.png").unlink()
    views = read_frames(folder).views()
    assert [v.world_from_camera is None for v in views] == [False, True, False]
    assert [v.depth is None for v in views] == [False, False, True]
    for name in ("pose", "depth"):
        shutil.rmtree(folder / name)
    assert all(v.depth is None and v.world_from_camera is None for v in read_frames(folder).views())


def camera(folder, **changes):
    path = folder / "intrinsics.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_bent_images_are_straightened_by_import_and_refused_otherwise(folder, tmp_path):
    camera(folder, distortion=[-0.2, 0.05, 0.001, 0, 0])
    assert all(view.lens.coefficients == (-0.2, 0.05, 0.001, 0, 0) for view in read_frames(folder).views())
    with pytest.raises(DataError, match=r"bent.*samepoint data import frames"):
        open_dataset(folder)
    import_dataset("frames", folder, tmp_path / "straight")
    assert all(view.lens is None for view in open_dataset(tmp_path / "straight").views())


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "intrinsics.json").unlink(), "box: depth without intrinsics; write intrinsics"),
        (lambda f: camera(f, depth_unit_m=None), "lacks depth_unit_m"),
        (lambda f: camera(f, depth_unit_m=-1), "depth_unit_m is -1"),
        (lambda f: camera(f, fx=None, cy=None), "lacks fx, cy"),
        (lambda f: camera(f, fx=0), "camera matrix"),
        (lambda f: camera(f, fx="wide"), "expected 4 numbers"),
        (lambda f: camera(f, width=640), r"is for images 640 pixels wide, but 000\.png is 16x12"),
        (lambda f: np.savetxt(f / "pose" / "001.txt", np.diag([1, 1, -1, 1])), r"001\.txt: .*mirrored"),
        (lambda f: np.savetxt(f / "pose" / "001.txt", np.full((4, 4), np.nan)), r"001\.txt: .*finite"),
        (lambda f: np.savetxt(f / "pose" / "001.txt", np.eye(3)), r"001\.txt: has 9 numbers, not 16"),
        (lambda f: (f / "pose" / "001.txt").write_text("one"), r"001\.txt: holds 'one' among its numbers"),
        (lambda f: shutil.rmtree(f / "color") or (f / "color").mkdir(), "color: holds no images"),
        (lambda f: shutil.rmtree(f / "color"), "has no colour folder"),
    ],
)
def test_bad(folder, break_it, message):
    break_it(folder)
    with pytest.raises(DataError, match=message):
        read_frames(folder)


def same_views(a, b):
    for x, y in zip(a, b, strict=True):
        assert x.image.read_bytes() == y.image.read_bytes()
        torch.testing.assert_close(x.intrinsics, y.intrinsics)
        torch.testing.assert_close(x.world_from_camera, y.world_from_camera, atol=1e-6, rtol=1e-6)
        mine, theirs = decode_view(x), decode_view(y)
        assert np.array_equal(mine.depth, theirs.depth)
        assert mine.metres_per_unit == pytest.approx(theirs.metres_per_unit)
        assert (mine.labels is None) == (theirs.labels is None)
        assert mine.labels is None or np.array_equal(mine.labels, theirs.labels)


def test_import(folder, tmp_path):
    (folder / "train.txt").write_text("000.png\n002.png\n")
    (folder / "test.txt").write_text("001.png\n")
    data = import_dataset("frames", folder, tmp_path / "bop")
    for split in ("train", "test"):
        same_views(read_frames(folder).split(split).views(), data.split(split).views())
    again = import_dataset("bop", tmp_path / "bop", tmp_path / "bop2")
    same_views(data.views(), again.views())


def test_a_failed_import_leaves_nothing(folder, tmp_path):
    path = folder / "color" / "002.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"002\.png.*truncated"):
        import_dataset("frames", folder, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["box"]
    with pytest.raises(DataError, match="choose one of: bop, frames"):
        import_dataset("rosbag", folder, tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        import_dataset("bop", tmp_path / "none", tmp_path / "out")
    with pytest.raises(DataError, match="not empty"):
        import_dataset("frames", folder, folder)


def test_real_frames(realdata, tmp_path):
    """The README's own check: pixels with depth agree with the other view's depth within 2 %."""
    data = read_frames(realdata / "rgbd_amazon_box")
    train, test = data.split("train"), data.split("test")
    assert len(train.views()) + len(test.views()) == 50
    assert {v.image.name for v in train.views()}.isdisjoint({v.image.name for v in test.views()})
    views = sorted(data.views(), key=lambda v: v.image.name)
    torch.testing.assert_close(views[0].world_from_camera, torch.eye(4), atol=1e-5, rtol=0)
    a, b = views[0], views[4]
    depth_a, depth_b = (torch.from_numpy(decode_view(v).depth * np.float32(0.001)) for v in (a, b))
    row, column = torch.nonzero(depth_a > 0, as_tuple=True)
    uv = torch.stack((column, row), 1).float()
    world = transform(a.world_from_camera, unproject(a.intrinsics, uv, depth_a[row, column]))
    uv_b, z = project(b.intrinsics, transform(invert(b.world_from_camera), world))
    inside = (uv_b > 0).all(1) & (uv_b < torch.tensor([639, 479])).all(1)
    j, i = uv_b[inside].round().long().unbind(1)
    measured = depth_b[i, j]
    agree = ((measured - z[inside]).abs() < 0.02 * z[inside])[measured > 0]
    assert agree.float().mean() > 0.6
    assert len(agree) > 10_000
