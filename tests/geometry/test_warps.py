from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from samepoint.geometry.cameras import project
from samepoint.geometry.pixels import pixel_grid, resize_intrinsics, resize_matrix
from samepoint.geometry.warps import (
    invert_warp,
    random_warp,
    stays_in_frame,
    warp_images,
    warp_intrinsics,
    warp_points,
)

ALL = {"rotation": math.pi, "scale": (0.6, 1.6), "translation": 0.1, "perspective": 0.3}


def blobs(uv, size, sigma):
    """Images "n 1 h w" with one Gaussian each."""
    grid = pixel_grid(size, dtype=torch.float64)
    return torch.exp(-(grid - uv[:, None, None]).square().sum(-1) / (2 * sigma**2))[:, None]


def centroids(images):
    grid = pixel_grid(images.shape[-2:], dtype=images.dtype)
    return (images[:, 0, ..., None] * grid).sum((1, 2)) / images.sum((1, 2, 3))[:, None]


@pytest.mark.parametrize("out_size", [(90, 120), (64, 150), (45, 60), (131, 77)])
def test_convention_images_and_points_move_together(generator, out_size):
    """A blob is found where `warp_points` sends its centre, whatever the sizes."""
    size = (90, 120)
    warps = random_warp(generator, 40, size, out_size, **(ALL | {"perspective": 0.1})).double()
    uv = torch.rand(40, 2, generator=generator, dtype=torch.float64) * torch.tensor([119.0, 89.0])
    there = warp_points(warps, uv[:, None])[:, 0]
    margin = torch.tensor([out_size[1] - 1.0, out_size[0] - 1.0]) - 14
    kept = ((there > 14) & (there < margin) & (uv > 7) & (uv < torch.tensor([112.0, 82.0]))).all(-1)
    assert kept.sum() > 5
    moved = warp_images(blobs(uv, size, 1.5), warps, out_size)
    error = (centroids(moved) - there)[kept].norm(dim=-1)
    # the tilt makes a blob lopsided: its centroid moves by up to curvature * sigma^2
    assert error.max() < 0.15
    affine = random_warp(generator, 40, size, out_size, **(ALL | {"perspective": 0.0})).double()
    there = warp_points(affine, uv[:, None])[:, 0]
    kept = ((there > 14) & (there < margin) & (uv > 7) & (uv < torch.tensor([112.0, 82.0]))).all(-1)
    error = (centroids(warp_images(blobs(uv, size, 1.5), affine, out_size)) - there)[kept].norm(dim=-1)
    assert error.max() < 0.05


def test_convention_shift_by_whole_pixels_moves_pixels():
    image = torch.zeros(1, 1, 5, 7)
    image[0, 0, 1, 2] = 1
    shift = torch.tensor([[[1.0, 0, 3], [0, 1, 2], [0, 0, 1]]])
    moved = warp_images(image, shift, (6, 9))
    assert (moved > 1e-4).nonzero().tolist() == [[0, 0, 3, 5]]
    assert moved[0, 0, 3, 5] == pytest.approx(1, abs=1e-4)
    assert warp_points(shift, torch.tensor([[[2.0, 1.0]]])).tolist() == [[[5.0, 3.0]]]


def test_warped_image_agrees_with_opencv(generator):
    image = torch.rand(1, 1, 40, 50, generator=generator)
    image = torch.nn.functional.avg_pool2d(image, 5, 1, 2)
    warp = random_warp(generator, 1, (40, 50), (30, 60), rotation=0.4, scale=(0.9, 1.1), perspective=0.2)
    mine = warp_images(image, warp, (30, 60))[0, 0].numpy()
    theirs = cv2.warpPerspective(
        image[0, 0].numpy(), warp[0].double().numpy(), (60, 30), flags=cv2.INTER_LINEAR
    )
    assert np.abs(mine - theirs).mean() < 2e-3


def test_inverse_and_zero_pixel(generator):
    warps = random_warp(generator, 8, (60, 80), (100, 50), **ALL).double()
    uv = torch.tensor([[0.0, 0.0], [79.0, 59.0], [0.0, 59.0], [33.3, 12.2]], dtype=torch.float64)
    there = warp_points(warps, uv.expand(8, 4, 2))
    assert torch.isfinite(there).all()
    torch.testing.assert_close(warp_points(invert_warp(warps), there), uv.expand(8, 4, 2))
    assert stays_in_frame(torch.eye(3), torch.zeros(1, 2), (4, 4)).tolist() == [True]


def test_random_warp_keeps_the_horizon_out_and_the_view_mostly_inside(generator):
    size, out_size = (60, 80), (48, 48)
    warps = random_warp(generator, 500, size, out_size, **ALL)
    edge = pixel_grid(size).reshape(1, -1, 2)
    w = edge @ warps[:, 2, :2, None] + warps[:, None, 2, 2:]
    assert w.min() > 0.6
    assert w.max() < 1.4
    back = warp_points(invert_warp(warps), pixel_grid(out_size).reshape(1, -1, 2).expand(500, -1, 2))
    inside = ((back > -0.5) & (back < torch.tensor([79.5, 59.5]))).all(-1).float().mean(1)
    assert inside.mean() > 0.8
    assert inside.min() > 0.35
    small = {"rotation": 0.1, "scale": (1.1, 1.5), "translation": 0.02, "perspective": 0.05}
    warps = random_warp(generator, 500, size, out_size, **small)
    back = warp_points(invert_warp(warps), pixel_grid(out_size).reshape(1, -1, 2).expand(500, -1, 2))
    assert ((back > -0.5) & (back < torch.tensor([79.5, 59.5]))).all(-1).float().mean() > 0.98


def test_no_ghosts_from_behind_the_horizon(generator):
    """Every output pixel that reads from the input image is one that `warp_points` reaches from there."""
    warps = random_warp(generator, 200, (30, 40), (90, 90), scale=(0.05, 0.2), perspective=0.9)
    out = pixel_grid((90, 90)).reshape(1, -1, 2).expand(200, -1, 2)
    inverse = invert_warp(warps)
    homogeneous = torch.cat((out, torch.ones_like(out[..., :1])), -1) @ inverse.transpose(1, 2)
    source = homogeneous[..., :2] / homogeneous[..., 2:]
    read = ((source > -0.5) & (source < torch.tensor([39.5, 29.5]))).all(-1)
    assert read.any()
    assert (homogeneous[..., 2][read] > 0).all()


def test_no_randomness_is_the_largest_centred_crop(generator):
    warp = random_warp(generator, 1, (60, 80), (30, 30))[0]
    torch.testing.assert_close(
        warp_points(warp, torch.tensor([[39.5, 29.5], [9.5, -0.5]]))[0], torch.tensor([14.5] * 2)
    )
    same = random_warp(generator, 1, (60, 80), (30, 40))[0]
    torch.testing.assert_close(same, torch.tensor(resize_matrix((60, 80), (30, 40))))


def test_random_warp_is_reproducible_and_bounded():
    one, two = (
        random_warp(torch.Generator().manual_seed(3), 50, (60, 80), (60, 80), **ALL) for _ in range(2)
    )
    assert torch.equal(one, two)
    turns = random_warp(
        torch.Generator().manual_seed(3), 500, (60, 80), (60, 80), rotation=0.3, scale=(0.5, 2.0)
    )
    angle = torch.atan2(turns[:, 1, 0], turns[:, 0, 0])
    zoom = torch.linalg.det(turns[:, :2, :2]).sqrt()
    assert 0.28 < angle.abs().max() <= 0.3 + 1e-5
    assert 0.5 - 1e-4 <= zoom.min() < 0.55
    assert 1.8 < zoom.max() <= 2 + 1e-4
    with pytest.raises(ValueError, match="perspective"):
        random_warp(torch.Generator(), 1, (9, 9), (9, 9), perspective=1.0)


def test_gradients(generator):
    warps = (
        random_warp(generator, 2, (9, 12), (8, 10), rotation=0.3, perspective=0.2).double().requires_grad_()
    )
    uv = (torch.rand(2, 5, 2, generator=generator, dtype=torch.float64) * 8).requires_grad_()
    assert torch.autograd.gradcheck(warp_points, (warps, uv))
    image = torch.rand(2, 1, 9, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(warp_images(image, warps, (8, 10)).sum(), image)
    assert gradient.abs().sum() > 0


def test_labels_masks_half_precision_and_nothing(generator):
    warps = random_warp(generator, 2, (20, 20), (24, 24), rotation=0.5)
    labels = torch.randint(0, 200, (2, 1, 20, 20), generator=generator, dtype=torch.uint8)
    moved = warp_images(labels, warps, (24, 24), mode="nearest")
    assert moved.dtype == torch.uint8
    assert set(moved.unique().tolist()) <= set(labels.unique().tolist()) | {0}
    assert warp_images(labels > 5, warps, (24, 24), mode="nearest").dtype == torch.bool
    with pytest.raises(ValueError, match="nearest"):
        warp_images(labels, warps, (24, 24))
    image = torch.rand(2, 3, 20, 20, generator=generator)
    half = warp_images(image.half(), warps, (24, 24))
    torch.testing.assert_close(half.float(), warp_images(image, warps, (24, 24)), atol=2e-3, rtol=0)
    assert warp_images(image[:0], warps[:0], (5, 6)).shape == (0, 3, 5, 6)
    assert warp_points(warps, torch.zeros(2, 0, 2)).shape == (2, 0, 2)


def test_beyond_the_horizon_is_nan_and_not_in_frame():
    tilt = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]])
    uv = torch.tensor([[5.0, 0.0], [10.0, 0.0], [20.0, 0.0]], requires_grad=True)
    there = warp_points(tilt, uv)
    assert there.isnan().any(-1).tolist() == [False, True, True]
    assert stays_in_frame(tilt, uv, (100, 100)).tolist() == [True, False, False]
    (gradient,) = torch.autograd.grad(there[0].sum(), uv)
    assert torch.isfinite(gradient).all()


def test_intrinsics_of_a_warped_image(generator):
    k = torch.tensor([[90.0, 0, 40], [0, 91, 30], [0, 0, 1]])
    warp = random_warp(generator, 3, (60, 80), (50, 50), rotation=1.0, scale=(0.5, 2.0), translation=0.1)
    xyz = torch.rand(3, 9, 3, generator=generator) + torch.tensor([-0.5, -0.5, 1])
    torch.testing.assert_close(
        project(warp_intrinsics(warp, k), xyz)[0], warp_points(warp, project(k, xyz)[0]), atol=1e-3, rtol=1e-4
    )
    resize = torch.tensor(resize_matrix((60, 80), (30, 20)))
    torch.testing.assert_close(warp_intrinsics(resize, k), resize_intrinsics(k, (60, 80), (30, 20)))
    with pytest.raises(ValueError, match="perspective"):
        warp_intrinsics(random_warp(generator, 1, (60, 80), (50, 50), perspective=0.2), k)


def test_real_homographies_move_the_wall(realdata):
    """The Oxford graffiti views: image 1 warped by the published matrix looks like image 2."""
    folder = realdata / "homography_graffiti"
    one, two = (
        torch.from_numpy(cv2.imread(str(folder / f"img{k}.png"), cv2.IMREAD_GRAYSCALE)).float()[None, None]
        / 255
        for k in (1, 2)
    )
    warp = torch.from_numpy(np.loadtxt(folder / "H1to2p")).float()[None]
    size = (two.shape[2], two.shape[3])
    moved = warp_images(one, warp, size)
    seen = warp_images(torch.ones_like(one), warp, size) > 0.99
    a, b = moved[seen], two[seen]
    correlation = torch.corrcoef(torch.stack((a, b)))[0, 1]
    assert correlation > 0.9
