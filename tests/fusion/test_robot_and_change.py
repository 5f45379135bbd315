"""What is not an object: a gripper before a wrist camera, and the scene as it is without objects."""

import cv2
import numpy as np
from tests.fusion.tabletop import Box, cast, frames_of, ring

from samepoint.data.recording import DepthFile, View
from samepoint.fusion.change import changed
from samepoint.fusion.robot import BORDER, robot_pixels
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import Volume, fuse


def test_a_gripper_is_what_stays_where_it_is_and_near(tmp_path):
    generator = np.random.default_rng(0)
    views = []
    for i in range(12):
        depth = 0.6 + 0.3 * generator.random((60, 80))  # the world goes by
        depth[40:, 30:50] = 0.15 + 0.001 * generator.random((20, 20))
        depth[:5, :5] = 0.7  # far, though it does not move
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((60, 80, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"{i}d.png"), (depth * 10000).astype(np.uint16))
        views.append(View("wrist", tmp_path / f"{i}.png", depth=DepthFile(tmp_path / f"{i}d.png", 1e-4)))
    robot = robot_pixels(views)
    assert robot[40:, 30:50].all()
    assert not robot[: 39 - BORDER].any()
    assert not robot[:, : 29 - BORDER].any()


def test_only_what_the_empty_scene_lacks_is_kept():
    shelf = Box((0.1, -0.2, 0.0), (0.2, 0.2, 0.1))
    thing = Box((-0.1, -0.05, 0.0), (-0.03, 0.05, 0.08))
    empty = fuse(Volume(0.004), frames_of((shelf,), ring()), far=2.0).surface(2.0)
    behind = MeshViews(empty, np.zeros(len(empty.triangles), dtype=np.int64))
    poses = ring(6, 0.45, 0.45)
    for frame, pose in zip(changed(frames_of((shelf, thing), poses), behind), poses):
        seen = cast(pose, (shelf, thing))[1]
        kept = frame.depth > 0
        assert kept[seen == 1].mean() > 0.85  # all but the strip at its foot
        assert kept[seen == 0].mean() < 0.03
        assert kept[seen == -1].mean() < 0.1
