"""Poses that agree with the fused surface."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.fusion.tabletop import Box, frames_of, looking_at, ring

from samepoint.fusion.objects import within_box
from samepoint.fusion.refine import refined_pose
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import Volume

BOX = (-0.3, -0.3, -0.05, 0.3, 0.3, 0.3)
BOXES = (Box((-0.12, -0.06, 0.0), (-0.02, 0.06, 0.1)), Box((0.03, -0.1, 0.0), (0.09, 0.03, 0.06)))


def disturbed(pose, generator, shift=0.003, turn=0.005):
    motion = np.eye(4)
    motion[:3, :3] = cv2.Rodrigues(generator.normal(0, turn, 3))[0]
    motion[:3, 3] = generator.normal(0, shift, 3)
    return pose @ motion


def model_of(boxes):
    volume = Volume(0.003, box=BOX)
    for frame in frames_of(boxes, ring(24, 0.5, 0.4)):
        volume.integrate(frame, 2.0)
    surface = within_box(volume.surface(2.0), BOX)
    return MeshViews(surface, np.full(len(surface.triangles), -1))


@pytest.fixture(scope="module")
def model():
    return model_of(BOXES)


def off_by(pose, truth):
    """Millimetres by which a point half a metre before the camera is off."""
    return 1000 * np.linalg.norm(((np.linalg.inv(truth) @ pose) @ (0, 0, 0.5, 1))[:3] - (0, 0, 0.5))


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_poses_come_nearer_to_the_truth(model, noise):
    generator, truth = np.random.default_rng(1), ring(8, 0.45, 0.35)
    recorded = [disturbed(pose, generator) for pose in truth]
    frames = [replace(f, world_from_camera=p) for f, p in zip(frames_of(BOXES, truth, noise), recorded)]
    before = [off_by(pose, true) for pose, true in zip(recorded, truth)]
    after = [off_by(refined_pose(frame, model), true) for frame, true in zip(frames, truth)]
    assert np.median(before) > 3
    assert np.median(after) < 0.35 * np.median(before)
    assert max(after) < max(before)


def test_a_right_pose_stays(model):
    for pose, frame in zip(ring(3), frames_of(BOXES, ring(3))):
        assert off_by(refined_pose(frame, model), pose) < 0.7


def test_what_a_bare_table_does_not_determine_stays_as_recorded():
    truth = looking_at((0.3, 0.0, 0.4), (0.0, 0.0, 0.0))
    aside, up = truth.copy(), truth.copy()
    aside[:3, 3] += (0.004, 0.003, 0.0)
    up[:3, 3] += (0.0, 0.0, 0.004)
    (frame,) = frames_of(
        (), [truth], size=(60, 80), k=np.array([[120.0, 0, 39.5], [0, 120, 29.5], [0, 0, 1]])
    )
    table = model_of(())
    kept = refined_pose(replace(frame, world_from_camera=aside), table)
    np.testing.assert_allclose(kept[:2, 3], aside[:2, 3], atol=1e-3)
    lowered = refined_pose(replace(frame, world_from_camera=up), table)
    assert abs(lowered[2, 3] - truth[2, 3]) < 0.001


def test_a_frame_that_shows_nothing_of_the_surface_keeps_its_pose(model):
    pose = looking_at((0.5, 0.0, 0.5), (3.0, 0.0, 3.0))
    (frame,) = frames_of((), [pose])
    np.testing.assert_array_equal(refined_pose(frame, model), pose)
    far = replace(frame, depth=np.full_like(frame.depth, 2.0))
    np.testing.assert_array_equal(refined_pose(far, model), pose)
