import pytest
import torch
import torch.nn.functional as F

from samepoint.correspondence.partition import log_partition
from samepoint.correspondence.scores import cell_scores
from samepoint.correspondence.targets import expected_score, gaussian_window
from samepoint.geometry.pixels import cell_centres
from samepoint.types import CellMap, DescriptorMap


def _random(generator, metric, n=8, dim=5, size=(12, 16), batch=2):
    queries = torch.randn(batch, n, dim, generator=generator, dtype=torch.float64)
    values = torch.randn(batch, dim, *size, generator=generator, dtype=torch.float64)
    if metric == "cosine":
        queries, values = F.normalize(queries, dim=-1), F.normalize(values, dim=1)
    cells = CellMap((4.0, 5.0), (1.5, 0.0))
    return queries, DescriptorMap(values, cells, (size[0] * 5, size[1] * 4), metric)


def _dense(uv, map, sigma):
    """The whole Gaussian, over all cells."""
    size = (map.values.shape[2], map.values.shape[3])
    centres = cell_centres(map.cells, size, dtype=torch.float64).flatten(0, 1)
    return (-0.5 * (uv[:, :, None] - centres).square().sum(-1) / sigma**2).softmax(-1)


def _scatter(indices, weights, map):
    cells = map.values.shape[2] * map.values.shape[3]
    full = torch.zeros(*indices.shape[:2], cells, dtype=weights.dtype)
    return full.scatter_add(2, indices, weights)


POINTS = [[0.0, 0.0], [30.2, 31.0], [63.4, 59.0], [-0.4, 20.0], [17.0, 56.5], [90.0, 70.0]]


@pytest.mark.parametrize("sigma", [2.0, 4.0, 9.0])
def test_window_equals_the_dense_gaussian(generator, sigma):
    _, map = _random(generator, "cosine")
    uv = torch.tensor([POINTS, POINTS[::-1]], dtype=torch.float64)
    indices, weights = gaussian_window(uv, map, sigma)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert indices.min() >= 0
    assert indices.max() < 12 * 16
    torch.testing.assert_close(_scatter(indices, weights, map), _dense(uv, map, sigma), atol=6e-3, rtol=0)
    wide = gaussian_window(uv, map, sigma, radius=20)
    torch.testing.assert_close(_scatter(*wide, map), _dense(uv, map, sigma))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_cross_entropy_equals_the_dense_one(generator, metric):
    """Values and gradients of -sum q log p; the window is wide enough (5 sigma) not to be seen at 1e-4."""
    queries, map = _random(generator, metric)
    uv = torch.rand(2, 8, 2, generator=generator, dtype=torch.float64) * 60
    inputs = (queries.requires_grad_(), map.values.requires_grad_())
    indices, weights = gaussian_window(uv, map, 4.0, radius=5)
    fast = log_partition(queries, map, 0.2) - expected_score(queries, map, indices, weights) / 0.2
    log_p = (cell_scores(queries, map) / 0.2).flatten(2).log_softmax(-1)
    slow = -(_dense(uv, map, 4.0) * log_p).sum(-1)
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-5)
    for a, b in zip(
        torch.autograd.grad(fast.mean(), inputs), torch.autograd.grad(slow.mean(), inputs), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_three_sigma_window_is_nearly_the_dense_cross_entropy(generator):
    queries, map = _random(generator, "cosine")
    uv = torch.rand(2, 8, 2, generator=generator, dtype=torch.float64) * 60
    score = expected_score(queries, map, *gaussian_window(uv, map, 4.0))
    dense = (_dense(uv, map, 4.0) * cell_scores(queries, map).flatten(2)).sum(-1)
    torch.testing.assert_close(score, dense, atol=6e-3, rtol=0)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_expected_score_gradcheck_and_plain_sum(generator, metric):
    queries, map = _random(generator, metric, n=3, dim=3, size=(3, 4))
    indices = torch.randint(0, 12, (2, 3, 4), generator=generator)
    weights = torch.rand(2, 3, 4, generator=generator, dtype=torch.float64)

    def call(queries, values, weights):
        return expected_score(
            queries, DescriptorMap(values, map.cells, map.image_size, metric), indices, weights
        )

    plain = (cell_scores(queries, map).flatten(2).gather(2, indices) * weights).sum(-1)
    torch.testing.assert_close(call(queries, map.values, weights), plain)
    inputs = (queries.requires_grad_(), map.values.requires_grad_(), weights.requires_grad_())
    torch.autograd.gradcheck(call, inputs)


def test_convention_the_target_peaks_on_the_cell_under_the_pixel(generator):
    _, map = _random(generator, "cosine")
    uv = torch.tensor([[[1.5 + 4 * 3, 5.0 * 2]]] * 2)
    indices, weights = gaussian_window(uv, map, 2.0)
    best = indices.gather(2, weights.argmax(-1, keepdim=True))
    assert best.flatten().tolist() == [2 * 16 + 3] * 2


def test_empty_nan_single_cell_and_half(generator):
    queries, map = _random(generator, "cosine")
    indices, weights = gaussian_window(torch.zeros(2, 0, 2), map, 3.0)
    assert expected_score(queries[:, :0], map, indices, weights).shape == (2, 0)
    nan = torch.full((2, 1, 2), torch.nan)
    assert gaussian_window(nan, map, 3.0)[1].isfinite().all()
    one = DescriptorMap(map.values[:, :, :1, :1], map.cells, (5, 4))
    indices, weights = gaussian_window(torch.rand(2, 8, 2), one, 3.0)
    found = expected_score(queries, one, indices, weights.double())
    torch.testing.assert_close(found, cell_scores(queries, one)[:, :, 0, 0], atol=1e-6, rtol=0)
    half = DescriptorMap(map.values.bfloat16(), map.cells, map.image_size)
    indices, weights = gaussian_window(torch.rand(2, 8, 2) * 60, map, 4.0)
    found = expected_score(queries.bfloat16(), half, indices, weights)
    exact = DescriptorMap(half.values.double(), map.cells, map.image_size)
    truth = expected_score(queries.bfloat16().double(), exact, indices, weights.double())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), truth, atol=1e-5, rtol=0)


def test_bad_sigma_is_refused(generator):
    _, map = _random(generator, "cosine")
    with pytest.raises(ValueError, match="sigma"):
        gaussian_window(torch.zeros(2, 1, 2), map, 0.0)
