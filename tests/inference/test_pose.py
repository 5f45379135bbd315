"""Poses from keypoints, with a stand-in for the network that sees planted points of an object."""

import pytest
import torch

from samepoint.correspondence.heatmaps import KeypointMaps
from samepoint.errors import DataError
from samepoint.geometry.cameras import focal_length, project
from samepoint.geometry.motions import compose, exp, invert, rotation_angle, transform
from samepoint.geometry.pixels import resize_intrinsics
from samepoint.inference.pose import FEWEST, ObjectKeypoints, PosedView, PoseFinder
from samepoint.types import CellMap

SIZE = (96, 128)
CAMERA = torch.tensor([[180.0, 0.0, 63.5], [0.0, 180.0, 47.5], [0.0, 0.0, 1.0]])
FOCAL = 90.0


class Oracle(torch.nn.Module):
    """Heatmaps with a peak where the object's points are, at any size. It reads the pose from the image's corner.

    The first `wrong` keypoints are always at one place; with `aside` the first is that many of its pixels to the
    right, where the image says so.
    """

    def __init__(self, points, wrong=0, aside=0.0):
        super().__init__()
        self.points, self.wrong, self.aside = points, wrong, aside

    def forward(self, image):
        size = (image.shape[2], image.shape[3])
        step = size[1] // 8
        said = image[0, :2, step // 2, step // 2 : 4 * step : step]
        pose = exp(said[:, :3].reshape(6).double() - 0.5).float()
        camera = resize_intrinsics(CAMERA, SIZE, size)
        uv, z = project(camera, transform(pose, self.points))
        uv[0, 0] += self.aside * said[0, 3]
        uv[: self.wrong] = torch.tensor([10.0, 80.0])
        v, u = torch.meshgrid(torch.arange(float(size[0])), torch.arange(float(size[1])), indexing="ij")
        square = (u - uv[:, 0, None, None]) ** 2 + (v - uv[:, 1, None, None]) ** 2
        depth = (z * FOCAL / focal_length(camera))[:, None, None].expand(-1, *size)
        cells = CellMap((1.0, 1.0), (0.0, 0.0))
        return KeypointMaps(-square[None] / 2, depth[None].contiguous(), cells, size, FOCAL), None


def seen(twist, aside=0.0, size=SIZE):
    """An image that says its pose, in squares of an eighth of its width, and the pose. Twists are below half a metre
    and half a radian."""
    said = torch.cat((twist.reshape(2, 3) + 0.5, torch.full((2, 1), aside)), dim=1)
    image, step = torch.zeros(3, *size), size[1] // 8
    image[:2, :step, : 4 * step] = said.repeat_interleave(step, dim=1)[:, None]
    return image, exp(twist.double()).float()


def twists(number, generator):
    twist = 0.3 * (2 * torch.rand(number, 6, generator=generator) - 1)
    twist[:, :2] *= 0.1
    twist[:, 2] = 0.45 - 0.1 * torch.rand(number, generator=generator)
    return twist


@pytest.fixture
def points(generator):
    return 0.04 * (2 * torch.rand(20, 3, generator=generator) - 1)


def learnt_from(finder, generator, size=SIZE, aside=(0, 0, 0, 0, 0, 0)):
    views = []
    for twist, off in zip(twists(6, generator), aside, strict=True):
        image, pose = seen(twist, float(off), size)
        views.append(PosedView(image, resize_intrinsics(CAMERA, SIZE, size), pose))
    finder.learn(7, views)
    return finder


@pytest.fixture
def finder(points, generator):
    return learnt_from(PoseFinder(Oracle(points), {}, max_size=None), generator)


def wrong_by(found, pose):
    """Degrees and metres."""
    off = compose(invert(pose), found.camera_from_object)
    return float(torch.rad2deg(rotation_angle(off))), float(off[:3, 3].norm())


def flat_depth(points, pose, before=0.0):
    """A depth image that holds each point's depth round its pixel, or the depth of what lies `before` it (metres)."""
    uv, z = project(CAMERA, transform(pose, points))
    z = z - before
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
        degrees, metres = wrong_by(found, pose)
        assert degrees < 3
        assert metres < 0.01
        assert found.inliers >= 15


@pytest.mark.parametrize("max_size", [64, 100])
@pytest.mark.parametrize("lift", ["regressed", "pixels", "camera"])
def test_a_network_that_sees_the_image_smaller_finds_the_same_pose(points, generator, max_size, lift):
    """Within 3 degrees and 1 cm, as at full size; 100 x 75 pixels are no whole share of 128 x 96."""
    finder = learnt_from(PoseFinder(Oracle(points), {}, max_size=max_size), generator)
    assert float((finder.objects[7].xyz - points).norm(dim=-1).median()) < 2e-3
    for twist in twists(5, generator):
        image, pose = seen(twist)
        depth = flat_depth(points, pose)
        found = finder.find_pose(7, image, CAMERA, lift=lift, depth=depth)
        degrees, metres = wrong_by(found, pose)
        assert degrees < 3
        assert metres < 0.01
        assert found.inliers >= 15
        looked = finder.see(image, CAMERA)
        uv, z = project(CAMERA, transform(pose, points))
        assert float((looked.uv - uv).norm(dim=-1).median()) < 0.05
        torch.testing.assert_close(looked.depth, z, rtol=0.01, atol=0)


def test_keypoints_inside_an_object_are_found_by_the_surface_before_them(points, generator):
    """What a camera measures is 2 to 6 cm before the keypoints, which is learnt where the views have depth."""
    before = 0.02 + 0.04 * torch.rand(len(points), generator=generator)
    views = []
    for twist in twists(6, generator):
        image, pose = seen(twist)
        views.append(PosedView(image, CAMERA, pose, depth=flat_depth(points, pose, before)))
    finder = PoseFinder(Oracle(points), {}, max_size=None)
    learnt = finder.learn(7, views)
    assert float((learnt.behind - before).abs().median()) < 2e-3
    for twist in twists(5, generator):
        image, pose = seen(twist)
        found = finder.find_pose(7, image, CAMERA, lift="camera", depth=flat_depth(points, pose, before))
        degrees, metres = wrong_by(found, pose)
        assert degrees < 3
        assert metres < 0.01


def test_what_is_learnt_depends_on_the_working_size_alone(points):
    """One of six views sees a keypoint 5.5 pixels aside: less than AGREES_PX at the working size."""
    learnt = []
    for size in (SIZE, (192, 256)):
        finder = PoseFinder(Oracle(points, aside=5.5), {}, max_size=128)
        generator = torch.Generator().manual_seed(3)
        learnt.append(learnt_from(finder, generator, size, aside=(0, 0, 1, 0, 0, 0)).objects[7])
    torch.testing.assert_close(learnt[1].xyz, learnt[0].xyz, rtol=0, atol=1e-4)
    torch.testing.assert_close(learnt[1].weight, learnt[0].weight, rtol=0, atol=1e-2)
    assert float(learnt[0].weight[0]) < 0.8 * float(learnt[0].weight[1:].median())


def test_the_camera_s_depth_is_used_where_it_is_known(finder, points, generator):
    image, pose = seen(twists(1, generator)[0])
    depth = flat_depth(points, pose)
    found = finder.find_pose(7, image, CAMERA, depth=depth)
    assert wrong_by(found, pose)[1] < 0.01
    farther = finder.find_pose(7, image, CAMERA, depth=depth * 1.1)
    assert farther is not None
    assert farther.inliers >= FEWEST
    assert float(farther.camera_from_object[2, 3] / pose[2, 3]) == pytest.approx(1.1, abs=0.02)
    network = finder.find_pose(7, image, CAMERA, depth=depth * 1.1, lift="regressed")
    assert wrong_by(network, pose)[1] < 0.01


def test_a_third_wrong_keypoints_do_no_harm(finder, points, generator):
    finder.network = Oracle(points, wrong=6)
    image, pose = seen(twists(1, generator)[0])
    for lift in ("regressed", "pixels"):
        found = finder.find_pose(7, image, CAMERA, lift=lift)
        assert wrong_by(found, pose)[0] < 4


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


@pytest.mark.parametrize("max_size", [None, 64, 32])
def test_a_mask_holds_however_thin_it_is(finder, points, generator, max_size):
    finder.max_size = max_size
    image, _ = seen(twists(1, generator)[0])
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[40:60, 71] = True
    found = finder.see(image, CAMERA, mask=mask)
    cell = 128 / (max_size or 128)
    assert ((found.uv[:, 0] - 71).abs() <= cell).all()
    assert ((found.uv[:, 1] - 49.5).abs() <= 9.5 + cell).all()


@pytest.mark.parametrize("max_size", [None, 64])
def test_neither_mask_nor_depth_is_dropped_where_they_do_not_meet(finder, points, generator, max_size):
    finder.max_size = max_size
    image, _ = seen(twists(1, generator)[0])
    mask, depth = torch.zeros(SIZE, dtype=torch.bool), torch.full(SIZE, 0.4)
    mask[30:60, 40:80] = True
    depth[mask] = 0
    assert finder.find_pose(7, image, CAMERA, mask=mask, depth=depth, lift="camera") is None
    nowhere = finder.see(image, CAMERA, mask=mask, depth=depth)
    assert nowhere.uv.isnan().all()
    assert nowhere.depth.isnan().all()
    assert not nowhere.certainty.any()
    for lift in ("regressed", "pixels"):
        assert finder.find_pose(7, image, CAMERA, mask=torch.zeros_like(mask), lift=lift) is None


def test_sparse_depth_does_not_switch_the_object_off(finder, points, generator):
    """A fifth of the pixels know their depth, so that no pixel of the smaller image is half known."""
    finder.max_size = 64
    image, pose = seen(twists(1, generator)[0])
    depth = torch.full(SIZE, float(pose[2, 3])) * (torch.rand(SIZE, generator=generator) < 0.2)
    looked, whole = finder.see(image, CAMERA, depth=depth), finder.see(image, CAMERA)
    assert float((looked.uv - whole.uv).norm(dim=-1).median()) < 1.5


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


def test_views_with_an_empty_mask_teach_nothing(finder, points, generator):
    before = finder.objects[7]
    views = []
    for k, twist in enumerate(twists(6, generator)):
        image, pose = seen(twist)
        views.append(PosedView(image, CAMERA, pose, torch.full(SIZE, k > 0)))
    assert torch.equal(finder.learn(7, views).xyz, finder.learn(7, views[1:]).xyz)
    assert before.xyz.shape == finder.objects[7].xyz.shape
    with pytest.raises(DataError, match="no view of object 7"):
        finder.learn(7, views[:1])


def test_depth_and_masks_of_another_size_are_refused(finder, points, generator):
    image, pose = seen(twists(1, generator)[0])
    small = flat_depth(points, pose)[::2, ::2]
    line = r"depth image is 48 x 64 \(height x width\), the image 96 x 128"
    for lift in ("camera", "pixels"):
        with pytest.raises(DataError, match=line):
            finder.find_pose(7, image, CAMERA, depth=small, lift=lift)
    with pytest.raises(DataError, match=line):
        finder.learn(8, [PosedView(image, CAMERA, pose, None, small)])
    with pytest.raises(DataError, match="the mask is 48 x 64"):
        finder.find_pose(7, image, CAMERA, mask=small > 0)


def test_depth_in_millimetres_is_refused(finder, points, generator):
    image, pose = seen(twists(1, generator)[0])
    depth = 1000 * flat_depth(points, pose)
    with pytest.raises(
        DataError, match=r"the median depth is .* m, not 0.05 to 30 m; give metres: 0.001 times"
    ):
        finder.find_pose(7, image, CAMERA, depth=depth)
    with pytest.raises(DataError, match=r"the median depth on the mask is .* m, not 0.02 to 20 m"):
        finder.find_pose(7, image, CAMERA, depth=depth, mask=depth > 0)
    with pytest.raises(DataError, match="give metres"):
        finder.learn(8, [PosedView(image, CAMERA, pose, None, depth)])
    assert finder.find_pose(7, image, CAMERA, depth=depth, lift="pixels") is not None  # it is not looked at


def test_bad_input_is_no_missing_pose(finder, generator):
    """Only that no pose fits is answered by None."""
    image, _ = seen(twists(1, generator)[0])
    learnt = finder.objects[7]
    finder.objects[7] = ObjectKeypoints(learnt.xyz, learnt.weight.index_fill(0, torch.tensor([2]), -1.0))
    with pytest.raises(DataError, match="weight of a pair of points is below 0"):
        finder.find_pose(7, image, CAMERA, lift="regressed")
    finder.objects[7] = ObjectKeypoints(torch.zeros_like(learnt.xyz), learnt.weight)  # all in one place
    for lift in ("regressed", "pixels"):
        assert finder.find_pose(7, image, CAMERA, lift=lift) is None
