"""Colour, depth, poses and labels side by side in one folder, told apart by words in their names."""

import cv2
import numpy as np
import pytest

from samepoint.data.decode import decode_view
from samepoint.data.importers import import_dataset
from samepoint.data.open import open_dataset
from samepoint.data.readers.flat_frames import is_flat
from samepoint.errors import DataError

SIZE = (12, 16)


def image(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)


def depth(path, units=700):
    values = np.full(SIZE, units, np.uint16)
    values[0] = 65535
    assert cv2.imwrite(str(path), values)


@pytest.fixture
def seven(tmp_path):
    root = tmp_path / "seq-01"
    for i in range(3):
        image(root / f"frame-{i:06d}.color.png", i)
        depth(root / f"frame-{i:06d}.depth.png")
        np.savetxt(root / f"frame-{i:06d}.pose.txt", np.eye(4))
    return root


def test_seven_scenes(seven, tmp_path):
    (seven / "camera-intrinsics.txt").write_text("20 0 7.5 0 20 5.5 0 0 1")
    data = open_dataset(seven)
    (recording,) = data.recordings
    assert (recording.name, recording.mode) == ("seq-01", "scan")
    assert [view.image.name for view in data.views()] == [f"frame-{i:06d}.color.png" for i in range(3)]
    assert all(view.world_from_camera is not None for view in data.views())
    found = decode_view(data.views()[0])
    assert (found.depth[0] == 0).all()  # 65535 is unknown
    assert (found.depth[1:] == 700).all()
    assert data.notes == ("depth is taken for millimetres: camera-intrinsics.txt says no unit",)
    written = import_dataset("frames", seven, tmp_path / "out").views()[0]
    assert np.array_equal(
        decode_view(written).depth * decode_view(written).metres_per_unit, found.depth * 1e-3
    )


def test_depth_without_a_camera_is_named(seven):
    data = open_dataset(seven)
    assert data.recordings[0].mode == "scan"  # the poses are known
    assert all(view.depth is None for view in data.views())
    assert data.notes == (
        "3 of 6 .png files are not used (frame-000000.depth.png, ...):"
        " no camera; write intrinsics.json or cam_K.txt there",
    )


def test_sequences_and_their_splits(seven):
    (seven.parent / "seq-02").mkdir()
    for path in seven.iterdir():
        (seven.parent / "seq-02" / path.name).write_bytes(path.read_bytes())
    (seven.parent / "TrainSplit.txt").write_text("sequence2\n")
    (seven.parent / "TestSplit.txt").write_text("sequence1\n")
    data = open_dataset(seven.parent)
    assert [(r.name, r.split) for r in data.recordings] == [("seq-01", "test"), ("seq-02", "train")]


def test_ycb_video_names(tmp_path):
    for i in (1, 2):
        image(tmp_path / f"{i:06d}-color.jpg", i)
        depth(tmp_path / f"{i:06d}-depth.png", 7000)
        labels = np.zeros(SIZE, np.uint8)
        labels[2:5], labels[7:9] = 3, 14 + i
        cv2.imwrite(str(tmp_path / f"{i:06d}-label.png"), labels)
        (tmp_path / f"{i:06d}-box.txt").write_text("003_cracker_box 0 0 1 1\n")
    data = open_dataset(tmp_path)
    assert data.recordings[0].mode == "photos"
    assert [view.image.name for view in data.views()] == ["000001-color.jpg", "000002-color.jpg"]
    assert [[p.object_id for p in view.placements] for view in data.views()] == [[3, 15], [3, 16]]
    assert list(data.objects) == [3, 15, 16]
    found = decode_view(data.views()[1]).labels
    assert (found[2:5] == 1).all()
    assert (found[7:9] == 2).all()
    assert "masks hold the numbers 3, 15, 16: an object each" in data.notes


@pytest.mark.parametrize(
    ("colour", "other"),
    [("rgb_{}.png", "depth_{}.png"), ("{}.png", "{}_depth.png"), ("{}_Color.png", "{}_Depth.png")],
)
def test_other_words(tmp_path, colour, other):
    for i in range(3):
        image(tmp_path / colour.format(i), i)
        depth(tmp_path / other.format(i))
    (tmp_path / "cam_K.txt").write_text("20 0 7.5 0 20 5.5 0 0 1")
    views = open_dataset(tmp_path).views()
    assert [view.image.name for view in views] == [colour.format(i) for i in range(3)]
    assert [view.depth.path.name for view in views] == [other.format(i) for i in range(3)]


def test_photos_of_depth_gauges_are_photos(tmp_path):
    for i in range(3):
        image(tmp_path / f"depth_gauge_{i}.png", i)
    assert not is_flat(tmp_path)
    assert len(open_dataset(tmp_path).views()) == 3


def test_damaged_poses(seven):
    (seven / "frame-000001.pose.txt").write_text("1 2 3")
    with pytest.raises(DataError, match=r"frame-000001\.pose\.txt: has 3 numbers, not 16"):
        open_dataset(seven)
