import pytest
import torch
import torch.nn.functional as F

from samepoint.correspondence.confidence import mass_near
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import cell_scores, score_maps, scores_at
from samepoint.correspondence.upsampling import cell_norms, gram_maps
from samepoint.errors import ModelError
from samepoint.geometry.pixels import cell_centres, pixel_grid, resize_pixels
from samepoint.types import CellMap, DescriptorMap

METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])
CELLS = [((4.0, 4.0), (1.5, 1.5)), ((8.0, 8.0), (0.0, 0.0)), ((5.0, 3.0), (2.5, -0.5))]


def _random(generator, metric, cells=CELLS[0], dim=16, size=(5, 6), image=(21, 26), dtype=torch.float64):
    queries = torch.randn(2, 4, dim, generator=generator, dtype=torch.float64)
    values = torch.randn(2, dim, *size, generator=generator, dtype=torch.float64)
    if metric == "cosine":
        queries, values = F.normalize(queries, dim=-1), F.normalize(values, dim=1)
    return queries.to(dtype), DescriptorMap(values.to(dtype), CellMap(*cells), image, metric)


def _with(map, values):
    return DescriptorMap(values, map.cells, map.image_size, map.metric)


def _everywhere(queries, map, size):
    """The twin: the descriptor at every pixel, then its score."""
    uv = resize_pixels(pixel_grid(size, dtype=torch.float64).flatten(0, 1), size, map.image_size)
    descriptors = sample_descriptors(map, uv.expand(len(queries), -1, -1).to(map.values.dtype))
    if map.metric == "cosine":
        scores = queries @ descriptors.transpose(1, 2)
    else:
        scores = -(queries[:, :, None] - descriptors[:, None]).square().sum(-1)
    return scores.unflatten(2, size)


@METRICS
@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("size", [None, (21, 26), (42, 30), (7, 9)])
def test_values_and_gradients_equal_the_twin(generator, metric, cells, size):
    queries, map = _random(generator, metric, cells)
    inputs = (queries.requires_grad_(), map.values.requires_grad_())
    fast, slow = score_maps(queries, map, size), _everywhere(queries, map, size or map.image_size)
    torch.testing.assert_close(fast, slow, atol=1e-9, rtol=1e-9)
    weight = torch.randn(slow.shape, generator=generator, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((fast * weight).sum(), inputs),
        torch.autograd.grad((slow * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-8)


@METRICS
@pytest.mark.parametrize("map_size", [(1, 1), (1, 5), (4, 1), (2, 2)])
def test_tiny_maps(generator, metric, map_size):
    queries, map = _random(generator, metric, size=map_size)
    torch.testing.assert_close(score_maps(queries, map), _everywhere(queries, map, (21, 26)))
    assert score_maps(queries[:, :0], map).shape == (2, 0, 21, 26)


@METRICS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision(generator, metric, dtype):
    queries, map = _random(generator, metric, dim=64, size=(12, 16), image=(48, 64), dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = score_maps(queries, map)
    exact = _everywhere(queries.double(), _with(map, map.values.double()), (48, 64))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=1e-5)


def test_a_point_between_cells_is_found_there(generator):
    """The interpolated dot product alone would have its maximum at a cell centre."""
    _, map = _random(generator, "cosine", size=(3, 9), image=(12, 36))
    values = F.interpolate(map.values[..., ::4], (3, 9), mode="bilinear", align_corners=True)
    map = _with(map, F.normalize(values, dim=1))
    uv = torch.tensor([[[15.0, 6.0]]]).double().expand(2, 1, 2)
    query = sample_descriptors(map, uv)
    maps = score_maps(query, map)
    assert (maps.flatten(2).argmax(-1) == 6 * 36 + 15).all()
    torch.testing.assert_close(maps.amax((2, 3)), torch.ones(2, 1).double())


@METRICS
def test_cell_scores_are_the_scores_at_cell_centres(generator, metric):
    queries, map = _random(generator, metric)
    centres = cell_centres(map.cells, (5, 6), dtype=torch.float64).flatten(0, 1).expand(2, 4, -1, -1)
    torch.testing.assert_close(cell_scores(queries, map).flatten(2), scores_at(queries, map, centres))
    torch.testing.assert_close(
        scores_at(queries, map, pixel_grid((21, 26)).double().flatten(0, 1).expand(2, 4, -1, -1)),
        score_maps(queries, map).flatten(2),
    )


def test_descriptors_that_cancel_have_a_finite_score():
    values = torch.tensor([[1.0, -1.0], [0.0, 0.0]])[None, :, None]
    map = DescriptorMap(values, CellMap((2.0, 2.0), (0.0, 0.0)), (1, 3))
    scores = score_maps(torch.tensor([[[1.0, 0.0]]]), map)
    torch.testing.assert_close(scores, torch.tensor([[[[1.0, 0.0, -1.0]]]]))


def test_mass_near_equals_the_dense_sum(generator):
    queries, map = _random(generator, "cosine")
    uv = torch.rand(2, 4, 2, generator=generator, dtype=torch.float64) * 20
    p = (cell_scores(queries, map) / 0.2).flatten(2).softmax(-1)
    centres = cell_centres(map.cells, (5, 6), dtype=torch.float64).flatten(0, 1)
    near = (uv[:, :, None] - centres).square().sum(-1) <= 6.0**2
    torch.testing.assert_close(mass_near(queries, map, uv, 6.0, 0.2), (p * near).sum(-1))
    torch.testing.assert_close(mass_near(queries, map, uv, 1e3, 0.2), torch.ones(2, 4).double())
    assert mass_near(queries[:, :0], map, uv[:, :0], 6.0, 0.2).shape == (2, 0)
    half = _with(map, map.values.bfloat16())
    assert mass_near(queries.bfloat16(), half, uv, 6.0, 0.2).dtype == torch.float32
    with pytest.raises(ValueError, match="radius"):
        mass_near(queries, map, uv, 0.0, 0.2)


def test_queries_of_another_network_are_refused(generator):
    queries, map = _random(generator, "cosine")
    for call in (score_maps, cell_scores):
        with pytest.raises(ModelError, match="dimensions"):
            call(queries[..., :2], map)


def test_gram_maps_are_the_products_of_neighbours_whatever_the_strips(generator, monkeypatch):
    values = torch.randn(2, 3, 7, 5, generator=generator, dtype=torch.float64)
    whole = gram_maps(values)
    torch.testing.assert_close(cell_norms(whole), values.square().sum(1))
    torch.testing.assert_close(whole[1, 0, 1, 4, 2], values[1, :, 4, 2] @ values[1, :, 4, 3])
    torch.testing.assert_close(whole[1, 1, 0, 4, 2], values[1, :, 4, 2] @ values[1, :, 5, 2])
    monkeypatch.setattr("samepoint.correspondence.upsampling.STRIP_ELEMENTS", 2 * 3 * 5 * 2)
    torch.testing.assert_close(gram_maps(values), whole)
