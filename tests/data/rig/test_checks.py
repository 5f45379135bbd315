"""Faults that are planted in a recording of several cameras are found, and their cause is named."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks.fly import write_fly
from tests.data.rig.synthetic import Rig, click, make_rig, write_blank

from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset
from samepoint.data.rig.checks import check_dataset, check_keypoints, check_recording, require_sound
from samepoint.data.rig.points import recording_labels
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.groups import points_of
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens
from samepoint.geometry.motions import invert
from samepoint.recipes.s3k import S3k

BENT = Lens("brown", (-0.3, 0.1, 0.001, -0.002, 0.0))
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    return write_blank(tmp_path_factory.mktemp("blank") / "blank.png")


@pytest.fixture
def found(blank):
    """The finding of one check."""

    def check(rig: Rig, name: str):
        (finding,) = [f for f in check_recording(rig.recording(blank)) if f.check == name]
        return finding

    return check


@pytest.mark.parametrize("seed", range(20))
def test_sound_rigs_pass(blank, seed):
    """With one pixel of noise in images of 64 pixels, where three are too many."""
    rig = make_rig(seed, number=4, moments=6 + seed % 3, lens=BENT if seed % 4 == 0 else None)
    findings = check_recording(rig.recording(blank))
    assert {f.verdict for f in findings} <= {"right", "not applicable"}, findings
    require_sound(Dataset(blank.parent, (rig.recording(blank),)))


@pytest.mark.parametrize(("cameras", "noise"), [(2, 1.0), (3, 1.0), (6, 2.0)])
def test_sound_rigs_of_other_sizes_pass(blank, cameras, noise):
    rig = make_rig(7, cameras, noise=noise)
    assert not [f for f in check_recording(rig.recording(blank)) if f.verdict == "fault"]


# calibration


def resized(ratio):
    return lambda rig, only=(): rig.clicked(
        lambda m, c, k, uv: (
            ((uv[0] + 0.5) * ratio - 0.5, (uv[1] + 0.5) * ratio - 0.5) if not only or c in only else uv
        )
    )


def moved(change):
    return lambda rig, only=(): rig.posed(change, only)


def clicked(change):
    return lambda rig, only=(): rig.clicked(lambda m, c, k, uv: change(*uv) if not only or c in only else uv)


def placed(pose):
    """What a reader makes of a file whose translation is the camera's place."""
    read = np.eye(4)
    read[:3, :3], read[:3, 3] = pose[:3, :3], -pose[:3, :3] @ pose[:3, 3]
    return read


def turned(pose):
    """What a reader makes of a file whose rotation is the wrong way round."""
    written = np.linalg.inv(pose)
    written[:3, :3] = written[:3, :3].T
    return np.linalg.inv(written)


MISTAKES = {
    "the calibrations of front and left are exchanged": lambda rig: rig.named({"front": "left", "left": "front"}),
    "the calibrations of left and right are exchanged": lambda rig: rig.named({"right": "left", "left": "right"}),
    "the calibrations are exchanged: that of back is front's, that of front is left's,": lambda rig: rig.named(
        {"front": "left", "left": "back", "back": "front"}
    ),
    "poses are inverted (world from camera):": moved(np.linalg.inv),
    "poses have OpenGL's axes:": moved(lambda pose: pose @ OPENGL),
    "poses are inverted (world from camera) and have OpenGL's axes:": moved(
        lambda pose: np.linalg.inv(pose @ OPENGL)
    ),
    "translations are the cameras' places:": moved(placed),
    "rotations are inverted:": moved(turned),
    "u and v are exchanged in labels:": clicked(lambda u, v: (v, u)),
    "images are mirrored left to right:": clicked(lambda u, v: (63 - u, v)),
    "images are mirrored top to bottom:": clicked(lambda u, v: (u, 63 - v)),
    "images are turned upside down:": clicked(lambda u, v: (63 - u, 63 - v)),
    "labels are in pixels of images 0.5 times as large:": resized(0.5),
    "labels are in pixels of images 0.667 times as large:": resized(2 / 3),
    "labels are in pixels of images 2 times as large:": resized(2.0),
}  # fmt: skip
OF_ONE = {
    "poses are inverted (world from camera), of left alone:": moved(np.linalg.inv),
    "u and v are exchanged in labels, of left alone:": clicked(lambda u, v: (v, u)),
    "images are mirrored left to right, of left alone:": clicked(lambda u, v: (63 - u, v)),
    "labels are in pixels of images 0.5 times as large, of left alone:": resized(0.5),
    "left disagrees with the others:": moved(lambda pose: pose @ small_turn(0.2)),
}


def small_turn(angle):
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ np.array([[1, 0, 0, 0], [0, np.cos(angle), -np.sin(angle), 0],
                            [0, np.sin(angle), np.cos(angle), 0], [0, 0, 0, 1]])  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_in_calibrations_and_labels_are_named(found, what):
    finding = found(MISTAKES[what](make_rig(11)), "calibration")
    assert finding.verdict == "fault"
    assert finding.sentence.startswith(what)
    assert finding.fix


@pytest.mark.parametrize("what", OF_ONE)
def test_mistakes_of_one_camera_are_named(found, what):
    finding = found(OF_ONE[what](make_rig(11), ("left",)), "calibration")
    assert finding.verdict == "fault"
    assert finding.sentence.startswith(what)


def test_exchanged_cameras_with_lenses_of_their_own(found):
    """With the calibration its lens goes back to where it belongs."""
    rig = make_rig(4, noise=0.3)
    lenses = dict(zip(rig.cameras[""], (BENT, None, Lens("brown", (0.4, 0.0, 0.0, 0.0)), BENT)))
    cameras = {n: replace(c, lens=lenses[n]) for n, c in rig.cameras[""].items()}
    clicks = click(cameras, rig.points, np.random.default_rng(0), 0.3)
    rig = replace(rig, cameras={"": cameras}, clicks=clicks)
    assert found(rig, "calibration").verdict == "right"
    finding = found(rig.named({"front": "back", "back": "front"}), "calibration")
    assert finding.sentence.startswith("the calibrations of front and back are exchanged")
    left = float(finding.sentence.rsplit(" at most ", 1)[1].split()[0])
    assert left < 0.5


def test_both_numbers_are_said(found):
    finding = found(make_rig(11).named({"front": "left", "left": "front"}), "calibration")
    before = float(finding.sentence.split(" are ")[2].split()[0])
    after = float(finding.sentence.rsplit(" at most ", 1)[1].split()[0])
    assert after < 1.5 < 5 * after < before


def test_an_error_that_no_simple_mistake_explains(found):
    rng = np.random.default_rng(0)
    rig = make_rig(5).clicked(lambda m, c, k, uv: tuple(map(float, rng.uniform(0, 63, 2))))
    finding = found(rig, "calibration")
    assert finding.verdict == "fault"
    assert "no simple mistake explains it" in finding.sentence


@pytest.mark.parametrize("keypoints", [1, 2])
def test_two_points_are_too_few_to_say_that_a_calibration_is_right(found, blank, caplog, keypoints):
    rig = make_rig(5, moments=1, keypoints=keypoints)
    finding = found(rig, "calibration")
    assert finding.verdict == "undecided"
    assert finding.sentence.startswith(("1 point is too few", "2 points are too few")[keypoints - 1])
    name = f"train_{keypoints}_few"
    bare = make_rig(5, moments=1).clicked(lambda m, c, k, uv: None)
    with caplog.at_level(logging.WARNING):
        require_sound(
            Dataset(blank.parent, (rig.recording(blank, name), bare.recording(blank, "bare"))),
            every_keypoint=False,
        )
    (line,) = caplog.messages
    assert f"too few points to judge the calibration of {name}, bare" in line


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("cameras", "keypoints"), [(2, 1), (2, 2), (4, 1), (4, 2)])
def test_few_points_of_sound_rigs_pass(found, seed, cameras, keypoints):
    rig = make_rig(seed, cameras, moments=1, keypoints=keypoints)
    assert found(rig, "calibration").verdict == "undecided"


@pytest.mark.parametrize("keypoints", [1, 2])
def test_two_points_show_that_a_calibration_is_wrong_but_not_why(found, blank, keypoints):
    rig = make_rig(3, moments=1, keypoints=keypoints).named({"front": "left", "left": "front"})
    finding = found(rig, "calibration")
    assert finding.verdict == "fault"
    assert f"{keypoints} point{'s' * (keypoints > 1)}" in finding.sentence
    assert "too few clicks to say why" in finding.sentence
    with pytest.raises(DataError, match="too few clicks to say why"):
        require_sound(Dataset(blank.parent, (rig.recording(blank),)))


def test_of_few_clicks_no_cause_is_made_up(found):
    """Three points in two views: three numbers say that something is wrong, and not what."""
    rig = make_rig(5, number=2, moments=1, keypoints=3).clicked(
        lambda m, c, k, uv: (uv[0], 63 - uv[1]) if c == "left" else uv
    )
    finding = found(rig, "calibration")
    assert finding.verdict == "fault"
    assert "too few clicks to say why" in finding.sentence


def test_exchanged_calibrations_of_two_cameras_are_found_by_their_epipolar_lines(found):
    finding = found(make_rig(11, number=2).named({"front": "left", "left": "front"}), "calibration")
    assert finding.sentence.startswith("the calibrations of front and left are exchanged")


def test_evidence_is_what_points_say(blank):
    """The batched fit and the recorded labels agree."""
    recording = make_rig(3, lens=BENT).recording(blank)
    made, alone = points_of(recording)
    fit = Evidence.of(recording, made).fit()
    labels = recording_labels(recording).labelled
    assert not alone
    for xyz, residual, point in zip(fit.xyz, fit.residual, labels, strict=True):
        torch.testing.assert_close(xyz, point.xyz)
        torch.testing.assert_close(residual, point.residual)


# cameras


def test_a_copied_calibration(found):
    finding = found(make_rig().named({"left": "front"}), "cameras")
    assert finding.verdict == "fault"
    assert finding.sentence.startswith("front and left stand 0 mm apart, turned by 0 degrees")
    assert "is a copy" in finding.fix


def test_a_calibration_in_another_unit(found):
    def shrunk(pose):
        pose[:3, 3] *= 1e-4
        return pose

    finding = found(make_rig().posed(shrunk), "cameras")
    assert finding.verdict == "fault"
    assert "metres_per_unit" in finding.fix

    def grown(pose):
        pose[:3, 3] *= 1000
        return pose

    finding = found(make_rig().posed(grown), "cameras")
    assert finding.verdict == "undecided"
    assert "metres_per_unit" in finding.fix


def test_cameras_side_by_side_see_little_depth(found):
    rig = make_rig(2, number=2)
    front = rig.cameras[""]["front"]
    aside = front.world_from_camera.clone()
    aside[:3, 3] += 0.02 * aside[:3, 0]
    cameras = {"front": front, "left": replace(front, name="left", world_from_camera=aside)}
    rig = replace(
        rig, cameras={"": cameras}, clicks=click(cameras, rig.points, np.random.default_rng(0), 0.05)
    )
    finding = found(rig, "cameras")
    assert finding.verdict == "undecided"
    assert "depth is weakly known" in finding.fix


# labels


def test_clicks_outside_the_image(found, blank):
    rig = make_rig().clicked(
        lambda m, c, k, uv: (70.0, 12.0) if (m, c, k) == ("000003", "left", "paw") else uv
    )
    finding = found(rig, "labels")
    assert finding.verdict == "fault"
    assert (
        "1 of 128 clicks lie outside their image: paw in left at 000003 at (70, 12) of 64x64"
        in finding.sentence
    )
    assert finding.frames == ("left/000003",)
    with pytest.raises(DataError, match="paw in left at 000003"):
        require_sound(Dataset(blank.parent, (rig.recording(blank),)))


def test_a_click_on_the_edge_is_inside(found):
    edge = make_rig().clicked(
        lambda m, c, k, uv: (63.9, -0.4) if (m, c, k) == ("000003", "left", "paw") else uv
    )
    assert found(edge, "labels").verdict == "right"


def test_keypoints_of_one_view_are_reported(found, blank):
    rig = make_rig().clicked(lambda m, c, k, uv: None if k == "nose" and c != "left" and m < "000002" else uv)
    finding = found(rig, "labels")
    assert finding.verdict == "right"
    assert "2 make no point" in finding.sentence
    assert "nose in left at 000000, nose in left at 000001" in finding.sentence
    rig = make_rig().clicked(lambda m, c, k, uv: None if k in ("nose", "ear") and c != "left" else uv)
    assert found(rig, "labels").verdict == "undecided"
    dataset = Dataset(blank.parent, (rig.recording(blank),))
    with pytest.raises(DataError, match="keypoints: 2 of 4 are labelled, but at no moment in two views"):
        require_sound(dataset)
    require_sound(dataset, every_keypoint=False)


def test_a_keypoint_may_have_its_points_in_another_recording(blank):
    lonely = make_rig().clicked(lambda m, c, k, uv: None if k == "nose" and c != "left" else uv)
    one, other = lonely.recording(blank, "train_a"), make_rig(1).recording(blank, "train_b")
    assert check_dataset(Dataset(blank.parent, (one, other)))[-1].verdict == "right"
    assert check_keypoints((one,), points_of(one)[0]).verdict == "fault"


# single clicks


def off(place, by):
    return lambda m, c, k, uv: tuple(map(float, np.clip(np.add(uv, by), 0, 63))) if (m, c, k) == place else uv


@pytest.mark.parametrize("place", [("000003", "left", "paw"), ("000000", "front", "nose")])
def test_a_wrong_click_is_named(found, blank, caplog, place):
    rig = make_rig(8, size=(64, 64), noise=0.5).clicked(off(place, (14, -12)))
    moment, camera, keypoint = place
    finding = found(rig, "clicks")
    assert finding.verdict == "undecided"
    assert (
        f"1 of 32 points have a click that is probably wrong: {keypoint} in {camera} at {moment}"
        in finding.sentence
    )
    assert finding.frames == (f"{camera}/{moment}",)
    with caplog.at_level(logging.WARNING):
        require_sound(Dataset(blank.parent, (rig.recording(blank),)))
    assert f"{keypoint} in {camera} at {moment}" in caplog.text


def test_many_wrong_clicks_are_a_fault(found):
    rig = make_rig(8, noise=0.5)
    for moment, camera in (("000001", "left"), ("000003", "back"), ("000005", "front")):
        rig = rig.clicked(off((moment, camera, "paw"), (15, 13)))
    finding = found(rig, "clicks")
    assert finding.verdict == "fault"
    assert "3 of 32 points" in finding.sentence
    assert set(finding.frames) == {"left/000001", "back/000003", "front/000005"}


def test_of_two_clicks_either_may_be_wrong(found):
    rig = make_rig(8, number=2, noise=0.3).clicked(off(("000003", "left", "paw"), (10, -20)))
    assert "paw in front at 000003 or paw in left at 000003" in found(rig, "clicks").sentence


# static scenes


def static(rig, *ranges, move=0.0):
    """The same points at all moments of each range, as they are clicked there; `move` metres in its second half."""
    points = dict(rig.points)
    for first, last in ranges:
        inside = [m for m in rig.moments if first <= m <= last]
        for i, m in enumerate(inside):
            shift = np.array([move, 0, 0]) * (i >= len(inside) // 2)
            points[m] = {k: xyz + shift for k, xyz in rig.points[first].items()}
    clicks = click(rig.cameras[""], points, np.random.default_rng(1), 1.0)
    return replace(rig, points=points, clicks=clicks, still=ranges)


def test_static_ranges_that_are_static(found):
    finding = found(static(make_rig(6), ("000000", "000002"), ("000004", "000007")), "static scenes")
    assert finding.verdict == "right"
    assert "2 ranges; 8 keypoints in several moments" in finding.sentence
    assert found(make_rig(), "static scenes").verdict == "not applicable"


def test_a_scene_that_moved_in_a_static_range(found, blank):
    rig = static(make_rig(6), ("000000", "000003"), ("000004", "000007"), move=0.15)
    finding = found(rig, "static scenes")
    assert finding.verdict == "fault"
    assert "8 of 8 keypoints do not stand still" in finding.sentence
    moved_by = float(finding.sentence.rsplit("moved by ", 1)[1].split()[0])
    assert 120 < moved_by < 200
    assert found(rig, "calibration").verdict == "right"  # of each moment
    with pytest.raises(DataError, match="static scenes: 8 of 8"):
        require_sound(Dataset(blank.parent, (rig.recording(blank),)))


# exact points


def test_exact_points_in_another_unit(found):
    rig = replace(make_rig(), exact=True)
    assert found(rig, "exact points").verdict == "right"
    points = {m: {k: xyz * 0.5 for k, xyz in of.items()} for m, of in rig.points.items()}
    finding = found(replace(rig, points=points), "exact points")
    assert finding.verdict == "fault"
    assert "metres" in finding.fix


# images


def test_cameras_that_miss_moments(found):
    rig = make_rig(moments=10, keypoints=2)

    def without(*missing):
        kept = rig.clicked(lambda m, c, k, uv: None if (m, c) in missing else uv)
        return found(replace(kept, missing=frozenset(missing)), "images")

    finding = without(("000002", "left"), ("000005", "left"))
    assert finding.verdict == "right"
    assert "10 moments, of which cameras have: front 10, left 8, back 10, right 10" in finding.sentence
    finding = without(*((f"{m:06d}", "left") for m in (0, 2, 4, 6, 8, 9)))
    assert finding.verdict == "undecided"
    assert finding.sentence.startswith("left misses more than half")
    finding = without(("000008", "left"), ("000009", "left"))
    assert finding.verdict == "undecided"
    assert finding.sentence.startswith("left ends before the others")
    finding = without(*(("000004", c) for c in ("left", "back", "right")))
    assert "1 moments are seen by one camera and not used" in finding.sentence


# clocks


def timed(rig, change=lambda m, camera: 0.0, step=0.1):
    times = {
        name: {c: m * step + change(m, c) for c in rig.cameras[""]} for m, name in enumerate(rig.moments)
    }
    return replace(rig, times=times)


def test_clocks_that_agree(found, blank):
    rng = np.random.default_rng(0)
    rig = timed(make_rig(moments=10, keypoints=2), lambda m, c: rng.uniform(0, 0.004))
    finding = found(rig, "clocks")
    assert finding.verdict == "right"
    assert "0.05 s are allowed" in finding.sentence
    findings = check_recording(rig.recording(blank))
    assert [f.verdict for f in findings if f.check == "time stamps"] == ["right"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m, c: 0.08 * (c == "back"), "back is 0.08 s later than the others throughout"),
        (lambda m, c: -0.2 * (c == "left"), "left is 0.2 s earlier than the others throughout"),
        (lambda m, c: 1.6e9 * (c == "right"), "right is 1.6e+09 s later than the others throughout"),
        (lambda m, c: 0.02 * m * (c == "back"), "back drifts by +200 ms a second, from +0 s to +0.18 s"),
        (lambda m, c: 0.1 * (c == "left" and m in (3, 4)), "left is up to 0.1 s off at 2 of 10 moments"),
    ],
)
def test_clocks_that_are_apart(found, blank, change, what):
    rig = timed(make_rig(moments=10, keypoints=2), change)
    finding = found(rig, "clocks")
    assert finding.verdict == "fault"
    assert finding.sentence.startswith(what)
    with pytest.raises(DataError, match="clocks: "):
        require_sound(Dataset(blank.parent, (rig.recording(blank),)))


def test_clocks_of_a_single_moment_and_of_slow_recordings(found):
    one = timed(make_rig(moments=1), lambda m, c: 0.03 * (c == "left"))
    assert found(one, "clocks").sentence.startswith("left is 0.03 s later")
    assert found(timed(make_rig(moments=1), lambda m, c: 0.01 * (c == "left")), "clocks").verdict == "right"
    slow = timed(make_rig(), lambda m, c: 0.1 * (c == "left"), step=1.0)
    assert (
        found(slow, "clocks").verdict == "undecided"
    )  # less than half a second, but more than can be overlooked


def test_times_that_are_missing(found):
    rig = timed(make_rig(), lambda m, c: 0.0)
    times = {m: {c: t for c, t in of.items() if c != "left"} for m, of in rig.times.items()}
    finding = found(replace(rig, times=times), "clocks")
    assert finding.verdict == "undecided"
    assert "8 of 32 images have no time" in finding.sentence
    assert found(make_rig(), "clocks").verdict == "not applicable"


def test_clocks_do_not_matter_while_nothing_moves(found):
    rig = replace(timed(make_rig(), lambda m, c: 0.3 * (c == "left")), still=(("000000", "000007"),))
    assert found(rig, "clocks").verdict == "not applicable"


# training


def test_training_refuses_what_is_wrong_in_one_line(tmp_path):
    root = tmp_path / "data"
    make_rig(11).named({"front": "left", "left": "front"}).write(root / "train")
    store = FrameStore(open_dataset(root), cache_dir=tmp_path / "cache")
    said = f"train.*calibration: the calibrations of front and left are exchanged.*data doctor {re.escape(str(root))}"
    with pytest.raises(DataError, match=said) as error:
        S3k().moments(store)
    assert "\n" not in str(error.value)


# a real recording


@pytest.fixture(scope="module")
def fly(realdata, tmp_path_factory):
    source = realdata / "multicam_fly"
    if not source.is_dir():
        pytest.skip("the fly is not present")
    out = tmp_path_factory.mktemp("fly") / "data"
    return open_dataset(write_fly(source, out, {"train": range(6), "test": range(6, 9)}, range(9)))


def test_the_fly_is_sound(fly):
    findings = check_dataset(fly)
    assert not [f for f in findings if f.verdict == "fault"]
    wrong = [f for f in findings if f.verdict == "undecided"]
    assert [f.check for f in wrong] == ["clicks"]
    assert "joint32 in cam4 at 000002" in wrong[0].sentence
    require_sound(fly)


@pytest.mark.parametrize(
    ("one", "other"), [("cam1", "cam5"), ("cam0", "cam1"), ("cam2", "cam3"), ("cam0", "cam2")]
)
def test_exchanged_cameras_of_the_fly_are_named(fly, one, other):
    """Also 0 and 2, which are nearly each other's mirror image: 10 px, which alone would pass."""
    (recording,) = [r for r in fly.recordings if r.split == "train"]
    views = {v.camera: v for v in recording.moments[0].views}
    swapped = {one: views[other], other: views[one]}

    def exchanged(view):
        other = swapped.get(view.camera, view)
        return replace(view, intrinsics=other.intrinsics, world_from_camera=other.world_from_camera)

    finding = check_recording(recording.with_views(exchanged))[0]
    assert finding.sentence.startswith(f"the calibrations of {one} and {other} are exchanged")


def test_inverted_poses_of_the_fly_are_named(fly):
    (recording,) = [r for r in fly.recordings if r.split == "train"]
    inverted = recording.with_views(lambda v: replace(v, world_from_camera=invert(v.world_from_camera)))
    assert check_recording(inverted)[0].sentence.startswith("poses are inverted (world from camera):")
