"""Keypoints read from heatmaps, against the softmax written out."""

import pytest
import torch

from samepoint.correspondence.heatmaps import KeypointMaps, estimate_keypoints, interpolated
from samepoint.types import CellMap

CELLS = CellMap((8.0, 8.0), (3.5, 3.5))


def maps(generator, n=3, scale=3.0):
    logits = scale * torch.randn(2, n, 6, 8, generator=generator, dtype=torch.float64)
    depth = 0.5 + torch.rand(2, n, 6, 8, generator=generator, dtype=torch.float64)
    return KeypointMaps(logits.requires_grad_(), depth.requires_grad_(), CELLS, (48, 64), 100.0)


def written_out(maps, mask):
    """Keypoint by keypoint and pixel by pixel, over maps of the image's size."""
    height, width = maps.logits.shape[2:]
    v, u = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    rows = []
    for logits, depth, inside in zip(maps.logits.flatten(0, 1), maps.depth.flatten(0, 1), mask, strict=True):
        p = logits.exp() / logits.exp().sum()
        mean = (p * u).sum(), (p * v).sum()
        spread = (p * ((u - mean[0]) ** 2 + (v - mean[1]) ** 2)).sum()
        rows.append(torch.stack((*mean, (p * depth).sum(), spread, (p * inside).sum())))
    return torch.stack(rows)


def test_equals_the_softmax_over_the_interpolated_maps_with_gradients(generator):
    given = maps(generator)
    mask = (torch.rand(2, 48, 64, generator=generator, dtype=torch.float64) > 0.5).double()
    found = estimate_keypoints(given, mask)
    flat = torch.cat((found.uv, found.z[..., None], found.spread[..., None], found.on_mask[..., None]), -1)
    gradients = torch.autograd.grad(flat.square().sum(), (given.logits, given.depth), retain_graph=True)
    whole = interpolated(given)
    assert whole.logits.shape == (2, 3, 48, 64)
    twin = written_out(whole, mask.repeat_interleave(3, 0))
    torch.testing.assert_close(flat.flatten(0, 1), twin)
    expected = torch.autograd.grad(twin.square().sum(), (given.logits, given.depth))
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("resolution", ["image", "cells"])
def test_a_sharp_heatmap_gives_its_cell_and_depth(resolution):
    logits = torch.full((1, 1, 6, 8), -60.0)
    logits[0, 0, 2, 5] = 60.0
    depth = torch.full((1, 1, 6, 8), 9.0)
    depth[0, 0, 1:4, 4:7] = 0.7
    mask = torch.zeros(1, 48, 64)
    mask[0, 16:24, 40:48] = 1
    found = estimate_keypoints(KeypointMaps(logits, depth, CELLS, (48, 64), 100.0), mask, resolution)
    torch.testing.assert_close(found.uv[0, 0], torch.tensor([5 * 8 + 3.5, 2 * 8 + 3.5]), atol=0.6, rtol=0)
    assert abs(float(found.z) - 0.7) < 1e-3
    assert float(found.on_mask) > 0.99
    intrinsics = torch.tensor([[[100.0, 0, 31.5], [0, 100, 23.5], [0, 0, 1]]])
    torch.testing.assert_close(
        found.xyz(intrinsics)[0, 0], torch.tensor([0.12 * 0.7, -0.04 * 0.7, 0.7]), atol=0.005, rtol=0
    )


def test_cells_and_image_agree_on_a_broad_heatmap(generator):
    """A Gaussian several cells wide, in the middle: interpolation changes little."""
    v, u = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    logits = -((u - 7.3) ** 2 + (v - 5.8) ** 2) / (2 * 1.5**2)
    given = KeypointMaps(logits[None, None], torch.ones(1, 1, 12, 16), CELLS, (96, 128), 100.0)
    fine, coarse = (estimate_keypoints(given, None, resolution) for resolution in ("image", "cells"))
    torch.testing.assert_close(fine.uv, coarse.uv, atol=0.5, rtol=0)
    assert fine.on_mask is None
