"""Poses from keypoints, with a stand-in for the network that sees planted points of an object."""

import pytest
import torch

from samepoint.correspondence.heatmaps import KeypointMaps
from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import compose, exp, invert, rotation_angle, transform
from samepoint.inference.pose import PosedView, PoseFinder
from samepoint.types import CellMap

SIZE = (96, 128)
CAMERA = torch.tensor([[180.0, 0.0, 63.5], [0.0, 180.0, 47.5], [0.0, 0.0, 1.0]])
FOCAL = 90.0


class Oracle(torch.nn.Module):
    """Heatmaps with a peak where the object's points are. It reads the pose from the image's corner."""

    def __init__(self, points, wrong=0):
        super().__init__()
        self.points, self.wrong = points, wrong

    def forward(self, image):
        pose = exp(image[0, :2, 0, :3].reshape(6).double() - 0.5).float()
        uv, z = project(CAMERA, transform(pose, self.points))
        uv[: self.wrong] = torch.tensor([10.0, 80.0])
        v, u = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
        square = (u - uv[:, 0, None, None]) ** 2 + (v - uv[:, 1, None, None]) ** 2
        depth = (z * FOCAL / 180.0)[:, None, None].expand(-1, *SIZE)
        cells = CellMap((1.0, 1.0), (0.0, 0.0))
        return KeypointMaps(-square[None] / 2, depth[None].contiguous(), cells, SIZE, FOCAL), None


def seen(twist):
    """An image that says its pose, and the pose. Twists are below half a metre and half a radian."""
    image = torch.zeros(3, *SIZE)
    image[:2, 0, :3] = twist.reshape(2, 3) + 0.5
    return image, exp(twist.double()).float()


def twists(number, generator):
    twist = 0.3 * (2 * torch.rand(number, 6, generator=generator) - 1)
    twist[:, :2] *= 0.1
    twist[:, 2] = 0.45 - 0.1 * torch.rand(number, generator=generator)
    return twist


@pytest.fixture
def points(generator):
    return 0.04 * (2 * torch.rand(20, 3, generator=generator) - 1)


@pytest.fixture
def finder(points, generator):
    finder = PoseFinder(Oracle(points), {}, max_size=None)
    views = []
    for twist in twists(6, generator):
        image, pose = seen(twist)
        views.append(PosedView(image, CAMERA, pose))
    finder.learn(7, views)
    return finder


def flat_depth(points, pose):
    """A depth image that holds each point's depth round its pixel."""
    uv, z = project(CAMERA, transform(pose, points))
    depth = torch.zeros(SIZE)
    for (u, v), value in zip(uv.round().long().tolist(), z.tolist(), strict=True):
        depth[max(v - 1, 0) : v + 2, max(u - 1, 0) : u + 2] = value
    return depth


def test_keypoints_are_learnt_where_they_are_on_the_object(finder, points):
    learnt = finder.objects[7]
    assert (learnt.weight > 0).all()
    error = (learnt.xyz - points).norm(dim=-1)
    assert float(error.median()) < 1e-3
    assert float(error.max()) < 0.01  # heatmaps that the image's edge cuts off


@pytest.mark.parametrize("lift", ["regressed", "pixels"])
def test_the_pose_of_a_new_view_is_found(finder, generator, lift):
    for twist in twists(5, generator):
        image, pose = seen(twist)
        found = finder.find_pose(7, image, CAMERA, lift=lift)
        off = compose(invert(pose), found.camera_from_object)
        assert float(torch.rad2deg(rotation_angle(off))) < 3
        assert float(off[:3, 3].norm()) < 0.01
        assert found.inliers >= 15


def test_the_camera_s_depth_is_used_where_it_is_known(finder, points, generator):
    image, pose = seen(twists(1, generator)[0])
    depth = flat_depth(points, pose)
    found = finder.find_pose(7, image, CAMERA, depth=depth)
    off = compose(invert(pose), found.camera_from_object)
    assert float(off[:3, 3].norm()) < 0.01
    halved = finder.find_pose(7, image, CAMERA, depth=depth * 1.1)
    assert halved is None or abs(float(halved.camera_from_object[2, 3] / pose[2, 3]) - 1.1) < 0.05


def test_a_third_wrong_keypoints_do_no_harm(finder, points, generator):
    finder.network = Oracle(points, wrong=6)
    image, pose = seen(twists(1, generator)[0])
    for lift in ("regressed", "pixels"):
        found = finder.find_pose(7, image, CAMERA, lift=lift)
        assert float(torch.rad2deg(rotation_angle(compose(invert(pose), found.camera_from_object)))) < 4


def test_where_depth_is_missing_probability_is_switched_off(finder, points, generator):
    """A keypoint whose own place has no depth is looked for at the nearest place that has."""
    image, pose = seen(twists(1, generator)[0])
    depth = torch.full(SIZE, 0.5)
    uv, _ = project(CAMERA, transform(pose, points))
    u, v = uv[0].round().long().tolist()
    depth[max(v - 4, 0) : v + 5, max(u - 4, 0) : u + 5] = 0
    found = finder.see(image, CAMERA, depth=depth)
    cu, cv = found.uv[0].round().long().tolist()
    whole = finder.see(image, CAMERA)
    torch.testing.assert_close(whole.uv[0], uv[0], rtol=0, atol=0.2)
    assert float((found.uv[0] - uv[0]).norm()) > 0.5 or depth[cv, cu] > 0


def test_a_mask_says_where_the_object_is(finder, points, generator):
    image, pose = seen(twists(1, generator)[0])
    uv, _ = project(CAMERA, transform(pose, points))
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[:, : int(uv[:, 0].median())] = True
    found = finder.see(image, CAMERA, mask=mask)
    assert (found.uv[:, 0] <= uv[:, 0].median() + 1).all()


def test_a_few_views_are_lifted_by_depth(points, generator):
    finder = PoseFinder(Oracle(points), {}, max_size=None)
    image, pose = seen(twists(1, generator)[0])
    learnt = finder.learn(1, [PosedView(image, CAMERA, pose)])
    torch.testing.assert_close(learnt.xyz, points, rtol=0, atol=5e-3)


def test_what_it_does_not_know(finder, generator):
    image, _ = seen(twists(1, generator)[0])
    with pytest.raises(DataError, match=r"object 3 is unknown.*known are: 7"):
        finder.find_pose(3, image, CAMERA)
    with pytest.raises(DataError, match="no depth image"):
        finder.find_pose(7, image, CAMERA, lift="camera")
    with pytest.raises(DataError, match="no view of object"):
        finder.learn(9, [])
    lost = finder.find_pose(7, image, CAMERA, depth=torch.zeros(SIZE), lift="camera")
    assert lost is None
