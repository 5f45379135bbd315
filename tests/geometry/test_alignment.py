from __future__ import annotations

import pytest
import torch

from samepoint.geometry.alignment import kabsch, residual
from samepoint.geometry.motions import exp, rigid, transform


def kabsch_reference(x, y, w):
    """One set of points, by the SVD of H = sum w (x - mean)(y - mean)^T (methods.md 1.5)."""
    w = w / w.sum()
    mean_x, mean_y = (w[:, None] * x).sum(0), (w[:, None] * y).sum(0)
    u, _, vt = torch.linalg.svd((w[:, None] * (x - mean_x)).T @ (y - mean_y))
    sign = torch.sign(torch.linalg.det(vt.T @ u.T)).detach()
    rotation = vt.T @ torch.diag(torch.stack((torch.ones(()).to(x), torch.ones(()).to(x), sign))) @ u.T
    return rigid(rotation, mean_y - rotation @ mean_x)


def cloud(generator, n=10, size=1.0, batch=4):
    return size * torch.randn(batch, n, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_recovers_the_motion(generator, size):
    x = cloud(generator, size=size)
    motion = exp(torch.randn(4, 6, generator=generator, dtype=torch.float64))
    found = kabsch(x, transform(motion, x))
    torch.testing.assert_close(found, motion)
    assert residual(found, x, transform(motion, x)).max() < 1e-9


@pytest.mark.parametrize("size", [1.0, 1e-2])
def test_agrees_with_twin_in_values_and_gradients(generator, size):
    x = cloud(generator, size=size).requires_grad_()
    y = (x.detach() + 0.3 * cloud(generator, size=size)).requires_grad_()
    w = torch.rand(4, 10, generator=generator, dtype=torch.float64).requires_grad_()
    fast = kabsch(x, y, w)
    slow = torch.stack([kabsch_reference(*one) for one in zip(x, y, w)])
    torch.testing.assert_close(fast, slow)
    weight = torch.rand(4, 4, generator=generator, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((fast * weight).sum(), (x, y, w)),
        torch.autograd.grad((slow * weight).sum(), (x, y, w)),
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_never_a_reflection(generator):
    x = cloud(generator)
    found = kabsch(x, x * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(found[:, :3, :3]), torch.ones(4, dtype=torch.float64))


def test_zero_weight_removes_points(generator):
    x = cloud(generator)
    motion = exp(torch.randn(4, 6, generator=generator, dtype=torch.float64))
    y = transform(motion, x)
    y[:, -1] += 5
    w = torch.ones(4, 10, dtype=torch.float64)
    w[:, -1] = 0
    torch.testing.assert_close(kabsch(x, y, w), motion)


def test_nothing_and_half_precision(generator):
    for points in (torch.zeros(2, 0, 3), torch.zeros(2, 3, 3)):
        found = kabsch(points, points)
        assert torch.isfinite(found).all()
        assert residual(found, points, points).shape == points.shape[:2]
    x = cloud(generator).half()
    assert kabsch(x, x).dtype == torch.float16
    torch.testing.assert_close(kabsch(x, x).float(), torch.eye(4).expand(4, 4, 4), atol=1e-2, rtol=0)
