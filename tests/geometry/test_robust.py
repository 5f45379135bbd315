"""Rigid fits with wrong pairs: planted motions, an exhaustive twin, what is refused."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from samepoint.errors import DataError
from samepoint.geometry.alignment import kabsch, residual
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import compose, exp, invert, rotation_angle, transform
from samepoint.geometry.robust import robust_pnp, robust_rigid
from samepoint.geometry.warps import warp_intrinsics

K = torch.tensor([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]], dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(generator, *size):
    return torch.randn(*size, generator=generator, dtype=torch.float64)


def pose(generator, depth=0.6):
    """A camera_from_object with any rotation, the object about `depth` metres in front."""
    motion = exp(normal(generator, 6) * torch.tensor([0.03, 0.03, 0.03, 1, 1, 1], dtype=torch.float64))
    motion[2, 3] += depth
    return motion


def planted(generator, n=60, wrong=30, noise=0.0):
    """Points of 10 cm, where a motion brings them, and which pairs are right (the others lie 5 cm off or more)."""
    x, motion = 0.1 * normal(generator, n, 3), exp(normal(generator, 6))
    y = transform(motion, x) + noise * normal(generator, n, 3)
    off = normal(generator, wrong, 3)
    y[:wrong] += (0.05 + off.norm(dim=-1, keepdim=True)) * torch.nn.functional.normalize(off, dim=-1)
    return x, y, motion, torch.arange(n) >= wrong


def differs(a, b):
    """Metres and degrees between two motions."""
    return float((a - b)[:3, 3].norm()), math.degrees(float(rotation_angle(compose(invert(a), b))))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_the_planted_motion_is_found_among_wrong_pairs(generator, share):
    x, y, motion, right = planted(generator, wrong=int(60 * share))
    fit = robust_rigid(x, y, threshold=0.01, generator=generator)
    torch.testing.assert_close(fit.motion, motion)
    assert torch.equal(fit.inliers, right)
    assert fit.rms < 1e-12


def test_with_noise_it_is_the_least_squares_fit_of_the_right_pairs(generator):
    x, y, motion, right = planted(generator, n=200, wrong=100, noise=0.001)
    fit = robust_rigid(x, y, threshold=0.01, generator=generator)
    assert torch.equal(fit.inliers, right)
    torch.testing.assert_close(fit.motion, kabsch(x[right], y[right]))
    left = residual(fit.motion, x, y)[right]
    assert fit.rms == pytest.approx(float(left.square().mean().sqrt()))
    assert fit.rms == pytest.approx(math.sqrt(3) * 0.001, rel=0.2)
    assert differs(fit.motion, motion)[1] < 0.3


def exhaustive(x, y, weights, threshold):
    """The largest weight within the threshold of any triple's motion, by loops over all triples."""
    best, marked = -1.0, None
    for triple in itertools.combinations(range(len(x)), 3):
        rows = list(triple)
        a, b = x[rows] - x[rows].mean(0), y[rows] - y[rows].mean(0)
        u, _, vt = torch.linalg.svd(b.T @ a)
        mirror = torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(u @ vt))], dtype=x.dtype))
        rotation = u @ mirror @ vt
        shift = y[rows].mean(0) - rotation @ x[rows].mean(0)
        inside = [math.dist(rotation @ p + shift, q) <= threshold for p, q in zip(x, y)]
        weight = sum(float(w) for w, good in zip(weights, inside) if good)
        if weight > best:
            best, marked = weight, inside
    return best, marked


@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_all_triples_tried_one_by_one(generator, weighted):
    x, y, _, right = planted(generator, n=9, wrong=4)
    w = torch.ones(9, dtype=torch.float64)
    if weighted:
        w = 0.5 + torch.rand(9, generator=generator, dtype=torch.float64)
    best, marked = exhaustive(x, y, w, 0.01)
    fit = robust_rigid(x, y, w if weighted else None, threshold=0.01, hypotheses=4000, generator=generator)
    assert fit.inliers.tolist() == marked == right.tolist()
    assert float(w[fit.inliers].sum()) == pytest.approx(best)


def test_weight_decides_between_two_motions(generator):
    x, motions = 0.1 * normal(generator, 20, 3), [exp(normal(generator, 6)) for _ in range(2)]
    y = torch.cat((transform(motions[0], x[:12]), transform(motions[1], x[12:])))
    w = torch.ones(20, dtype=torch.float64)
    torch.testing.assert_close(robust_rigid(x, y, w, threshold=0.01, generator=seeded()).motion, motions[0])
    w[:12] = 0.2
    fit = robust_rigid(x, y, w, threshold=0.01, generator=seeded())
    torch.testing.assert_close(fit.motion, motions[1])
    assert fit.inliers.nonzero()[:, 0].tolist() == list(range(12, 20))


def test_the_same_generator_gives_the_same_answer_and_frames_do_not_matter(generator):
    x, y, _, _ = planted(generator, noise=0.002)
    one, same = (robust_rigid(x, y, threshold=0.01, generator=seeded(3)) for _ in range(2))
    assert torch.equal(one.motion, same.motion)
    assert torch.equal(one.inliers, same.inliers)
    frame = exp(normal(generator, 6))
    moved = robust_rigid(x, transform(frame, y), threshold=0.01, generator=seeded(3))
    assert torch.equal(moved.inliers, one.inliers)
    torch.testing.assert_close(moved.motion, compose(frame, one.motion))
    back = robust_rigid(y, x, threshold=0.01, generator=seeded(3))
    assert torch.equal(back.inliers, one.inliers)
    torch.testing.assert_close(back.motion, invert(one.motion))


def test_rows_that_are_not_finite_or_weigh_nothing_are_left_out(generator):
    x, y, motion, right = planted(generator, n=40, wrong=10)
    x[12, 1], y[15, 0], y[16, 2] = math.nan, math.inf, math.nan
    w = torch.ones(40, dtype=torch.float64)
    w[20], w[21] = 0, math.nan
    fit = robust_rigid(x, y, w, threshold=0.01, generator=generator)
    right[[12, 15, 16, 20, 21]] = False
    assert torch.equal(fit.inliers, right)
    torch.testing.assert_close(fit.motion, motion)


def test_three_pairs_single_precision_and_a_long_thin_object(generator):
    x, y, motion, _ = planted(generator, n=3, wrong=0)
    fit = robust_rigid(x.float(), y.float(), threshold=0.01, generator=generator)
    assert fit.motion.dtype == torch.float32
    assert fit.inliers.all()
    torch.testing.assert_close(fit.motion, motion.float(), atol=1e-4, rtol=0)
    pen = normal(generator, 80, 3) * torch.tensor([0.05, 0.005, 0.005], dtype=torch.float64)
    y = transform(motion, pen) + 0.001 * normal(generator, 80, 3)
    thin = robust_rigid(pen, y, threshold=0.005, generator=generator)
    assert differs(thin.motion, motion)[1] < 4


@pytest.mark.parametrize("noise", [0.0, 0.001])
@pytest.mark.parametrize("both", [False, True])
def test_pairs_on_a_line_are_refused(generator, noise, both):
    x = torch.linspace(0, 0.2, 30, dtype=torch.float64)[:, None] * torch.tensor(
        [0.6, 0.0, 0.8], dtype=torch.float64
    )
    y = transform(exp(normal(generator, 6)), x) + noise * normal(generator, 30, 3)
    x = x + both * noise * normal(generator, 30, 3)
    with pytest.raises(DataError, match="lie on a line"):
        robust_rigid(x, y, threshold=0.01, generator=generator)


def test_rigid_refuses_what_it_cannot_fit(generator):
    x, y, _, _ = planted(generator, n=8, wrong=0)
    lost = x.clone()
    lost[2:] = math.nan
    with pytest.raises(DataError, match="2 of 8 pairs of points are usable"):
        robust_rigid(lost, y, threshold=0.01, generator=generator)
    with pytest.raises(DataError, match="0 of 0 pairs"):
        robust_rigid(x[:0], y[:0], threshold=0.01, generator=generator)
    with pytest.raises(DataError, match="lie on a line"):
        robust_rigid(x[:1].expand(5, 3), y[:1].expand(5, 3), threshold=0.01, generator=generator)
    with pytest.raises(DataError, match="no motion brings three of 8 points"):
        robust_rigid(x, 100 * normal(generator, 8, 3), threshold=1e-4, generator=generator)
    with pytest.raises(DataError, match="below 0"):
        robust_rigid(x, y, -torch.ones(8, dtype=torch.float64), threshold=0.01, generator=generator)
    with pytest.raises(DataError, match="threshold is 0"):
        robust_rigid(x, y, threshold=0.0, generator=generator)
    with pytest.raises(DataError, match="hypotheses is 0"):
        robust_rigid(x, y, threshold=0.01, hypotheses=0, generator=generator)


def shown(generator, n=60, wrong=20, noise=0.0, flat=False, intrinsics=K):
    """Object points of 10 cm, their pixels in a camera, and which are right (the others lie 20 px off or more)."""
    xyz, motion = 0.05 * normal(generator, n, 3), pose(generator)
    if flat:
        xyz[:, 2] = 0
    uv = project(intrinsics, transform(motion, xyz))[0] + noise * normal(generator, n, 2)
    off = normal(generator, wrong, 2)
    uv[:wrong] += (20 + 50 * off.norm(dim=-1, keepdim=True)) * torch.nn.functional.normalize(off, dim=-1)
    return xyz, uv, motion, torch.arange(n) >= wrong


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("wrong", [0, 30])
def test_the_planted_pose_is_found_among_wrong_pixels(seed, flat, wrong):
    xyz, uv, motion, right = shown(seeded(seed), wrong=wrong, flat=flat)
    fit = robust_pnp(xyz, uv, K)
    torch.testing.assert_close(fit.motion, motion, atol=1e-5, rtol=0)
    assert torch.equal(fit.inliers, right)
    assert fit.rms < 1e-3


def test_with_noise_the_pose_is_the_best_of_its_neighbours(generator):
    xyz, uv, motion, right = shown(generator, n=200, wrong=80, noise=0.5)
    fit = robust_pnp(xyz, uv, K)
    assert torch.equal(fit.inliers, right)

    def cost(candidate):
        return float((project(K, transform(candidate, xyz[right]))[0] - uv[right]).square().sum(-1).mean())

    assert fit.rms == pytest.approx(math.sqrt(cost(fit.motion)), abs=1e-9)
    assert fit.rms == pytest.approx(math.sqrt(2) * 0.5, rel=0.15)
    for axis, sign in itertools.product(range(6), (-1, 1)):
        step = torch.zeros(6, dtype=torch.float64)
        step[axis] = sign * 1e-4
        assert cost(compose(fit.motion, exp(step))) > cost(fit.motion)
    metres, degrees = differs(fit.motion, motion)
    assert metres < 0.002
    assert degrees < 0.5


def test_a_rotated_image_gives_the_same_pose_and_the_call_repeats(generator):
    """The camera matrix of a rotated, enlarged image is not upper triangular."""
    xyz, uv, _, _ = shown(generator, noise=0.3)
    turn = torch.tensor([[0.0, -2, 900], [2, 0, 30], [0, 0, 1]], dtype=torch.float64)
    moved = uv @ turn[:2, :2].T + turn[:2, 2]
    fit, again = robust_pnp(xyz, uv, K), robust_pnp(xyz, uv, K)
    assert torch.equal(fit.motion, again.motion)
    assert torch.equal(fit.inliers, again.inliers)
    turned = robust_pnp(xyz, moved, warp_intrinsics(turn, K), threshold_px=8.0)
    torch.testing.assert_close(turned.motion, fit.motion, atol=1e-5, rtol=0)
    assert torch.equal(turned.inliers, fit.inliers)
    assert turned.rms == pytest.approx(2 * fit.rms, rel=1e-3)


def test_pixels_that_are_not_finite_are_left_out_and_types_kept(generator):
    xyz, uv, motion, right = shown(generator, noise=0.1)
    xyz[30, 0], uv[35, 1] = math.nan, math.nan
    right[[30, 35]] = False
    fit = robust_pnp(xyz.float(), uv.float(), K.float())
    assert torch.equal(fit.inliers, right)
    assert fit.motion.dtype == torch.float32
    metres, degrees = differs(fit.motion.double(), motion)
    assert metres < 0.002
    assert degrees < 0.5


def test_pnp_refuses_what_it_cannot_fit(generator):
    xyz, uv, motion, _ = shown(generator, n=12, wrong=0)
    with pytest.raises(DataError, match="3 of 3 points with pixels are usable"):
        robust_pnp(xyz[:3], uv[:3], K)
    with pytest.raises(DataError, match="0 of 0 points"):
        robust_pnp(xyz[:0], uv[:0], K)
    with pytest.raises(DataError, match="threshold_px is -1"):
        robust_pnp(xyz, uv, K, threshold_px=-1.0)
    line = xyz * torch.tensor([1.0, 0, 0], dtype=torch.float64)
    with pytest.raises(DataError, match="lie on a line"):
        robust_pnp(line, project(K, transform(motion, line))[0], K)
    thin = line + 1e-5 * normal(generator, 12, 3)
    noisy = project(K, transform(motion, line))[0] + 0.5 * normal(generator, 12, 2)
    with pytest.raises(DataError, match="lie on a line"):
        robust_pnp(thin, noisy, K)
    with pytest.raises(DataError, match="no pose brings four of 12 points"):
        robust_pnp(
            xyz, 600 * torch.rand(12, 2, generator=generator, dtype=torch.float64), K, threshold_px=0.01
        )
