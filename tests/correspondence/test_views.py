"""Views that agree: rays and points against plain loops, weights as the text has them, and missing views."""

import numpy as np
import pytest
import torch

from samepoint.correspondence.collapse import shares
from samepoint.correspondence.views import agree, confidence_weight, look
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import exp, invert, transform
from samepoint.geometry.pixels import cell_centres
from samepoint.types import CellMap, Heatmaps

SIZE, SIGMA = (64, 80), 2.0
CELLS = CellMap((2.0, 2.0), (0.5, 0.5))


def rig(generator, moments=2, cameras=4):
    """Cameras about 1 m from the origin that look at it, and their matrix."""
    angle = torch.rand(moments, cameras, generator=generator) * 0.5 + torch.arange(cameras)
    poses = []
    for a in angle.flatten().tolist():
        eye = np.array([np.cos(a), np.sin(a), 0.6])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(forward, right), forward], 1), eye
        poses.append(torch.from_numpy(pose))
    k = torch.tensor([[150.0, 0, 39.5], [0, 150, 31.5], [0, 0, 1]], dtype=torch.float64)
    return k.expand(moments, cameras, 3, 3), torch.stack(poses).unflatten(0, (moments, cameras))


def heatmaps_at(uv, sigma=SIGMA):
    """Gaussian heatmaps `m c n 2` -> the Heatmaps of m x c images."""
    grid = cell_centres(CELLS, (SIZE[0] // 2, SIZE[1] // 2), dtype=uv.dtype)
    square = (grid - uv.flatten(0, 1)[:, :, None, None]).square().sum(-1)
    return Heatmaps(-square / (2 * sigma**2), CELLS, SIZE)


def points(generator, moments=2, n=3):
    return (torch.rand(moments, n, 3, generator=generator, dtype=torch.float64) - 0.5) * 0.15


def test_views_that_see_the_same_point_agree_on_it(generator):
    k, pose = rig(generator)
    xyz = points(generator)
    uv, inside = look(xyz, k, pose, SIZE)
    assert inside.all()
    found = agree(heatmaps_at(uv), k, pose, torch.ones(2, 4, 3, dtype=torch.bool), SIGMA)
    torch.testing.assert_close(found.xyz, xyz, atol=2e-4, rtol=0)
    torch.testing.assert_close(found.uv, uv, atol=0.05, rtol=0)


def test_the_point_is_that_of_the_normal_equations(generator):
    """The formula of methods, 1.6, in plain numpy, with the weights it was given."""
    k, pose = rig(generator)
    uv, _ = look(points(generator), k, pose, SIZE)
    uv = uv + torch.randn(uv.shape, generator=generator, dtype=uv.dtype)
    found = agree(heatmaps_at(uv), k, pose, torch.ones(2, 4, 3, dtype=torch.bool), SIGMA)
    for m in range(2):
        for n in range(3):
            left, right = np.zeros((3, 3)), np.zeros(3)
            for c in range(4):
                u, v = found.uv[m, c, n].tolist()
                ray = pose[m, c, :3, :3].numpy() @ np.array([(u - 39.5) / 150, (v - 31.5) / 150, 1.0])
                ray /= np.linalg.norm(ray)
                plane = float(found.weight[m, c, n]) * (np.eye(3) - np.outer(ray, ray))
                left, right = left + plane, right + plane @ pose[m, c, :3, 3].numpy()
            np.testing.assert_allclose(found.xyz[m, n].numpy(), np.linalg.solve(left, right), atol=1e-8)


def test_a_wide_heatmap_has_less_say(generator):
    """Three views are sharp and right, one is broad and wrong."""
    k, pose = rig(generator, moments=1)
    xyz = points(generator, moments=1, n=1)
    uv, _ = look(xyz, k, pose, SIZE)
    uv[0, 3] += 12.0
    sharp, broad = heatmaps_at(uv), heatmaps_at(uv, sigma=10.0)
    logits = torch.cat((sharp.logits[:3], broad.logits[3:]))
    everyone = torch.ones(1, 4, 1, dtype=torch.bool)
    errors = [
        float((agree(Heatmaps(logits, CELLS, SIZE), k, pose, everyone, SIGMA, form).xyz - xyz).norm())
        for form in ("rational", "exponential", "none")
    ]
    assert max(errors[:2]) < 0.1 * errors[2]


@pytest.mark.parametrize("form", ["rational", "exponential"])
def test_the_weight_is_about_one_up_to_the_targets_width_and_falls_above(form):
    width = torch.linspace(0.1, 6, 50)
    weight = confidence_weight((width * SIGMA).square()[:, None].expand(-1, 2), SIGMA, form)
    assert (weight.diff() <= 0).all()
    assert float(weight[width <= 1].min()) >= 0.5
    assert float(weight[width >= 2.5].max()) < 0.05
    assert float(weight.max()) <= 1


def test_missing_views_have_no_say_and_one_view_makes_no_point(generator):
    k, pose = rig(generator)
    xyz = points(generator)
    uv, _ = look(xyz, k, pose, SIZE)
    uv[:, 2] = 3.0  # nonsense
    part = torch.ones(2, 4, 3, dtype=torch.bool)
    part[:, 2] = False
    part[1, 1:, 0] = False
    found = agree(heatmaps_at(uv), k, pose, part, SIGMA)
    torch.testing.assert_close(found.xyz[0], xyz[0], atol=3e-4, rtol=0)
    assert found.xyz[1, 0].isnan().all()
    assert (found.weight[:, 2] == 0).all()


def test_moving_the_world_moves_the_points(generator):
    k, pose = rig(generator)
    uv, _ = look(points(generator), k, pose, SIZE)
    moved = exp(torch.tensor([0.3, -0.2, 0.5, 0.4, 0.2, -0.7], dtype=torch.float64))
    part = torch.ones(2, 4, 3, dtype=torch.bool)
    before, after = (agree(heatmaps_at(uv), k, p, part, SIGMA).xyz for p in (pose, moved @ pose))
    torch.testing.assert_close(transform(moved, before), after, atol=1e-9, rtol=0)


def test_look_is_projection_and_knows_what_lies_behind_or_outside(generator):
    k, pose = rig(generator)
    xyz = points(generator)
    uv, _ = look(xyz, k, pose, SIZE)
    for m in range(2):
        for c in range(4):
            one, depth = project(k[m, c], transform(invert(pose[m, c]), xyz[m]))
            torch.testing.assert_close(uv[m, c], one)
            assert (depth > 0).all()
    behind = pose[:, :, :3, 3][:, 0] * 3
    assert not look(behind[:, None], k, pose, SIZE)[1][:, 0].any()
    assert not look(xyz + 0.5, k, pose, SIZE)[1].all()


def test_collapsed_keypoints_are_told_from_sound_ones(generator):
    """One place of the object, one place of the world; the objects' own shape and way count as 1."""
    shape = points(generator, 1, 4)[0]
    moments = torch.randn(30, 1, 3, generator=generator, dtype=torch.float64) * 0.1
    labels, others = shape + moments[:10], shape + moments[10:]
    sound = shares(others, labels)
    assert 0.9 < float(sound["spread"]) < 1.1
    assert 0.6 < float(sound["travel"]) < 1.6
    centre = others.mean(1, keepdim=True).expand_as(others)
    assert float(shares(centre, labels)["spread"]) < 0.01
    spot = others[:1].expand_as(others)
    assert float(shares(spot, labels)["travel"]) < 0.01
    assert float(shares(torch.full_like(others, torch.nan), labels)["travel"]) == 0
    assert float(shares(others[:, :1], labels[:, :1])["spread"]) == 1


def test_each_view_may_have_its_own_size(generator):
    k, pose = rig(generator)
    xyz = points(generator) * 3
    sizes = torch.tensor([[[64, 80], [20, 80], [64, 30], [0, 0]]]).expand(2, 4, 2)
    _, inside = look(xyz, k, pose, sizes)
    for c, size in enumerate(sizes[0].tolist()):
        _, alone = look(xyz, k, pose, (size[0], size[1]))
        assert torch.equal(inside[:, c], alone[:, c])
    assert not inside[:, 3].any()
    assert inside.any()
