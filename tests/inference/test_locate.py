import pytest
import torch

from samepoint.correspondence.scores import score_maps
from samepoint.geometry.pixels import cell_centres, pixel_grid
from samepoint.inference.locate import locate, mass_near, relative_likelihood, windowed_expectation
from samepoint.types import CellMap, DescriptorMap


def random_map(generator: torch.Generator, batch: int = 2, metric: str = "cosine") -> DescriptorMap:
    """Smooth random descriptors with a well-defined best place for most queries."""
    coarse = torch.randn(batch, 6, 4, 5, generator=generator)
    values = torch.nn.functional.interpolate(coarse, size=(12, 16), mode="bicubic")
    if metric == "cosine":
        values = torch.nn.functional.normalize(values, dim=1)
    return DescriptorMap(values, CellMap((4.0, 4.0), (1.5, 1.5)), (48, 64), metric)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_located_agrees_with_full_score_maps(generator: torch.Generator, metric: str) -> None:
    map = random_map(generator, metric=metric)
    queries = map.values[:, :, 2:10:3, 3:13:4].flatten(2).transpose(1, 2)
    found = locate(queries, map, 0.05)
    scores = score_maps(queries, map)
    best, where = scores.flatten(2).max(dim=2)
    assert torch.allclose(found.score, best, atol=1e-5)
    mode = torch.stack((where % 64, where // 64), dim=-1).float()
    assert found.distribution.mode is not None
    assert torch.allclose(found.distribution.mode, mode)
    assert ((found.uv - mode).abs() <= 1).all()
    assert (found.distribution.variance >= 0).all()
    assert ((found.mass >= 0) & (found.mass <= 1)).all()


def test_the_mass_is_the_plain_sum_near_the_place(generator: torch.Generator) -> None:
    map = random_map(generator, batch=1)
    queries = torch.nn.functional.normalize(torch.randn(1, 3, 6, generator=generator), dim=-1)
    uv = torch.tensor([[[20.0, 20.0], [0.0, 0.0], [63.0, 40.0]]])
    found = mass_near(queries, map, uv, 0.1)
    centres = cell_centres(map.cells, (12, 16))
    for i in range(3):
        p = torch.softmax((torch.einsum("d,dhw->hw", queries[0, i], map.values[0]) / 0.1).flatten(), 0)
        near = ((centres - uv[0, i]).norm(dim=-1) <= 6.0).flatten()  # 1.5 cells: more than 3 % of 80 pixels
        assert found[0, i].item() == pytest.approx(float(p[near].sum()), abs=1e-6)


def test_a_lone_peak_has_mass_and_a_repeated_one_shares_it() -> None:
    values = torch.zeros(1, 2, 12, 16)
    values[:, 0] = 1
    values[0, :, 3, 3] = torch.tensor([0.0, 1.0])
    query = torch.tensor([[[0.0, 1.0]]])
    cells = CellMap((4.0, 4.0), (1.5, 1.5))
    one = locate(query, DescriptorMap(values.clone(), cells, (48, 64)), 0.05)
    values[0, :, 9, 12] = torch.tensor([0.0, 1.0])
    two = locate(query, DescriptorMap(values, cells, (48, 64)), 0.05)
    assert one.mass.item() > 0.99
    assert two.mass.item() == pytest.approx(0.5, abs=0.01)
    assert torch.allclose(one.uv, torch.tensor([13.5, 13.5]), atol=0.05)


def test_the_window_is_moved_to_the_peak_and_not_drawn_to_the_images_centre() -> None:
    uv = cell_centres(CellMap((4.0, 4.0), (1.5, 1.5)), (12, 16)) / 64
    values = torch.stack((uv[..., 0], uv[..., 1]))[None]
    map = DescriptorMap(values, CellMap((4.0, 4.0), (1.5, 1.5)), (48, 64), "euclidean")
    true = torch.tensor([[[11.3, 37.8], [50.9, 6.2]]])
    mean, _ = windowed_expectation(true / 64, map, true.round())
    assert torch.allclose(mean, true, atol=0.01)


def test_a_flat_image_leaves_the_mode_where_it_is() -> None:
    map = DescriptorMap(torch.ones(1, 1, 6, 8), CellMap((4.0, 4.0), (1.5, 1.5)), (24, 32))
    mode = torch.tensor([[[12.0, 9.0]]])
    mean, variance = windowed_expectation(torch.ones(1, 1, 1), map, mode)
    assert torch.allclose(mean, mode, atol=1e-4)
    assert torch.isfinite(variance).all()


def test_no_queries_and_half_precision(generator: torch.Generator) -> None:
    map = random_map(generator, batch=1)
    empty = locate(torch.zeros(1, 0, 6), map, 0.05)
    assert empty.uv.shape == (1, 0, 2)
    assert empty.mass.shape == (1, 0)
    for dtype in (torch.bfloat16, torch.float16):
        half = DescriptorMap(map.values.to(dtype), map.cells, map.image_size)
        found = locate(map.values[:, :, 5, 6][:, None].to(dtype), half, 0.05)
        assert ((found.uv - torch.tensor([25.5, 21.5])).abs() < 2).all()


def test_the_likelihood_is_one_at_the_best_pixel() -> None:
    scores = -(pixel_grid((5, 7)) - torch.tensor([2.0, 3.0])).square().sum(-1)
    heat = relative_likelihood(scores, 2.0)
    assert heat.max() == 1
    assert heat[3, 2] == 1
    assert heat[3, 4].item() == pytest.approx(torch.tensor(-2.0).exp().item())
