"""The divergence of heatmaps against a double loop, and what must hold whatever the numbers."""

import math

import pytest
import torch

from samepoint.geometry.pixels import cell_centres
from samepoint.objectives.heatmaps import heatmap_divergence
from samepoint.types import CellMap

CELLS = CellMap((2.0, 2.0), (0.5, 0.5))
SIZE, SIGMA = (24, 20), 3.0


def random_heatmaps(generator, batch=2, n=3):
    return torch.randn(batch, n, *SIZE, generator=generator, dtype=torch.float64) * 2


def slow_divergence(logits, uv, valid, sigma, reach=3.0):
    """Sum over cells of q log(q / p), cell by cell; q cut off where the fast one cuts it off."""
    centres, total, count = cell_centres(CELLS, SIZE, dtype=torch.float64), 0.0, 0
    for b in range(len(logits)):
        for k in range(logits.shape[1]):
            if not valid[b, k]:
                continue
            p = (logits[b, k] - logits[b, k].logsumexp((0, 1))).exp()
            nearest = [round((float(uv[b, k, a]) - CELLS.offset[a]) / CELLS.stride[a]) for a in (0, 1)]
            radius = max(1, math.ceil(reach * sigma / 2 - 0.5))
            q = torch.zeros(SIZE, dtype=torch.float64)
            for row in range(SIZE[0]):
                for column in range(SIZE[1]):
                    if abs(row - nearest[1]) <= radius and abs(column - nearest[0]) <= radius:
                        square = (centres[row, column] - uv[b, k]).square().sum()
                        q[row, column] = torch.exp(-square / (2 * sigma**2))
            q = q / q.sum()
            total = total + sum(
                q[i, j] * (q[i, j].log() - p[i, j].log())
                for i in range(SIZE[0])
                for j in range(SIZE[1])
                if q[i, j] > 0
            )
            count += 1
    return total / count


def test_values_and_gradients_are_those_of_the_double_loop(generator):
    logits = random_heatmaps(generator).requires_grad_()
    uv = torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) * 20 + 9
    valid = torch.tensor([[True, False, True], [True, True, True]])
    fast = heatmap_divergence(logits, CELLS, uv, valid, SIGMA)
    slow = slow_divergence(logits, uv, valid, SIGMA)
    torch.testing.assert_close(fast, slow)
    mine, theirs = (torch.autograd.grad(value, logits)[0] for value in (fast, slow))
    torch.testing.assert_close(mine, theirs)
    assert (mine[0, 1] == 0).all()


def test_it_is_zero_where_the_heatmap_is_the_target_and_above_zero_elsewhere(generator):
    uv = torch.tensor([[[15.3, 20.9]]], dtype=torch.float64)
    square = (cell_centres(CELLS, SIZE, dtype=torch.float64) - uv[0, 0]).square().sum(-1)
    right = (-square / (2 * SIGMA**2))[None, None]
    valid = torch.ones(1, 1, dtype=torch.bool)
    assert float(heatmap_divergence(right, CELLS, uv, valid, SIGMA)) < 0.02  # the target ends at 3 sigma
    for other in (right * 0.5, right * 2, right.roll(2, -1), torch.zeros_like(right)):
        assert float(heatmap_divergence(other, CELLS, uv, valid, SIGMA)) > 0.05


def test_adding_a_constant_to_a_heatmap_changes_nothing(generator):
    logits, uv = random_heatmaps(generator), torch.full((2, 3, 2), 12.0, dtype=torch.float64)
    valid = torch.ones(2, 3, dtype=torch.bool)
    a = heatmap_divergence(logits, CELLS, uv, valid, SIGMA)
    torch.testing.assert_close(a, heatmap_divergence(logits + 7, CELLS, uv, valid, SIGMA))


def test_no_valid_heatmap_gives_zero_and_still_back_propagates(generator):
    logits = random_heatmaps(generator).requires_grad_()
    uv, valid = torch.full((2, 3, 2), torch.nan, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.bool)
    loss = heatmap_divergence(logits, CELLS, uv, valid, SIGMA)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_points_that_are_not_known_leave_the_others_alone(generator):
    logits = random_heatmaps(generator).requires_grad_()
    uv = torch.full((2, 3, 2), 12.0, dtype=torch.float64)
    uv[0, 1] = torch.nan
    valid = uv.isfinite().all(-1)
    loss = heatmap_divergence(logits, CELLS, uv, valid, SIGMA)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near_single_precision(generator, dtype):
    logits = random_heatmaps(generator).float()
    uv, valid = torch.full((2, 3, 2), 12.0), torch.ones(2, 3, dtype=torch.bool)
    full = heatmap_divergence(logits, CELLS, uv, valid, SIGMA)
    half = heatmap_divergence(logits.to(dtype), CELLS, uv, valid, SIGMA)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.02, atol=0.02)
