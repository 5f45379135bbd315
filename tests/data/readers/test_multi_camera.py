"""Recordings of several cameras: folders and videos, calibrations, tables, and an error for all that is wrong."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from tests.data.rig.synthetic import make_rig, write_blank

from samepoint.data.info import describe
from samepoint.data.open import open_dataset
from samepoint.data.readers.multi_camera import is_multi_camera, read_multi_camera
from samepoint.data.rig.anipose import read_calibration, write_calibration
from samepoint.data.rig.points import recording_labels
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens, undistort_image
from samepoint.workflows.training import training_split

BENT = Lens("brown", (-0.3, 0.1, 0.001, -0.002, 0.0))


@pytest.fixture
def rig(tmp_path):
    """Two cameras, three moments."""
    return make_rig(number=2, moments=3, keypoints=2).write(tmp_path / "data" / "train")


def refused(folder, first, *parts):
    with pytest.raises(DataError, match=re.escape(first)) as error:
        read_multi_camera(folder)
    for part in parts:
        assert part in str(error.value)


def append(path, line):
    path.write_text(path.read_text() + line + "\n")


def test_folders_of_images(rig):
    (recording,) = open_dataset(rig).recordings
    assert (recording.name, recording.mode) == ("train", "rig")
    assert [moment.name for moment in recording.moments] == ["000000", "000001", "000002"]
    first = recording.moments[0]
    assert [view.camera for view in first.views] == ["front", "left"]
    assert first.views[0].image == rig / "front/000000.png"
    wanted = read_calibration(rig / "calibration.toml")["left"]
    assert torch.equal(first.views[1].world_from_camera, wanted.world_from_camera)
    assert set(first.clicks) == {"front", "left"}
    assert set(first.clicks["front"]) == {"nose", "ear"}
    assert len(recording.moments[0].clicks["front"]["nose"]) == 2
    assert first.time is None


def test_a_folder_of_recordings_is_split_by_name(tmp_path):
    names = ("train", "train_2", "validation", "val_b", "test-0", "other")
    for name in names:
        make_rig(number=2, moments=1).write(tmp_path / name)
    (tmp_path / "notes").mkdir()
    dataset = open_dataset(tmp_path)
    assert is_multi_camera(tmp_path)
    found = {recording.name: recording.split for recording in dataset.recordings}
    assert found == {
        "other": None, "test-0": "test", "train": "train", "train_2": "train", "val_b": "validation",
        "validation": "validation",
    }  # fmt: skip
    assert {r.name for r in dataset.split("test").recordings} == {"test-0", "other"}


def test_a_split_is_a_whole_word(tmp_path):
    """A valve and a test bench are of no split."""
    found = {
        "train2": "train", "train-b": "train", "val.1": "validation", "validation_0": "validation", "test": "test",
        "training": "train", "testing_2": "test",
        "valve": None, "testbench": None, "trainer_1": None, "validations": None, "my_test": None,
    }  # fmt: skip
    for name in found:
        make_rig(number=2, moments=1).write(tmp_path / name)
    assert {r.name: r.split for r in open_dataset(tmp_path).recordings} == found


def test_a_recording_that_is_given_itself_has_no_split(tmp_path):
    folder = make_rig(number=2, moments=1).write(tmp_path / "test_0")
    assert open_dataset(folder).recordings[0].split is None
    assert len(training_split(open_dataset(folder)).recordings) == 1
    with pytest.raises(DataError, match=r"training split; .*calibration\.toml.* by their names.*train_1"):
        training_split(open_dataset(tmp_path))


@pytest.mark.parametrize("table", ["labels.csv", "points.csv", "times.csv", "still.csv"])
def test_a_recording_that_lost_its_calibration(tmp_path, table):
    """Alone, beside others, and all of them: neither left out nor taken for photos."""
    still = (("000000", "000001"),)
    times = {m: {"front": 1.0, "left": 1.0} for m in ("000000", "000001")}
    rig = replace(make_rig(number=2, moments=2), still=still, times=times, exact=True)
    for name in ("train_00", "train_01"):
        folder = rig.write(tmp_path / name)
    for path in folder.iterdir():
        if path.suffix == ".csv" and path.name != table:
            path.unlink()
    (folder / "calibration.toml").unlink()
    line = r"train_01: has no calibration\.toml; samepoint data calibrate .*samepoint data calibration "
    for given in (folder, tmp_path):
        with pytest.raises(DataError, match=line):
            open_dataset(given)
    (tmp_path / "train_00/calibration.toml").unlink()
    with pytest.raises(DataError, match=r"train_00: has no calibration\.toml"):
        open_dataset(tmp_path)


def test_a_recording_without_calibration_is_known_by_its_cameras(rig, tmp_path):
    other = tmp_path / "data/more"
    write_blank(other / "front/000000.png")
    assert len(open_dataset(rig.parent).recordings) == 1  # of one camera alone nothing could be made
    write_blank(other / "left/000000.png")
    refused(rig.parent, "more", "has no calibration.toml", "move it out of the data set")
    given = read_calibration(rig / "calibration.toml")
    assert len(read_multi_camera(rig.parent, calibration=given).recordings) == 2
    other.rename(tmp_path / "data/.more")
    assert len(open_dataset(rig.parent).recordings) == 1


def test_photos_with_labels_of_another_kind_are_photos(tmp_path):
    write_blank(tmp_path / "dogs/1.png")
    (tmp_path / "dogs/labels.csv").write_bytes(b"\xef\xbb\xbfid,breed\n1,\xe9pagneul\n")
    (tmp_path / "dogs/points.csv").write_bytes(b"")
    assert not is_multi_camera(tmp_path)
    assert open_dataset(tmp_path / "dogs").recordings[0].mode == "photos"


def test_videos(rig, tmp_path):
    """A camera as a video, the other as a folder; a camera may stop earlier."""
    rng = np.random.default_rng(0)
    levels = rng.integers(40, 220, 5)
    shutil.rmtree(rig / "left")
    writer = cv2.VideoWriter(str(rig / "left.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    for level in levels:
        writer.write(np.full((64, 64, 3), level, np.uint8))
    writer.release()
    (recording,) = read_multi_camera(rig, cache_dir=tmp_path / "cache").recordings
    assert [moment.name for moment in recording.moments] == [f"{m:06d}" for m in range(5)]
    assert [len(moment.views) for moment in recording.moments] == [2, 2, 2, 1, 1]
    for moment, level in zip(recording.moments, levels):
        shown = cv2.imread(str(moment.views[-1].image))
        assert abs(int(np.median(shown)) - int(level)) <= 3
    shutil.copy(rig / "left.avi", rig / "left.mkv")
    refused(rig, "camera left has 2 videos")


def test_moments_are_in_the_order_of_numbers(tmp_path):
    rig = make_rig(number=2, moments=3)
    names = ("img_2", "img_10", "img_9")
    renamed = dict(zip(rig.moments, names))
    clicks = {renamed[m]: of for m, of in rig.clicks.items()}
    points = {renamed[m]: of for m, of in rig.points.items()}
    folder = replace(rig, moments=names, clicks=clicks, points=points, still=(("img_9", "img_10"),)).write(
        tmp_path / "r"
    )
    (recording,) = read_multi_camera(folder).recordings
    assert [moment.name for moment in recording.moments] == ["img_2", "img_9", "img_10"]
    assert recording.still == ((1, 2),)


def test_a_calibration_for_each_moment(tmp_path):
    rig = make_rig(number=3, moments=2)
    cameras = rig.cameras[""]
    shift = torch.zeros(4, 4)
    shift[0, 3] = 0.25
    left = cameras["left"]
    moved = {**cameras, "left": replace(left, world_from_camera=left.world_from_camera + shift)}
    folder = replace(rig, cameras={"000000": cameras, "000001": moved}).write(tmp_path / "r")
    (recording,) = read_multi_camera(folder).recordings
    one, other = (m.views[1].world_from_camera for m in recording.moments)
    assert float((other - one)[0, 3]) == pytest.approx(0.25, abs=1e-6)
    write_calibration(folder / "calibration.toml", cameras)
    refused(folder, "has both calibration.toml and calibration/", "remove one")
    (folder / "calibration.toml").unlink()
    write_calibration(folder / "calibration/000001.toml", {n: moved[n] for n in ("front", "back")})
    refused(folder, "000001.toml", "camera left is missing")
    (folder / "calibration/000001.toml").unlink()
    refused(folder, "moment 000001 has no calibration", "000001.toml")


def test_a_camera_may_miss_a_moment(rig):
    (rig / "left/000001.png").unlink()
    refused(rig, "labels.csv", "camera left has no image of 000001")
    lines = (rig / "labels.csv").read_text().splitlines()
    (rig / "labels.csv").write_text("\n".join(line for line in lines if not line.startswith("000001,left")))
    (recording,) = read_multi_camera(rig).recordings
    assert [len(moment.views) for moment in recording.moments] == [2, 1, 2]


def test_cameras_and_images_that_do_not_belong_together(rig):
    calibration = rig / "calibration.toml"
    cameras = read_calibration(calibration)
    write_blank(rig / "third/000001.png")
    refused(rig, "third", "the calibration has no such camera", "calibrate this camera too")
    (rig / "third/000001.png").rename(rig / "third/board.png")  # not of a moment
    assert len(read_multi_camera(rig).recordings) == 1
    write_calibration(calibration, {**cameras, "up": replace(cameras["left"], name="up")})
    refused(rig, "camera up is calibrated but has no images")
    write_calibration(calibration, {"left": cameras["left"]})
    refused(rig, "the calibration has no such camera")
    shutil.rmtree(rig / "front")
    refused(rig, "has one camera")
    write_calibration(calibration, {n: replace(c, size=(48, 64)) for n, c in cameras.items()})
    refused(rig, "camera front is calibrated but has no images")


def test_an_image_of_another_size(rig):
    write_blank(rig / "left/000002.png", (48, 64))
    refused(rig, "left/000002.png", "this image is 64x48, camera left is calibrated for 64x64")


def test_two_images_of_one_moment_and_files_that_are_hidden(rig):
    (rig / "left/._000000.png").write_bytes(b"\0")
    (rig / "left/notes.txt").write_text("x")
    assert len(read_multi_camera(rig).recordings[0].moments) == 3
    shutil.copy(rig / "left/000001.png", rig / "left/000001.bmp")
    refused(rig, "two images are named 000001")


@pytest.mark.parametrize(
    ("table", "line", "parts"),
    [
        ("labels.csv", "000001,left,nose,1,2", ("line 14", "nose is there twice")),
        ("labels.csv", "000009,left,nose,1,2", ("there is no moment '000009'", "000000")),
        ("labels.csv", "000001,wrong,nose,1,2", ("there is no camera 'wrong'", "front, left")),
        ("labels.csv", "000001,left,chin,x,2", ("line 14", "u is 'x', not a number")),
        ("labels.csv", "000001,left,chin,1,nan", ("v is 'nan', not a number",)),
        ("labels.csv", "000001,left,,1,2", ("has an empty field",)),
        ("labels.csv", "000001,left, ,1,2", ("has an empty field",)),
        ("labels.csv", "000001,left,chin,1", ("has an empty field",)),
        ("labels.csv", "000001,left,chin,29,3,26,0", ("line 14", "has 7 fields, not 5", "decimal points (29.3)")),
        ("labels.csv", "000001,left,chin,29,3,26", ("has 6 fields, not 5",)),
        ("points.csv", "000001,nose,1,2,3,5", ("line 2", "has 6 fields, not 5")),
        ("points.csv", "000009,nose,1,2,3", ("there is no moment '000009'",)),
        ("points.csv", "000001,nose,1,2,inf", ("z is 'inf'",)),
        ("points.csv", "000001,nose,1,2,3\n000001,nose,1,2,3", ("nose is there twice",)),
        ("times.csv", "000001,wrong,1", ("there is no camera 'wrong'",)),
        ("times.csv", "000001,left,soon", ("time is 'soon'",)),
        ("times.csv", "000001,left,1\n000001,left,2", ("left is there twice",)),
        ("still.csv", "000000,000009", ("there is no moment '000009'",)),
        ("still.csv", "000002,000001", ("000002 comes after 000001",)),
    ],
)  # fmt: skip
def test_tables_that_are_wrong(rig, table, line, parts):
    headers = {
        "points.csv": "moment,keypoint,x,y,z",
        "times.csv": "moment,camera,time",
        "still.csv": "first,last",
    }
    if table in headers:
        (rig / table).write_text(headers[table] + "\n")
    append(rig / table, line)
    refused(rig, table, *parts)


def test_a_table_without_its_columns_and_one_of_a_spreadsheet(rig):
    text = (rig / "labels.csv").read_text()
    (rig / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert len(read_multi_camera(rig).recordings[0].moments[0].clicks) == 2
    (rig / "labels.csv").write_text(text.replace("keypoint", "name", 1))
    refused(rig, "labels.csv", "has no column keypoint", "moment,camera,keypoint,u,v")
    (rig / "labels.csv").write_bytes(b"\xff\xfe\x00")
    refused(rig, "cannot be read", "UTF-8")


def test_times_exact_points_and_static_ranges(rig):
    (rig / "times.csv").write_text("moment,camera,time\n000000,front,1.0\n000000,left,1.5\n000001,left,2\n")
    (rig / "points.csv").write_text("moment,keypoint,x,y,z\n000000,nose,1,2,3\n")
    (rig / "still.csv").write_text("first,last\n000001,000002\n")
    (recording,) = read_multi_camera(rig).recordings
    first, second, third = recording.moments
    assert (first.time, first.times) == (1.25, {"front": 1.0, "left": 1.5})
    assert (second.time, third.time, third.times) == (2.0, None, {})
    assert first.truth["nose"].tolist() == [1, 2, 3]
    assert recording.still == ((1, 2),)


def test_clicks_and_images_lose_the_bend_of_the_lens(tmp_path):
    """Clicks are of the bent image; their points are those of the scene, and the store's images are straight."""
    rig = make_rig(number=3, moments=2, noise=0.0, lens=BENT)
    folder = rig.write(tmp_path / "r")
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    cv2.imwrite(str(folder / "left/000000.png"), image[..., ::-1])
    dataset = open_dataset(folder)
    labels = recording_labels(dataset.recordings[0])
    for m, name in enumerate(rig.moments):
        for keypoint, xyz in rig.points[name].items():
            np.testing.assert_allclose(labels.points[m][keypoint].numpy(), xyz, atol=1e-4)
    assert max(float(point.residual.max()) for point in labels.labelled) < 0.01
    store = FrameStore(dataset, cache_dir=tmp_path / "cache")
    (index,) = [i for i in range(len(store)) if store.view(i).image == folder / "left/000000.png"]
    wanted = undistort_image(image, rig.cameras[""]["left"].intrinsics, BENT)
    assert np.abs(store[index].image.numpy().transpose(1, 2, 0).astype(int) - wanted).max() <= 1
    assert np.abs(wanted.astype(int) - image).max() > 10


def test_a_description_counts_what_is_labelled(tmp_path):
    summary = describe(open_dataset(make_rig(number=2, moments=3).write(tmp_path / "rig")))
    assert (summary["moments"], summary["labelled_moments"], summary["static_ranges"]) == (3, 3, 0)
