from __future__ import annotations

import math

import pytest
import roma
import torch

from samepoint.errors import DataError
from samepoint.geometry.motions import (
    check_rigid,
    compose,
    exp,
    invert,
    log,
    rigid,
    rotation_angle,
    transform,
)

EYE = torch.eye(4, dtype=torch.float64)


def twists(generator, n=20, scale=1.0, dtype=torch.float64):
    return scale * torch.randn(n, 6, generator=generator, dtype=dtype)


def test_convention_transform_rotates_then_translates():
    turn = torch.tensor([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    assert transform(turn, torch.tensor([[1.0, 0, 0]])).tolist() == [[1.0, 3.0, 3.0]]


def test_convention_names_of_composed_motions_match(generator):
    c_from_b, b_from_a = exp(twists(generator, 2)).unbind(0)
    xyz_a = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        transform(compose(c_from_b, b_from_a), xyz_a), transform(c_from_b, transform(b_from_a, xyz_a))
    )


def test_axioms(generator):
    a, b, c = exp(twists(generator, 3)).unbind(0)
    torch.testing.assert_close(compose(a, compose(b, c)), compose(compose(a, b), c))
    torch.testing.assert_close(compose(a, invert(a)), EYE)
    torch.testing.assert_close(invert(compose(a, b)), compose(invert(b), invert(a)))
    torch.testing.assert_close(invert(a), torch.linalg.inv(a))
    assert check_rigid(torch.stack((a, b, c))).shape == (3, 4, 4)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-2, 1e-3, 1e-8, 0.0])
def test_exp_agrees_with_matrix_exponential_in_values_and_gradients(generator, scale):
    twist = twists(generator, scale=scale).requires_grad_()
    zero = torch.zeros_like(twist[:, 0])
    v, (x, y, z) = twist[:, :3], twist[:, 3:].unbind(-1)
    rows = ((zero, -z, y, v[:, 0]), (z, zero, -x, v[:, 1]), (-y, x, zero, v[:, 2]), (zero,) * 4)
    slow = torch.linalg.matrix_exp(torch.stack([torch.stack(row, -1) for row in rows], -2))
    fast = exp(twist)
    torch.testing.assert_close(fast, slow, atol=1e-9, rtol=1e-9)
    weight = torch.rand(4, 4, generator=generator, dtype=torch.float64)
    (fast_gradient,) = torch.autograd.grad((fast * weight).sum(), twist)
    (slow_gradient,) = torch.autograd.grad((slow * weight).sum(), twist)
    torch.testing.assert_close(fast_gradient, slow_gradient, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 0.05, 1e-3, 1e-6, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_inverts_exp(generator, scale, dtype):
    twist = twists(generator, scale=scale, dtype=dtype).requires_grad_()
    back = log(exp(twist))
    torch.testing.assert_close(back, twist, atol=2e-6 if dtype == torch.float32 else 1e-9, rtol=1e-4)
    (gradient,) = torch.autograd.grad(back.sum(), twist)
    torch.testing.assert_close(gradient, torch.ones_like(gradient), atol=1e-2, rtol=0)


def test_log_near_half_a_turn(generator):
    axis = torch.nn.functional.normalize(twists(generator)[:, :3], dim=-1)
    twist = torch.cat((twists(generator)[:, 3:], axis * (math.pi - 1e-4)), dim=-1)
    torch.testing.assert_close(log(exp(twist)), twist, atol=1e-6, rtol=1e-6)


def test_rotation_angle_agrees_with_twin(generator):
    angles = torch.tensor([0.0, 1e-6, 1e-3, 1.0, 3.0, math.pi], dtype=torch.float64)
    axis = torch.nn.functional.normalize(torch.randn(6, 3, generator=generator, dtype=torch.float64), dim=-1)
    motion = rigid(roma.rotvec_to_rotmat(axis * angles[:, None]), torch.rand(6, 3, dtype=torch.float64))
    torch.testing.assert_close(rotation_angle(motion), angles, atol=1e-9, rtol=0)
    eye = torch.eye(4, requires_grad=True)
    (gradient,) = torch.autograd.grad(rotation_angle(eye), eye)
    assert torch.isfinite(gradient).all()


def test_broadcasting_and_nothing(generator):
    motion = exp(twists(generator, 3, dtype=torch.float32))
    assert transform(motion, torch.rand(7, 3)).shape == (3, 7, 3)
    assert transform(motion[0], torch.rand(4, 5, 3)).shape == (4, 5, 3)
    assert transform(motion, torch.zeros(3, 0, 3)).shape == (3, 0, 3)
    assert log(exp(torch.zeros(0, 6))).shape == (0, 6)
    assert transform(motion.half(), torch.rand(3, 2, 3).half()).dtype == torch.float16
    assert check_rigid(torch.zeros(0, 4, 4)).shape == (0, 4, 4)


MIRROR, SCALED, SHEARED, ROW, NAN = (torch.eye(4) for _ in range(5))
MIRROR[1, 1] = -1
SCALED[:3, :3] *= 1000
SHEARED[0, 1] = 0.1
ROW[3, 0] = 1
NAN[0, 3] = math.nan


@pytest.mark.parametrize(
    ("motion", "words"),
    [(MIRROR, "mirrored"), (SCALED, "1e\\+09"), (SHEARED, "orthonormal"), (ROW, "last row"), (NAN, "finite")],
)
def test_check_rigid_names_the_fault_and_the_place(motion, words):
    with pytest.raises(DataError, match=f"poses.yaml: .*{words}"):
        check_rigid(torch.stack((torch.eye(4), motion)), where="poses.yaml")
