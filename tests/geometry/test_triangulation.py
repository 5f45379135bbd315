from __future__ import annotations

import torch

from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, rigid, transform
from samepoint.geometry.triangulation import triangulate_pixels, triangulate_rays

K = torch.tensor([[300.0, 0.0, 160.0], [0.0, 300.0, 120.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def triangulate_reference(origins, directions, weights):
    """Minimise the sum of w * squared distance to each line, as a stacked least-squares problem."""
    rows, right = [], []
    for o, d, w in zip(origins, directions, weights):
        d = d / d.norm()
        across = w.sqrt() * (torch.eye(3, dtype=o.dtype) - torch.outer(d, d))
        rows.append(across)
        right.append(across @ o)
    return torch.linalg.lstsq(torch.cat(rows), torch.cat(right)[:, None]).solution[:, 0]


def rig(generator, cameras=4):
    """Cameras a metre from the origin, looking at it."""
    centre = torch.randn(cameras, 3, generator=generator, dtype=torch.float64)
    forward = -torch.nn.functional.normalize(centre, dim=-1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    rotation = torch.stack((right, torch.linalg.cross(forward, right), forward), dim=-1)
    return rigid(rotation, -forward)


def test_exact_rays_meet(generator):
    point = torch.randn(5, 3, generator=generator)
    origins = point[:, None] + torch.randn(5, 3, 3, generator=generator)
    found = triangulate_rays(origins, (point[:, None] - origins) * 7)
    torch.testing.assert_close(found, point, atol=1e-4, rtol=1e-4)


def test_agrees_with_twin_in_values_and_gradients(generator):
    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    origins, directions = random(6, 4, 3).requires_grad_(), random(6, 4, 3).requires_grad_()
    weights = (random(6, 4).abs() + 0.1).requires_grad_()
    fast = triangulate_rays(origins, directions, weights)
    slow = torch.stack([triangulate_reference(*one) for one in zip(origins, directions, weights)])
    torch.testing.assert_close(fast, slow)
    weight = random(3)
    for a, b in zip(
        torch.autograd.grad((fast * weight).sum(), (origins, directions, weights)),
        torch.autograd.grad((slow * weight).sum(), (origins, directions, weights)),
    ):
        torch.testing.assert_close(a, b)


def test_pixels_of_a_rig(generator):
    world_from_camera = rig(generator)
    xyz = torch.rand(7, 3, generator=generator, dtype=torch.float64) * 0.2
    uv, z = project(K, transform(invert(world_from_camera), xyz))
    assert (z > 0).all()
    found = triangulate_pixels(uv[None], K.expand(4, 3, 3), world_from_camera)
    torch.testing.assert_close(found[0], xyz)


def test_weights_choose_the_cameras(generator):
    world_from_camera = rig(generator)
    xyz = torch.rand(3, 3, generator=generator, dtype=torch.float64) * 0.2
    uv, _ = project(K, transform(invert(world_from_camera), xyz))
    uv[2] += 40
    weights = torch.ones(4, 3, dtype=torch.float64)
    weights[2] = 0
    torch.testing.assert_close(triangulate_pixels(uv, K.expand(4, 3, 3), world_from_camera, weights), xyz)


def test_open_points_are_nan_without_gradient(generator):
    origins = torch.randn(4, 3, 3, generator=generator).requires_grad_()
    directions = torch.randn(4, 3, 3, generator=generator)
    directions[1] = directions[1, :1] + 1e-5
    weights = torch.ones(4, 3)
    weights[2, 1:] = 0
    weights[3] = 0
    found = triangulate_rays(origins, directions, weights)
    assert found.isnan().any(-1).tolist() == [False, True, True, True]
    (gradient,) = torch.autograd.grad(found[0].sum() + found[1:].nansum(), origins)
    assert gradient[0].abs().sum() > 0
    assert torch.equal(gradient[1:], torch.zeros(3, 3, 3))


def test_nothing_and_half_precision(generator):
    assert triangulate_rays(torch.zeros(0, 2, 3), torch.zeros(0, 2, 3)).shape == (0, 3)
    assert triangulate_rays(torch.zeros(2, 0, 3), torch.zeros(2, 0, 3)).isnan().all()
    found = triangulate_rays(torch.eye(3).half(), -torch.eye(3).half())
    torch.testing.assert_close(found, torch.zeros(3).half(), atol=1e-3, rtol=0)
