"""What a scan is about, where the room behind it has the larger planes."""

from dataclasses import replace

import numpy as np
from tests.fusion.tabletop import Box, K, frames_of, looking_at, ring

from samepoint.fusion.looks import Look, look_of, looked_at, noting
from samepoint.fusion.objects import find_objects, find_workspace, part
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.volume import Volume

FLOOR = -0.7
BOXES = (Box((-0.1, -0.05, 0.0), (0.0, 0.05, 0.1)), Box((0.08, -0.04, 0.0), (0.14, 0.04, 0.12)))


def with_floor(frame):
    """A frame whose empty pixels show a floor without end."""
    v, u = np.mgrid[: frame.depth.shape[0], : frame.depth.shape[1]]
    pose = frame.world_from_camera
    rays = np.stack((u, v, np.ones_like(u)), -1) @ np.linalg.inv(K).T @ pose[:3, :3].T
    with np.errstate(all="ignore"):
        far = (FLOOR - pose[2, 3]) / rays[..., 2]
    floor = np.where((far > 0) & (far < 3), far, 0).astype(np.float32)
    return replace(frame, depth=np.where(frame.depth > 0, frame.depth, floor))


def test_a_look_is_the_point_in_the_middle_of_the_image():
    frame = frames_of((), [looking_at((0.5, 0.0, 0.5), (0.0, 0.0, 0.0))])[0]
    look = look_of(frame)
    assert look is not None
    np.testing.assert_allclose(look.point, (0, 0, 0), atol=0.02)
    assert abs(look.distance - 0.5**0.5) < 0.02
    assert look_of(replace(frame, depth=np.zeros_like(frame.depth))) is None


def test_points_that_enough_cameras_look_near_are_kept():
    sweep = [Look(np.array([x, 0.0, 0.0]), 0.5) for x in np.linspace(0, 2, 9)]
    astray = [Look(np.array([0.0, 5.0, 0.0]), 0.5)]
    points = np.array([[0.0, 0.3, 0.0], [1.0, 0.3, 0.0], [2.0, 0.3, 0.0], [1.0, 0.0, -0.7], [0.0, 5.0, 0.0]])
    assert looked_at(points, sweep + astray + sweep).tolist() == [True, True, True, False, False]
    assert looked_at(points, []).all()


def test_the_support_is_the_table_and_not_the_larger_floor():
    cameras = ring(24, 0.5, 0.35)
    looks: list[Look] = []
    volume = Volume(0.02, box=None)
    for frame in noting(map(with_floor, frames_of(BOXES, cameras)), looks):
        volume.integrate(frame, 3.0)
    room, eyes = volume.surface(2.0), np.stack([pose[:3, 3] for pose in cameras])
    rough = FusionSettings(height=0.04, gap=0.06)
    assert abs(find_objects(room, eyes, rough).planes[0].height(np.array([[0, 0, FLOOR]]))[0]) < 0.05
    about = part(room, looked_at(room.vertices.astype(np.float64), looks))
    low, high = np.split(np.array(find_workspace(about, eyes, FusionSettings())), 2)
    assert (low < (-0.1, -0.05, 0.02)).all()
    assert (high > (0.14, 0.05, 0.12)).all()
    assert (high - low < 0.6).all()
