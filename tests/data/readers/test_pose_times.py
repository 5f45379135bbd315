from pathlib import Path

import numpy as np
import pytest
import torch

from samepoint.data.readers.pose_times import PoseTiming, TimedPoses, nearest, poses_at
from samepoint.errors import DataError
from samepoint.geometry.motions import exp

BETWEEN = PoseTiming(interpolate_poses=True)


def turning(times):
    """A camera on a line, turning about one axis, at 0.5 rad and 1 m a second."""
    twist = torch.zeros(len(times), 6, dtype=torch.float64)
    twist[:, 4] = 0.5 * torch.as_tensor(times)
    poses = exp(twist)
    poses[:, 0, 3] = torch.as_tensor(times)
    return poses.float()


def known(times):
    return TimedPoses(np.array(times), turning(times), Path("poses.txt"))


def test_the_nearest_entry_and_how_far_it_is():
    poses, notes = poses_at([0.0, 0.11, 0.15, 0.2], known([0.0, 0.1, 0.2]), 0.02, PoseTiming())
    assert [pose is None for pose in poses] == [False, False, True, False]
    torch.testing.assert_close(torch.stack([poses[0], poses[1], poses[3]]), turning([0.0, 0.1, 0.2]))
    assert notes == [
        "poses.txt: 1 of 4 images have no pose (none within 0.02 s), the pose taken for the others is 0 ms away in "
        "time (median; at most 10 ms); --interpolate-poses takes poses between two entries"
    ]


def test_poses_of_the_images_times_need_no_word():
    assert poses_at([0.0, 0.1004], known([0.0, 0.1]), 0.02, PoseTiming())[1] == []


def test_between_two_entries():
    times = [0.0, 0.033, 0.067, 0.1, 0.15]
    poses, notes = poses_at(times, known([0.0, 0.1, 0.2]), 0.02, BETWEEN)
    torch.testing.assert_close(torch.stack(poses), turning(times), atol=1e-6, rtol=0)
    assert notes == [
        "poses.txt: 3 of 5 images have a pose between two entries, 100 ms apart (median; at most 100 ms)"
    ]


def test_never_over_a_long_gap_and_never_beyond_the_ends():
    stamps = [0.0, 0.1, 0.5, 0.6]
    times = [-0.01, 0.05, 0.1, 0.3, 0.55, 0.61]
    poses, notes = poses_at(times, known(stamps), 0.02, BETWEEN)
    assert [pose is None for pose in poses] == [True, False, False, True, False, True]
    assert notes[1] == (
        "poses.txt: 3 of 6 images have no pose: 2 before the first or after the last pose, 1 in a gap of more than "
        "0.2 s"
    )
    longer = PoseTiming(interpolate_poses=True, max_pose_gap=0.4)
    assert [p is None for p in poses_at(times, known(stamps), 0.02, longer)[0]] == [True, *[False] * 4, True]


def test_one_entry_and_equal_times():
    assert [p is None for p in poses_at([0.0, 0.1], known([0.1]), 0.02, BETWEEN)[0]] == [True, False]
    twice = known([0.1, 0.1, 0.2])
    assert all(pose is not None for pose in poses_at([0.1, 0.15], twice, 0.02, BETWEEN)[0])


def test_nearest_agrees_with_every_distance():
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.random(50)), np.sort(rng.random(40))
    distance = np.abs(a[:, None] - b)
    slow = np.where(distance.min(1) <= 0.02, distance.argmin(1), -1)
    assert nearest(a, b, 0.02).tolist() == slow.tolist()


@pytest.mark.parametrize("gap", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_gaps(gap):
    with pytest.raises(DataError, match="max_pose_gap is"):
        PoseTiming(True, gap)
