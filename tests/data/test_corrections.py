"""Poses and depth that are written otherwise, put right as they are read."""

from pathlib import Path

import numpy as np
import pytest
import torch

from samepoint.data.checks import intrinsics_from
from samepoint.data.corrections import MIRROR, OPENGL, TURNED, Corrections, corrected
from samepoint.data.recording import Dataset, DepthFile, Moment, Recording, View
from samepoint.errors import DataError
from samepoint.geometry.motions import exp, invert

POSE = exp(torch.tensor([0.3, -0.2, 0.5, 0.4, 0.1, -0.7]))


def written(pose):
    view = View("cam0", Path("0.png"), torch.eye(3), pose, DepthFile(Path("0d.png"), 0.001))
    return Dataset(Path("x"), (Recording("x", "scan", (Moment((view,)),)),))


def read(pose, **corrections):
    (view,) = corrected(written(pose), Corrections(**corrections)).views()
    return view


def test_nothing_to_correct_is_the_same_data_set():
    dataset = written(POSE)
    assert corrected(dataset, Corrections()) is dataset


@pytest.mark.parametrize(
    ("pose", "corrections"),
    [
        (POSE @ OPENGL, {"axes": "opengl"}),
        (POSE @ TURNED, {"axes": "turned"}),
        (MIRROR @ POSE @ MIRROR, {"axes": "left-handed"}),
        (invert(MIRROR @ POSE @ MIRROR), {"axes": "left-handed", "poses": "world-to-camera"}),
        (invert(POSE), {"poses": "world-to-camera"}),
        (invert(POSE @ OPENGL), {"poses": "world-to-camera", "axes": "opengl"}),
    ],
)
def test_poses_come_out_as_the_contract_wants_them(pose, corrections):
    torch.testing.assert_close(read(pose, **corrections).world_from_camera, POSE)


def test_a_point_ahead_of_an_opengl_camera_is_at_negative_z():
    """OpenGL's camera looks along -z: what is 2 m ahead is at (0, 0, -2) there and at (0, 0, 2) here."""
    ahead_gl, ahead = torch.tensor([0.0, 0, -2, 1]), torch.tensor([0.0, 0, 2, 1])
    pose = POSE @ OPENGL
    torch.testing.assert_close(read(pose, axes="opengl").world_from_camera @ ahead, pose @ ahead_gl)


def test_scales():
    view = read(POSE, depth_scale=0.0002, world_scale=0.01)
    assert view.depth.metres_per_unit == 0.0002
    np.testing.assert_allclose(view.world_from_camera[:3, 3], POSE[:3, 3] * 0.01, rtol=1e-6)
    torch.testing.assert_close(view.world_from_camera[:3, :3], POSE[:3, :3])


def test_unknown_pose_and_depth_stay_unknown():
    view = View("cam0", Path("0.png"))
    dataset = Dataset(Path("x"), (Recording("x", "scan", (Moment((view,)),)),))
    (same,) = corrected(dataset, Corrections(axes="opengl", depth_scale=0.1)).views()
    assert same == view


def test_a_scale_is_above_zero():
    with pytest.raises(DataError, match="depth_scale is"):
        Corrections(depth_scale=0.0)


def test_a_left_handed_camera_sees_the_same_pixels():
    """What an image shows: a point of the left-handed world, through the published matrix with fy < 0."""
    point, k = (
        torch.tensor([0.1, 0.2, 1.5, 1.0]),
        torch.tensor([[50.0, 0, 31.5], [0, -50.0, 23.5], [0, 0, 1]]),
    )
    seen = k @ (invert(POSE) @ point)[:3]
    k[1, 1] *= -1
    ours = k @ (invert(read(POSE, axes="left-handed").world_from_camera) @ (MIRROR @ point))[:3]
    torch.testing.assert_close(ours, seen)


@pytest.mark.parametrize(
    ("fx", "fy", "message"),
    [
        (50, -48.5, r"cam\.json: fy is -48\.5: y points up; write it positive; .* --axes left-handed"),
        (-50, 48, r"fx is -50: .* --axes opengl"),
        (-50, -48, r"both focal lengths are negative: x points left and y up; .* --axes turned"),
        (0, 48, r"the camera matrix .* is not one"),
    ],
)
def test_negative_focal_lengths_are_told(fx, fy, message):
    with pytest.raises(DataError, match=message):
        intrinsics_from([fx, 0, 31.5, 0, fy, 23.5, 0, 0, 1], "cam.json")
