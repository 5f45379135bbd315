"""3-D points from heatmaps, against plain loops, and what they are when views are missing, wrong or unsure."""

import numpy as np
import pytest
import torch
from tests.inference.spots import looking_at_origin

from samepoint.correspondence.views import look
from samepoint.errors import DataError
from samepoint.geometry.pixels import cell_centres
from samepoint.geometry.triangulation import triangulate_pixels
from samepoint.inference.points import SURE, PointSettings, covariance, locate_points, peaks
from samepoint.types import CellMap, Heatmaps

SIZE, SIGMA = (64, 80), 2.0
CELLS = CellMap((2.0, 2.0), (0.5, 0.5))
SETTINGS = PointSettings(SIGMA)


def rig(moments=1, views=4, dtype=torch.float64):
    k = torch.tensor([[150.0, 0, 39.5], [0, 145, 31.5], [0, 0, 1]], dtype=dtype)
    poses = [looking_at_origin(0.2 * m + 1.4 * c) for m in range(moments) for c in range(views)]
    return k.expand(moments, views, 3, 3), torch.stack(poses).to(dtype).unflatten(0, (moments, views))


def spread(uv, sigma=SIGMA):
    """Gaussian logits round `m c n 2`, `b n h w`."""
    grid = cell_centres(CELLS, (SIZE[0] // 2, SIZE[1] // 2), dtype=uv.dtype)
    return -(grid - uv.flatten(0, 1)[:, :, None, None]).square().sum(-1) / (2 * sigma**2)


def some_points(generator, moments=1, n=3):
    return (torch.rand(moments, n, 3, generator=generator, dtype=torch.float64) - 0.5) * 0.15


def everyone(uv):
    return torch.ones(uv.shape[:3], dtype=torch.bool)


def plain_triangulation(rays, weights):
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for (centre, direction), weight in zip(rays, weights):
        plane = weight * (np.eye(3) - np.outer(direction, direction))
        normal, right = normal + plane, right + plane @ centre
    return np.linalg.solve(normal, right)


def plain_projection(xyz, k, pose):
    seen = k @ (pose[:3, :3].T @ (xyz - pose[:3, 3]))
    return seen[:2] / seen[2]


def plain_view(logits, settings):
    """Mean, variance, place and share of one heatmap."""
    chance = np.exp(logits - logits.max())
    chance /= chance.sum()
    cells = {(r, c): np.array([2 * c + 0.5, 2 * r + 0.5]) for r, c in np.ndindex(chance.shape)}
    mean = sum(chance[cell] * uv for cell, uv in cells.items())
    variance = sum(chance[cell] * (uv - mean) ** 2 for cell, uv in cells.items())
    mode = cells[np.unravel_index(chance.argmax(), chance.shape)]
    near = [cell for cell, uv in cells.items() if np.linalg.norm(uv - mode) <= 3 * settings.sigma]
    share = sum(chance[cell] for cell in near)
    peak = sum(chance[cell] * cells[cell] for cell in near) / share
    return mean, variance, mean if settings.readout == "mean" else peak, share


def plain_point(logits, k, pose, takes_part, settings):
    """The slow twin: one keypoint of one moment. logits `c h w`."""
    views = [plain_view(of, settings) for of in logits]
    rays, own = [], []
    for c, (_, variance, uv, _) in enumerate(views):
        direction = pose[c][:3, :3] @ np.linalg.solve(k[c], np.array([*uv, 1.0]))
        rays.append((pose[c][:3, 3], direction / np.linalg.norm(direction)))
        own.append(takes_part[c] / (1 + (variance.mean() / settings.sigma**2) ** 2))

    def nearness(xyz):
        square = [
            ((plain_projection(xyz, k[c], pose[c]) - views[c][2]) ** 2).sum() for c in range(len(views))
        ]
        return np.array([1 / (1 + s / (3 * settings.sigma) ** 2) ** 2 for s in square])

    weights = np.array(own)
    xyz = plain_triangulation(rays, weights)
    for _ in range(settings.refine):
        weights = own * nearness(xyz)
        xyz = plain_triangulation(rays, weights)
    information = np.zeros((3, 3))
    for c, ((centre, direction), weight) in enumerate(zip(rays, weights)):
        pixels = max(views[c][1].mean() - settings.sigma**2, SURE**2)
        focal = np.sqrt(k[c][0, 0] * k[c][1, 1])
        across = pixels * (np.linalg.norm(xyz - centre) / focal) ** 2
        information += weight / across * (np.eye(3) - np.outer(direction, direction))
    agreement = np.array([view[3] for view in views]) * nearness(xyz) * np.array(takes_part)
    return xyz, np.linalg.inv(information), weights, agreement


@pytest.mark.parametrize("settings", [SETTINGS, PointSettings(SIGMA, "mean", refine=0)])
def test_points_are_those_of_plain_loops(generator, settings):
    k, pose = rig(moments=2, views=3)
    uv, _ = look(some_points(generator, 2, 2), k, pose, SIZE)
    uv = uv + 2 * torch.randn(uv.shape, generator=generator, dtype=uv.dtype)
    logits = spread(uv, 2.4) + 0.5 * torch.randn(6, 2, 32, 40, generator=generator, dtype=uv.dtype)
    takes_part = everyone(uv)
    takes_part[0, 1, 0] = False
    found = locate_points(Heatmaps(logits, CELLS, SIZE), k, pose, takes_part, settings)
    for m in range(2):
        for i in range(2):
            of = logits.unflatten(0, (2, 3))[m, :, i].numpy()
            twin = plain_point(of, k[m].numpy(), pose[m].numpy(), takes_part[m, :, i].tolist(), settings)
            parts = found.xyz[m, i], found.covariance[m, i], found.weight[m, :, i], found.agreement[m, :, i]
            for mine, plain in zip(parts, twin, strict=True):
                np.testing.assert_allclose(mine.numpy(), plain, rtol=1e-6, atol=1e-9)


def test_a_peak_is_that_of_plain_loops_at_the_border_too(generator):
    uv = torch.tensor([[[[0.0, 0.0], [79.0, 30.0], [41.3, 63.0], [20.2, 33.1]]]], dtype=torch.float64)
    logits = spread(uv) + torch.randn(1, 4, 32, 40, generator=generator, dtype=torch.float64)
    for sigma in (0.5, SIGMA, 40.0):
        found = peaks(Heatmaps(logits, CELLS, SIZE), sigma)
        for i in range(4):
            _, _, place, share = plain_view(logits[0, i].numpy(), PointSettings(sigma))
            np.testing.assert_allclose(found.uv[0, i].numpy(), place, rtol=1e-9)
            assert float(found.share[0, i]) == pytest.approx(share)


def test_the_covariance_is_the_scatter_of_noisy_rays(generator):
    k, pose = rig(views=3)
    xyz, noise, draws = some_points(generator, n=1), 1.5, 4000
    uv, _ = look(xyz, k, pose, SIZE)
    noisy = uv + noise * torch.randn(draws, *uv.shape[1:], generator=generator, dtype=uv.dtype)
    scattered = triangulate_pixels(noisy, k, pose)[:, 0]
    variance = torch.full_like(uv, SIGMA**2 + noise**2)  # of a heatmap: the belief widened by the target
    said = covariance(xyz, uv, variance, torch.ones_like(uv[..., 0]), k, pose, SIGMA)[0, 0]
    seen = scattered.T.cov()
    assert float((said - seen).norm() / seen.norm()) < 0.1
    half = covariance(xyz, uv, variance, torch.full_like(uv[..., 0], 0.5), k, pose, SIGMA)[0, 0]
    torch.testing.assert_close(half, 2 * said)


def test_a_missing_view_takes_no_part(generator):
    k, pose = rig()
    uv, _ = look(some_points(generator), k, pose, SIZE)
    wrong = uv.clone()
    wrong[:, 2] = 20.0
    takes_part = everyone(uv)
    takes_part[:, 2] = False
    found = locate_points(Heatmaps(spread(wrong), CELLS, SIZE), k, pose, takes_part, SETTINGS)
    kept = [0, 1, 3]
    without = locate_points(
        Heatmaps(spread(uv[:, kept]), CELLS, SIZE), k[:, kept], pose[:, kept], takes_part[:, kept], SETTINGS
    )
    torch.testing.assert_close(found.xyz, without.xyz)
    torch.testing.assert_close(found.covariance, without.covariance)
    assert not found.agreement[:, 2].any()


@pytest.mark.parametrize("refine", [0, 5])
def test_one_view_makes_no_point(generator, refine):
    k, pose = rig()
    uv, _ = look(some_points(generator), k, pose, SIZE)
    takes_part = everyone(uv)
    takes_part[:, 1:, 0] = False
    settings = PointSettings(SIGMA, refine=refine)
    found = locate_points(Heatmaps(spread(uv), CELLS, SIZE), k, pose, takes_part, settings)
    for values in (found.xyz, found.covariance):
        assert values[0, 0].isnan().all()
        assert values[0, 1:].isfinite().all()
    assert found.projected[0, :, 0].isnan().all()
    assert found.confidence[0, 0] == 0
    assert (found.confidence[0, 1:] > 0.9).all()
    alone = Heatmaps(spread(uv[:, :1]), CELLS, SIZE)
    alone = locate_points(alone, k[:, :1], pose[:, :1], takes_part[:, :1], settings)
    assert alone.xyz.isnan().all()
    assert not alone.confidence.any()


def test_a_wrong_view_is_outvoted(generator):
    k, pose = rig()
    xyz = some_points(generator)
    uv, _ = look(xyz, k, pose, SIZE)
    uv[:, 1] += 14.0
    heatmaps = Heatmaps(spread(uv), CELLS, SIZE)
    off = {
        refine: (
            locate_points(heatmaps, k, pose, everyone(uv), PointSettings(SIGMA, refine=refine)).xyz - xyz
        )
        for refine in (0, 5)
    }
    assert (off[5].norm(dim=-1) < 0.05 * off[0].norm(dim=-1)).all()
    found = locate_points(heatmaps, k, pose, everyone(uv), SETTINGS)
    assert (found.agreement[:, 1] < 0.1).all()
    assert (found.confidence > 0.9).all()


def test_of_two_places_the_mode_is_one_and_the_mean_neither():
    uv = torch.tensor([[[[20.0, 30.0]]], [[[60.0, 30.0]]]], dtype=torch.float64)
    both = torch.logaddexp(spread(uv[:1]), spread(uv[1:]) - 0.5)
    heatmaps, (k, pose) = Heatmaps(both.expand(2, -1, -1, -1), CELLS, SIZE), rig(views=2)
    mean, mode = (
        locate_points(heatmaps, k, pose, torch.ones(1, 2, 1, dtype=torch.bool), PointSettings(SIGMA, readout))
        for readout in ("mean", "mode")
    )
    torch.testing.assert_close(mode.uv[0, 0, 0], uv[0, 0, 0], atol=0.05, rtol=0)
    assert 30 < float(mean.uv[0, 0, 0, 0]) < 50
    assert float(peaks(heatmaps, SIGMA).share[0, 0]) == pytest.approx(1 / (1 + np.exp(-0.5)), abs=0.02)


def test_a_point_behind_a_camera_does_not_count_for_it(generator):
    k, pose = rig(views=2)
    away = pose.clone()
    away[..., :3, :3] = pose[..., :3, :3] @ torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=pose.dtype))
    uv, _ = look(some_points(generator), k, away, SIZE)  # the rays' lines meet behind both
    found = locate_points(Heatmaps(spread(uv), CELLS, SIZE), k, away, everyone(uv), SETTINGS)
    assert found.xyz.isfinite().all()
    assert found.projected.isnan().all()
    assert not found.agreement.any()


def test_moments_keep_their_order(generator):
    k, pose = rig(moments=3)
    xyz = some_points(generator, 3)
    uv, _ = look(xyz, k, pose, SIZE)
    found = locate_points(Heatmaps(spread(uv), CELLS, SIZE), k, pose, everyone(uv), SETTINGS)
    torch.testing.assert_close(found.xyz, xyz, atol=5e-4, rtol=0)
    torch.testing.assert_close(found.projected, uv, atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"sigma": 0.0}, "sigma is above 0"),
        ({"refine": -1}, "refine 0 or more"),
    ],
)
def test_settings_that_cannot_be(change, line):
    with pytest.raises(DataError, match=line):
        PointSettings(**{"sigma": 2.0, **change})
