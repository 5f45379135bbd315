"""Agreement in depth and matches of colour tell the right reading from the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from samepoint.data.corrections import OPENGL, Corrections, corrected
from samepoint.data.doctor.diagnosis import diagnose, pose_readings
from samepoint.data.doctor.evidence import Case, Evidence
from samepoint.data.doctor.footage import evenly, footage_of
from samepoint.data.doctor.pairs import choose_pairs, latest, written_poses
from samepoint.data.doctor.readings import Reading
from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset, DepthFile, Moment, Recording, View
from samepoint.geometry.motions import exp, invert, rotation_angle
from samepoint.geometry.pixels import resize_intrinsics

POSE = exp(torch.tensor([0.3, -0.2, 0.5, 0.4, 0.1, -0.7]))


@pytest.mark.parametrize("poses", ["camera-to-world", "world-to-camera"])
@pytest.mark.parametrize("axes", ["opencv", "opengl"])
def test_a_reading_reads_poses_as_corrections_do(poses, axes):
    """The fix that the doctor proposes is applied by `corrected`: both must mean the same."""
    corrections = Corrections(axes, poses, world_scale=0.01)
    view = View("cam0", Path("0.png"), torch.eye(3), POSE, DepthFile(Path("0d.png"), 0.001))
    dataset = Dataset(Path("x"), (Recording("x", "scan", (Moment((view,)),)),))
    (right,) = corrected(dataset, corrections).views()
    torch.testing.assert_close(Reading.given(corrections).world_from_camera(POSE), right.world_from_camera)


def test_a_reading_of_intrinsics():
    k = torch.tensor([[300.0, 0, 150.0], [0, 310, 110], [0, 0, 1]])
    torch.testing.assert_close(Reading(size=2.0).camera(k), resize_intrinsics(k, (240, 320), (480, 640)))
    longer = Reading(focal=1.5).camera(k)
    assert longer.tolist() == [[450, 0, 150], [0, 465, 110], [0, 0, 1]]
    assert Reading().camera(k).equal(k)


def test_pairs_are_turned_and_leave_room_for_late_poses(case):
    assert case.latest == latest(case.footage) == 3
    poses = written_poses(case.footage)
    for a, b in case.pairs:
        angle = float(rotation_angle(invert(poses[a]) @ poses[b]))
        assert np.radians(8) <= angle <= np.radians(75)
        assert min(a, b) >= 3
        assert max(a, b) < len(case.footage.views) - 3
    assert len(set(case.pairs)) == len(case.pairs) >= 6


def test_pairs_do_not_depend_on_how_poses_are_written(case):
    poses = written_poses(case.footage)
    assert choose_pairs(case.footage, invert(poses)) == choose_pairs(case.footage, poses)
    assert choose_pairs(case.footage, poses @ OPENGL) == choose_pairs(case.footage, poses)


def test_right_reading(case):
    evidence = case.weigh(Reading())
    assert evidence.depth.share > 0.85
    assert evidence.depth.before < 0.03 * evidence.depth.seen
    assert evidence.fit > 0.9 * evidence.matches > 100
    assert evidence.error < 1.0
    assert evidence.depth.agree <= evidence.depth.seen <= evidence.depth.known


@pytest.mark.parametrize(
    "reading",
    [
        *pose_readings(Reading())[1:],
        *[Reading(scale=s) for s in (0.001, 0.2, 5.0, 1000.0)],
        *[Reading(size=s) for s in (0.5, 2.0)],
        *[Reading(late=n) for n in (-2, -1, 1, 2)],
        Reading(along="ray"),
        Reading(focal=0.7),
    ],
    ids=str,
)
def test_wrong_readings_score_less(case, reading):
    assert case.weigh(reading).score < 0.85 * case.weigh(Reading()).score
    assert case.weigh(reading, "some").score < 0.85 * case.weigh(Reading(), "some").score


def test_points_before_a_surface_are_counted(case):
    """Half as far is in front of what B sees; far too far away is hidden, as it seems."""
    near, far = (case.weigh(Reading(scale=s)).depth for s in (0.8, 1.25))
    assert near.before + far.before > 0.1 * (near.seen + far.seen)


def test_diagnosis_keeps_what_is_right(case):
    assert diagnose(case, Reading()).found == Reading()


def test_diagnosis_of_two_faults(case):
    """What the frames are read with is wrong in two ways: both are found, one after the other or together."""
    wrong = Reading(poses="world-to-camera", scale=5.0)
    found = diagnose(case, wrong)
    assert (found.found.poses, found.found.axes, found.found.late) == ("camera-to-world", "opencv", 0)
    assert found.scale == pytest.approx(0.2)
    assert found.without("scale") == replace(found.found, scale=5.0)


def test_without_depth_epipolar_lines_decide(scene):
    """Colour matches and poses alone: direction and axes are told, the scale is not."""
    (footage,) = footage_of(open_dataset(scene))
    bare = replace(footage, views=tuple(replace(view, depth=None) for view in footage.views))
    case = Case(bare)
    assert not case.has_depth
    right = case.weigh(Reading())
    assert right.depth is None
    assert right.score > 0.85
    for reading in (*pose_readings(Reading())[1:], Reading(size=0.5), Reading(late=1)):
        assert case.weigh(reading).score < 0.6 * right.score, reading
    assert case.weigh(Reading(scale=5.0)).score == pytest.approx(right.score, abs=0.01)
    assert diagnose(case, Reading(axes="opengl")).found.axes == "opencv"


def test_nothing_to_compare(scene):
    (footage,) = footage_of(open_dataset(scene))
    blind = replace(footage, views=tuple(replace(view, world_from_camera=None) for view in footage.views))
    case = Case(blind)
    assert case.pairs == []
    assert case.weigh(Reading()) == Evidence(None, 0, 0, float("inf"))
    assert not case.weigh(Reading()).enough
    assert diagnose(case, Reading()).found == Reading()


def test_views_of_one_pass_are_one_footage(scene, tmp_path):
    """Lists of a frames folder are put together again, in the order of names."""
    import shutil

    folder = shutil.copytree(scene, tmp_path / "boxes")
    names = sorted(path.name for path in (folder / "color").iterdir())
    (folder / "train.txt").write_text("\n".join(names[::2]))
    (folder / "test.txt").write_text("\n".join(names[1::2]))
    (footage,) = footage_of(open_dataset(folder))
    assert (footage.name, footage.mode) == ("boxes", "scan")
    assert [view.image.name for view in footage.views] == names
    assert footage.moments == tuple(range(len(names)))


def test_evenly():
    assert evenly(range(5), 9) == [0, 1, 2, 3, 4]
    assert evenly(range(100), 3) in ([0, 50, 99], [0, 49, 99])
    assert evenly([], 3) == []
