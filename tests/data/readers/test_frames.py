import json
import shutil
from pathlib import Path

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


def lost(folder, *numbers):
    for number in numbers:
        np.savetxt(folder / "pose" / f"{number:03d}.txt", np.full((4, 4), (np.nan, -np.inf, 0)[number]))


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
        (lambda f: lost(f, 0, 1, 2), r"pose: all 3 poses are unknown"),
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


def rename(folder, new):
    """Gives the files of a folder other names, by number."""
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"{new.format(number)}{path.suffix}")


def test_unknown_poses_are_views_without_one_and_are_counted(folder):
    lost(folder, 1, 2)
    data = read_frames(folder)
    assert [view.world_from_camera is None for view in data.views()] == [False, True, True]
    assert data.notes == ("2 of 3 poses are unknown (not finite): these views have none",)


def test_poses_of_twelve_numbers(folder):
    whole = read_frames(folder).views()[1].world_from_camera
    pose = np.loadtxt(folder / "pose" / "001.txt")
    np.savetxt(folder / "pose" / "001.txt", pose[:3])
    torch.testing.assert_close(read_frames(folder).views()[1].world_from_camera, whole)


@pytest.mark.parametrize(
    ("color", "depth", "how"),
    [
        ("{:06d}", "{}", "number"),
        ("frame_{:04d}", "depth_{:04d}", "number"),
        ("rgb_{:03d}", "depth_{:03d}", None),
        ("frame-{:06d}.color", "frame-{:06d}.depth", None),
        ("1305031102.{:01d}5", "1305031102.{:01d}7", "time"),
    ],
)
def test_names_that_differ_are_matched_where_that_is_plain(folder, color, depth, how):
    rename(folder / "color", color)
    rename(folder / "depth", depth)
    rename(folder / "pose", color)
    data = read_frames(folder)
    for number, view in enumerate(data.views()):
        assert view.image.stem == color.format(number)
        assert view.depth.path.stem == depth.format(number)
        assert view.world_from_camera is not None
    line = f"depth files belong to the images of the same {how}: their names differ"
    assert data.notes == ((line,) if how else ())


def test_names_that_fit_in_two_ways_or_none_are_an_error_with_both_sides(folder):
    rename(folder / "depth", "{}")
    (folder / "depth" / "0.png").rename(folder / "depth" / "3.png")  # 1, 2, 3 against 0, 1, 2
    with pytest.raises(DataError, match=r"found color/ with 3 \(000\.png, .*\) and depth/ with 3 \(1\.png"):
        read_frames(folder)
    rename(folder / "depth", "x{}y")
    for path in list((folder / "depth").iterdir()):
        path.rename(path.with_name(path.name.translate(str.maketrans("012", "abc"))))
    with pytest.raises(DataError, match=r"depth: no depth file has the name of an image: found color/"):
        read_frames(folder)


def test_what_is_left_over_is_said(folder):
    (folder / "depth" / "000.png").rename(folder / "depth" / "010.png")
    cv2.imwrite(str(folder / "thumbs.png"), np.zeros((4, 4), np.uint8))
    (folder / "train.txt").write_text("000.png\n001.png\n")
    assert read_frames(folder).notes == (
        "1 .png file is not used (thumbs.png)",
        "color: 1 of 3 .png files is not used (002.png): in no list (train.txt)",
        "depth: 1 of 3 .png files is not used (010.png): no image has its name",
    )


@pytest.mark.parametrize("suffix", ["npy", "npz", "pfm", "exr"])
def test_depth_of_floating_point_is_in_metres(folder, suffix):
    """Also where the unit of intrinsics.json is that of whole numbers."""
    metres = {}
    for path in sorted((folder / "depth").iterdir()):
        metres[path.stem] = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000 + 0.1
        path.unlink()
        target, values = path.with_suffix(f".{suffix}"), metres[path.stem]
        if suffix == "npy":
            np.save(target, values)
        elif suffix == "npz":
            np.savez(target, depth=values)
        elif suffix == "pfm":
            target.write_bytes(b"Pf\n16 12\n-1.0\n" + values[::-1].tobytes())
        else:
            exr = pytest.importorskip("OpenEXR")
            header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
            exr.File(header, {"Z": values}).write(str(target))
    data = read_frames(folder)
    assert data.notes == (
        "depth of floating point is taken for metres: by depth_unit_m it would be impossible",
    )
    for view in data.views():
        decoded = decode_view(view)
        assert np.abs(decoded.depth * decoded.metres_per_unit - metres[view.image.stem]).max() < 1e-4
    camera(folder, depth_unit_m=None)
    assert read_frames(folder).notes == ()


def test_foundation_pose(folder):
    """rgb/, depth/, masks/ and cam_K.txt: millimetres, masks of the first image alone."""
    (folder / "color").rename(folder / "rgb")
    (folder / "intrinsics.json").unlink()
    (folder / "cam_K.txt").write_text("20 0 7.5\n0 21 5.5\n0 0 1\n")
    (folder / "masks").mkdir()
    cv2.imwrite(str(folder / "masks" / "000.png"), np.full(SIZE, 255, np.uint8))
    data = open_dataset(folder)
    assert data.views()[0].intrinsics.tolist() == [[20, 0, 7.5], [0, 21, 5.5], [0, 0, 1]]
    assert {view.depth.metres_per_unit for view in data.views()} == {0.001}
    assert [len(view.placements) for view in data.views()] == [1, 0, 0]
    assert list(data.objects) == [1]
    assert data.notes == ("depth is taken for millimetres: cam_K.txt says no unit",)
    for path in (folder / "depth").iterdir():
        cv2.imwrite(str(path), np.full(SIZE, 50000, np.uint16))
    with pytest.raises(DataError, match=r"as millimetres its median depth is 50 m.*depth_unit_m"):
        read_frames(folder)


def test_masks_of_several_objects_in_folders(folder):
    for name in ("cup", "plate"):
        (folder / "masks" / name).mkdir(parents=True)
        cv2.imwrite(str(folder / "masks" / name / "001.png"), np.full(SIZE, 255, np.uint8))
    data = read_frames(folder)
    assert {number: model.family for number, model in data.objects.items()} == {1: "cup", 2: "plate"}
    assert [[p.object_id for p in view.placements] for view in data.views()] == [[], [1, 2], []]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cam_K.txt", "20,0,7.5,0,21,5.5,0,0,1"),
        ("camera-intrinsics.txt", "20 0 7.5\n0 21 5.5\n0 0 1\n"),
        ("intrinsic/intrinsic_color.txt", "20 0 7.5 0\n0 21 5.5 0\n0 0 1 0\n0 0 0 1\n"),
        ("intrinsics.txt", "20 21 7.5 5.5"),
        (
            "camera_intrinsic.json",
            '{"width": 16, "height": 12, "intrinsic_matrix": [20,0,0,0,21,0,7.5,5.5,1]}',
        ),
    ],
)
def test_cameras_as_other_programs_write_them(folder, name, text):
    (folder / "intrinsics.json").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    assert is_frames(folder)
    assert read_frames(folder).views()[0].intrinsics.tolist() == [[20, 0, 7.5], [0, 21, 5.5], [0, 0, 1]]
    (folder / name).write_text("20 0 7.5")
    with pytest.raises(DataError, match=Path(name).name):
        read_frames(folder)


def test_scan_net(folder):
    """Depth of half the size, with a camera matrix of its own; poses that tracking lost."""
    (folder / "intrinsics.json").unlink()
    (folder / "intrinsic").mkdir()
    (folder / "intrinsic" / "intrinsic_color.txt").write_text("20 0 7.5 0 0 20 5.5 0 0 0 1 0 0 0 0 1")
    (folder / "intrinsic" / "intrinsic_depth.txt").write_text("10 0 3.5 0 0 10 2.5 0 0 0 1 0 0 0 0 1")
    for path in (folder / "depth").iterdir():
        cv2.imwrite(str(path), np.full((6, 8), 700, np.uint16))
    lost(folder, 1)
    data = read_frames(folder)
    assert len(data.notes) == 3
    decoded = [decode_view(view) for view in data.views()]
    assert all((each.depth == 700).all() and each.depth.shape == SIZE for each in decoded)


def test_a_folder_of_such_folders(folder):
    shutil.copytree(folder, folder.parent / "all" / "b10")
    shutil.copytree(folder, folder.parent / "all" / "b9")
    (folder.parent / "all" / "b9" / "raw.dng").touch()
    (folder.parent / "all" / "other.mp4").touch()
    data = open_dataset(folder.parent / "all")
    assert [(r.name, len(r.moments)) for r in data.recordings] == [("b9", 3), ("b10", 3)]
    assert data.notes == (
        "b9: 1 .dng file is not used (raw.dng)",
        "1 .mp4 file is not used (other.mp4)",
    )


def test_images_beside_the_folders_of_depth_and_poses(folder):
    for path in (folder / "color").iterdir():
        path.rename(folder / path.name)
    (folder / "color").rmdir()
    data = open_dataset(folder)
    assert [view.image.name for view in data.views()] == ["000.png", "001.png", "002.png"]
    assert all(view.depth is not None and view.world_from_camera is not None for view in data.views())
    assert data.notes == ()


def test_poses_as_arrays(folder):
    whole = read_frames(folder).views()[1].world_from_camera
    for path in list((folder / "pose").iterdir()):
        np.save(path.with_suffix(".npy"), np.loadtxt(path))
        path.unlink()
    torch.testing.assert_close(read_frames(folder).views()[1].world_from_camera, whole)
    np.save(folder / "pose" / "001.npy", np.eye(3))
    with pytest.raises(DataError, match=r"001\.npy: has shape \(3, 3\), not 4x4"):
        read_frames(folder)


@pytest.mark.parametrize(("name", "suffix"), [("pose", "json"), ("depth", "jpg")])
def test_folders_of_which_nothing_is_read_are_errors(folder, name, suffix):
    for path in list((folder / name).iterdir()):
        path.rename(path.with_suffix(f".{suffix}"))
    with pytest.raises(DataError, match=rf"{name}: none of its 3 files \(\.{suffix}\) is read; {name} is"):
        read_frames(folder)


def test_keys_and_files_that_are_not_read_are_named(folder):
    camera(folder, depth_scale=1000, serial="12")
    (folder / "trajectory.log").touch()
    assert read_frames(folder).notes == (
        "intrinsics.json: keys that are not read: depth_scale, serial",
        "1 .log file is not used (trajectory.log)",
    )
    camera(folder, coeffs=[0.1, 0, 0, 0, 0])
    with pytest.raises(
        DataError, match=r'intrinsics\.json: coeffs is not read; write the lens as "distortion"'
    ):
        read_frames(folder)
    camera(folder, coeffs=[0, 0, 0, 0, 0])
    assert len(read_frames(folder).views()) == 3
