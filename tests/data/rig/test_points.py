"""Clicks to 3-D points, and through static scenes to every moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.data.rig.synthetic import Rig, click, look_at, make_cameras, make_rig, write_blank

from samepoint.data.readers.multi_camera import read_multi_camera
from samepoint.data.recording import Dataset
from samepoint.data.rig.points import keypoint_names, recording_labels
from samepoint.data.rig.reprojection import keypoint_labels, label_rows, reprojected
from samepoint.data.rig.still_ranges import add_still
from samepoint.data.rig_sampling import rig_moments
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens

FISHEYE = Lens("fisheye", (0.05, -0.01, 0.002, 0.0))


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    return write_blank(tmp_path_factory.mktemp("blank") / "blank.png")


def plain_point(cameras, uv):
    """The slow twin: the least-squares solution of (I - d d^T) p = (I - d d^T) o over all rays."""
    left, right = [], []
    for camera, (u, v) in zip(cameras, uv):
        pose, k = camera.world_from_camera.double().numpy(), camera.intrinsics.double().numpy()
        d = pose[:3, :3] @ np.linalg.solve(k, (u, v, 1.0))
        d /= np.linalg.norm(d)
        across = np.eye(3) - np.outer(d, d)
        left.append(across)
        right.append(across @ pose[:3, 3])
    return np.linalg.lstsq(np.concatenate(left), np.concatenate(right), rcond=None)[0]


@pytest.mark.parametrize("number", [2, 3, 6])
def test_points_are_those_of_least_squares(blank, number):
    rig = make_rig(number, number, moments=3, keypoints=3, noise=2.0)
    labels = recording_labels(rig.recording(blank))
    assert len(labels.labelled) == 9
    assert labels.alone == ()
    for m, name in enumerate(rig.moments):
        for keypoint, found in labels.points[m].items():
            uv = [rig.clicks[name][camera][keypoint] for camera in rig.cameras[""]]
            wanted = plain_point(rig.cameras[""].values(), uv)
            np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)
            assert found.dtype == torch.float32


@pytest.mark.parametrize("lens", [None, FISHEYE])
def test_exact_clicks_make_exact_points_and_the_residual_is_in_pixels(blank, lens):
    rig = make_rig(1, noise=0.0, lens=lens)
    labels = recording_labels(rig.recording(blank))
    for m, name in enumerate(rig.moments):
        for keypoint, xyz in rig.points[name].items():
            np.testing.assert_allclose(labels.points[m][keypoint].numpy(), xyz, atol=2e-5)
    assert max(float(point.residual.max()) for point in labels.labelled) < 1e-2
    assert not any(point.behind for point in labels.labelled)


def test_a_keypoint_of_one_view_makes_no_point(blank):
    rig = make_rig().clicked(lambda m, c, k, uv: None if k == "nose" and c != "left" else uv)
    labels = recording_labels(rig.recording(blank))
    assert all("nose" not in points and "ear" in points for points in labels.points)
    assert {click.keypoint for click in labels.alone} == {"nose"}
    assert keypoint_names((rig.recording(blank),)) == ("ear", "paw", "tail", "nose")


def moving_rig(moments=4, keypoints=2, noise=0.0) -> Rig:
    """Nothing moves but the camera "hand"; "front" and "left" stand."""
    rng = np.random.default_rng(3)
    fixed = make_cameras(rng, 3)
    names = tuple(f"{m:06d}" for m in range(moments))
    cameras = {}
    for m, name in enumerate(names):
        place = np.array([np.cos(0.4 * m), np.sin(0.4 * m), 0.6])
        pose = torch.from_numpy(look_at(place, np.zeros(3))).float()
        hand = replace(fixed["back"], name="hand", world_from_camera=pose)
        cameras[name] = {"front": fixed["front"], "left": fixed["left"], "hand": hand}
    xyz = {k: rng.uniform(-0.2, 0.2, 3) for k in ("nose", "ear")[:keypoints]}
    points = dict.fromkeys(names, xyz)
    clicks = {name: click(cameras[name], {name: xyz}, rng, noise)[name] for name in names}
    return Rig(cameras, names, points, clicks, still=((names[0], names[-1]),))


def only(rig, *kept):
    """With no clicks but those of (moment, camera)."""
    return rig.clicked(lambda m, c, k, uv: uv if (m, c) in kept else None)


def test_a_camera_that_moves_alone_gives_a_point_from_two_moments(blank):
    rig = only(moving_rig(), ("000000", "hand"), ("000002", "hand"))
    labels = recording_labels(rig.recording(blank))
    assert labels.alone == ()
    for of_moment in labels.points:
        for keypoint in ("nose", "ear"):
            np.testing.assert_allclose(of_moment[keypoint].numpy(), rig.points["000000"][keypoint], atol=2e-5)
    moved = recording_labels(replace(rig, still=()).recording(blank))
    assert not any(moved.points)
    assert len(moved.alone) == 4


def test_a_camera_that_stands_gives_none_however_often_it_is_clicked(blank):
    """Its rays meet in the camera itself: that is no point, and it would be a wrong one."""
    rig = only(moving_rig(noise=3.0), *((f"{m:06d}", "front") for m in range(4)))
    labels = recording_labels(rig.recording(blank))
    assert not any(labels.points)
    assert len(labels.alone) == 8


def test_labels_of_one_moment_hold_for_all_of_a_static_range_and_no_other(blank):
    rig = only(moving_rig(moments=6), ("000001", "front"), ("000001", "left"))
    rig = replace(rig, still=(("000001", "000003"), ("000004", "000004")))
    labels = recording_labels(rig.recording(blank))
    assert [sorted(points) for points in labels.points] == [[], *[["ear", "nose"]] * 3, [], []]
    moments = rig_moments(Dataset(blank.parent, (rig.recording(blank),)))
    assert moments.labelled == [1, 2, 3]
    assert moments.unlabelled == [0, 4, 5]


def test_all_clicks_of_a_range_make_one_point(blank):
    """More moments, less noise."""
    rig = moving_rig(moments=12, noise=2.0)
    off = []
    for still in ((), rig.still):
        labels = recording_labels(replace(rig, still=still).recording(blank))
        wrong = [
            np.linalg.norm(found.numpy() - rig.points["000000"][k])
            for of in labels.points
            for k, found in of.items()
        ]
        off.append(np.median(wrong))
    assert off[1] < 0.6 * off[0]
    assert len({tuple(of["nose"].tolist()) for of in labels.points}) == 1


def test_ranges_that_overlap_are_refused(blank):
    rig = replace(moving_rig(), still=(("000000", "000002"), ("000002", "000003")))
    with pytest.raises(DataError, match="moment 000002 is in two ranges"):
        recording_labels(rig.recording(blank))


# what training sees


@pytest.mark.parametrize("lens", [None, Lens("brown", (-0.3, 0.1, 0.001, -0.002, 0.0)), FISHEYE])
def test_reprojected_labels_are_those_of_the_recorded_images(blank, lens):
    rig = make_rig(2, noise=0.0, lens=lens)
    two = rig.clicked(lambda m, c, k, uv: uv if c in ("front", "back") else None)
    rows = list(label_rows(two.recording(blank)))
    assert len(rows) == 8 * 4 * 4
    for moment, camera, keypoint, u, v in rows:
        np.testing.assert_allclose((float(u), float(v)), rig.clicks[moment][camera][keypoint], atol=0.02)


def test_what_lies_outside_or_behind_is_not_reprojected(blank):
    moment = make_rig().recording(blank).moments[0]
    front = moment.views[0].world_from_camera
    behind, aside = front[:3, 3] - 0.1 * front[:3, 2], front[:3, 3] + front[:3, 2] + 2 * front[:3, 0]
    found = reprojected(moment, {"behind": behind, "aside": aside, "middle": torch.zeros(3)})
    assert set(found["front"]) == {"middle"}
    assert reprojected(moment, {}) == {}


def test_bent_images_do_not_show_what_a_lens_formula_folds_back(blank):
    """Far outside the image a barrel lens's polynomial comes back inside."""
    moment = make_rig(lens=Lens("brown", (-0.4, 0.0, 0.0, 0.0))).recording(blank).moments[0]
    pose = moment.views[0].world_from_camera
    far = pose[:3, 3] + pose[:3, 2] + 1.5 * pose[:3, 0]
    assert "far" not in reprojected(moment, {"far": far})["front"]


def test_the_summary_of_keypoints(blank):
    rig = make_rig(keypoints=3)
    rig = rig.clicked(lambda m, c, k, uv: None if k == "ear" and (c == "back" or m > "000003") else uv)
    rig = rig.clicked(lambda m, c, k, uv: None if k == "paw" and c != "left" else uv)
    rig = replace(rig, still=(("000003", "000005"),))
    nose, ear, paw = keypoint_labels([rig.recording(blank)])
    assert (nose.name, nose.clicked, nose.moments, nose.views) == ("nose", 8, 8, (4, 4))
    assert (ear.name, ear.clicked, ear.moments, ear.views) == ("ear", 4, 6, (3, 3))
    assert (paw.name, paw.clicked, paw.moments, paw.views) == ("paw", 8, 0, (0, 0))
    assert 0 < ear.pixels < 2
    assert np.isnan(paw.pixels)


# still.csv


@pytest.fixture
def folder(tmp_path):
    return only(replace(moving_rig(6), still=()), ("000001", "front"), ("000001", "left")).write(
        tmp_path / "train"
    )


def test_a_range_is_appended(folder):
    (recording,) = read_multi_camera(folder).recordings
    recording = add_still(folder, recording, "000000", "000002")
    recording = add_still(folder, recording, "000004", "000005")
    assert (folder / "still.csv").read_text() == "first,last\n000000,000002\n000004,000005\n"
    (again,) = read_multi_camera(folder).recordings
    assert again.still == recording.still == ((0, 2), (4, 5))
    assert sum(map(bool, recording_labels(again).points)) == 3


@pytest.mark.parametrize(
    ("first", "last", "part"),
    [
        ("000000", "000009", "there is no moment '000009'"),
        ("000004", "000003", "000004 comes after 000003"),
        ("000002", "000003", "moment 000002 is in two ranges"),
    ],
)
def test_a_range_that_cannot_be_is_refused_and_nothing_written(folder, first, last, part):
    (recording,) = read_multi_camera(folder).recordings
    recording = add_still(folder, recording, "000000", "000002")
    before = (folder / "still.csv").read_text()
    with pytest.raises(DataError, match=part):
        add_still(folder, recording, first, last)
    assert (folder / "still.csv").read_text() == before


def test_a_range_in_which_clicks_say_that_the_scene_moved_is_refused(tmp_path):
    folder = make_rig().write(tmp_path / "train")
    (recording,) = read_multi_camera(folder).recordings
    with pytest.raises(DataError, match=r"do not stand still.*it moved by \d+ mm"):
        add_still(folder, recording, "000000", "000002")
    assert not (folder / "still.csv").exists()
