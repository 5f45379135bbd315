from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from samepoint.geometry.cameras import (
    project,
    rays,
    unproject,
)

K = torch.tensor([[500.0, 0.0, 320.0], [0.0, 510.0, 240.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
ROTATED = torch.tensor([[0.0, -1.0, 479.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64) @ K


def test_convention_camera_axes_are_opencvs():
    (uv, z) = project(K, torch.tensor([[0.0, 0, 2], [0.1, 0, 2], [0, 0.1, 2]], dtype=torch.float64))
    assert uv.tolist() == [[320.0, 240.0], [345.0, 240.0], [320.0, 265.5]]
    assert z.tolist() == [2.0, 2.0, 2.0]


def test_project_agrees_with_opencv(generator):
    xyz = torch.rand(20, 3, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 0, 1])
    expected, _ = cv2.projectPoints(xyz.numpy(), np.zeros(3), np.zeros(3), K.numpy(), None)
    torch.testing.assert_close(project(K, xyz)[0], torch.from_numpy(expected[:, 0]))


@pytest.mark.parametrize("intrinsics", [K, ROTATED])
def test_unproject_inverts_project(intrinsics, generator):
    xyz = torch.rand(3, 20, 3, generator=generator, dtype=torch.float64) + torch.tensor([-0.5, -0.5, 0.7])
    uv, z = project(intrinsics, xyz)
    torch.testing.assert_close(unproject(intrinsics, uv, z), xyz)
    homogeneous = xyz @ intrinsics.T
    torch.testing.assert_close(uv, homogeneous[..., :2] / homogeneous[..., 2:])


def test_gradients_agree_with_numerical_ones(generator):
    xyz = (torch.rand(4, 3, generator=generator, dtype=torch.float64) + 0.5).requires_grad_()
    k = K.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda k, x: project(k, x)[0] / 500, (k, xyz))
    uv = (torch.rand(4, 2, generator=generator, dtype=torch.float64) * 300).requires_grad_()
    z = torch.ones(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k, uv, z: unproject(k, uv, z), (k, uv, z))


def test_points_in_the_plane_of_the_camera_keep_gradients_finite():
    xyz = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0]], requires_grad=True)
    uv, z = project(K.float(), xyz)
    (gradient,) = torch.autograd.grad(uv.sum() + z.sum(), xyz)
    assert torch.isfinite(gradient).all()


def test_nothing_half_precision_and_broadcasting(generator):
    assert project(K, torch.zeros(2, 0, 3, dtype=torch.float64))[0].shape == (2, 0, 2)
    xyz = (torch.rand(5, 3, generator=generator) + 0.5).half()
    uv, z = project(K.half(), xyz)
    assert (uv.dtype, z.dtype) == (torch.float16, torch.float16)
    assert rays(K.half(), uv).isfinite().all()
    assert unproject(K.expand(4, 3, 3), uv.double(), z.double()).shape == (4, 5, 3)
