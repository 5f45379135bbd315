"""What is not an object: a gripper before a wrist camera, and the scene as it is without objects."""

import cv2
import numpy as np
from tests.fusion.tabletop import SIZE, Box, K, cast, frames_of, ring

from samepoint.data.recording import DepthFile, View
from samepoint.fusion.objects import find_objects
from samepoint.fusion.robot import BORDER, robot_pixels
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.views import MeshViews, triangle_labels
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


def test_only_what_the_empty_scene_lacks_is_an_object():
    """A shelf that is always there, and a thing that touches it."""
    shelf = Box((0.1, -0.2, 0.0), (0.2, 0.2, 0.1))
    thing = Box((0.03, -0.05, 0.0), (0.1, 0.05, 0.08))
    settings, eyes = FusionSettings(voxel=0.004), np.stack([pose[:3, 3] for pose in ring()])
    empty = fuse(Volume(0.004), frames_of((shelf,), ring()), far=2.0).surface(2.0)
    behind = MeshViews(empty, np.zeros(len(empty.triangles), dtype=np.int64))
    surface = fuse(Volume(0.004), frames_of((shelf, thing), ring()), far=2.0).surface(2.0)
    found = find_objects(surface, eyes, settings, behind)
    assert found.number == 1
    assert found.planes == ()
    rendered = MeshViews(surface, triangle_labels(found.labels, surface.triangles))
    shares = []
    for pose in ring(6, 0.45, 0.45):
        truth, seen = cast(pose, (shelf, thing))[1] == 1, rendered.render(K, pose, SIZE)[1] == 0
        shares.append((truth & seen).sum() / (truth | seen).sum())
    assert np.median(shares) > 0.8
    assert find_objects(surface, eyes, settings).labels.max() == 0  # without: shelf and thing are one
