"""A network as a predictor: points through resized images, ranking of right answers, one pass an image."""

import math

import pytest
import torch

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import score_maps
from samepoint.evaluation import frozen
from samepoint.evaluation.frozen import frozen_backbones
from samepoint.evaluation.network_predictor import (
    NetworkPredictor,
    closer_fractions,
    run_max_size,
    run_predictor,
    untrained_predictor,
)
from samepoint.geometry.pixels import cell_centres, resize_pixels
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.models.weights import save_network
from samepoint.types import CellMap, DescriptorMap


class PlaceNetwork:
    """A network whose descriptor says where in the picture a cell lies: right answers are the same place."""

    def __init__(self, stride=4):
        self.stride, self.seen = stride, []

    def __call__(self, image):
        size = tuple(image.shape[2:])
        self.seen.append(size)
        cells = CellMap((float(self.stride), float(self.stride)), (1.5, 1.5))
        shape = tuple(-(-side // self.stride) for side in size)
        place = cell_centres(cells, shape) / torch.tensor([size[1], size[0]])
        values = torch.cat((place, torch.ones_like(place[..., :1])), -1).permute(2, 0, 1)[None]
        return DescriptorMap(values, cells, size, "euclidean")


def noise(height, width, seed):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def test_points_go_through_resized_images_of_different_sizes():
    network = PlaceNetwork()
    predictor = NetworkPredictor(network, max_size=64)
    a, b = noise(96, 128, 1), noise(240, 320, 2)
    uv = torch.tensor([[30.0, 40.0], [64.5, 48.0], [100.0, 70.0]])
    found = predictor.predict(a, uv, b)
    assert network.seen == [(48, 64), (48, 64)]
    torch.testing.assert_close(found.uv_b, resize_pixels(uv, (96, 128), (240, 320)), atol=1.0, rtol=0)
    assert found.uv_b.dtype == uv.dtype
    assert found.confidence.shape == (3,)


def test_small_images_are_not_enlarged():
    network = PlaceNetwork()
    NetworkPredictor(network, max_size=64).predict(noise(32, 40, 1), torch.zeros(1, 2), noise(32, 40, 2))
    assert network.seen == [(32, 40), (32, 40)]


def test_every_image_is_embedded_once():
    network = PlaceNetwork()
    predictor = NetworkPredictor(network, max_size=None)
    a, b = noise(16, 24, 1), noise(16, 24, 2)
    for _ in range(3):
        predictor.predict(a.clone(), torch.zeros(2, 2), b.clone())
    predictor.predict(b, torch.zeros(2, 2), a)
    assert len(network.seen) == 2


def test_no_queries():
    found = NetworkPredictor(PlaceNetwork()).predict(noise(16, 24, 1), torch.zeros(0, 2), noise(16, 24, 2))
    assert found.uv_b.shape == (0, 2)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_closer_fraction_equals_counting_pixels(generator, metric, monkeypatch):
    values = torch.randn(2, 5, 6, 7, generator=generator, dtype=torch.float64)
    if metric == "cosine":
        values = torch.nn.functional.normalize(values, dim=1)
    map = DescriptorMap(values, CellMap((4.0, 4.0), (1.5, 1.5)), (22, 27), metric)
    queries = torch.randn(2, 9, 5, generator=generator, dtype=torch.float64)
    uv = torch.rand(2, 9, 2, generator=generator, dtype=torch.float64) * 20
    monkeypatch.setattr("samepoint.evaluation.network_predictor.CHUNK_NUMBERS", 2500)
    fast = closer_fractions(queries, map, uv)
    scores, own = score_maps(queries, map), sample_descriptors(map, uv)
    for b in range(2):
        for n in range(9):
            true = (
                -(queries[b, n] - own[b, n]).square().sum()
                if metric == "euclidean"
                else queries[b, n] @ own[b, n]
            )
            count = sum(
                float(x) > float(true) + 1e-5 * max(1.0, abs(float(true))) for x in scores[b, n].flatten()
            )
            assert float(fast[b, n]) == pytest.approx(count / (22 * 27), abs=1e-9)


def test_closer_fraction_of_a_perfect_network_and_of_masks():
    predictor = NetworkPredictor(PlaceNetwork(), max_size=None)
    a, b = noise(40, 48, 1), noise(40, 48, 2)
    uv = torch.tensor([[20.0, 17.0], [33.0, 9.0]])
    assert float(predictor.closer_fractions(a, uv, b, uv).max()) < 0.01
    far = uv + 12
    everywhere = predictor.closer_fractions(a, uv, b, far)
    assert float(everywhere.min()) > 0.1
    mask = torch.zeros(40, 48, dtype=torch.bool)
    mask[30:, 40:] = True
    assert float(predictor.closer_fractions(a, uv, b, far, mask)[0]) < float(everywhere[0])
    nothing = predictor.closer_fractions(a, uv, b, torch.full_like(uv, math.nan))
    assert nothing.isnan().all()


def test_random_descriptors_rank_in_the_middle(generator):
    values = torch.nn.functional.normalize(torch.randn(1, 16, 30, 30, generator=generator), dim=1)
    map = DescriptorMap(values, CellMap((1.0, 1.0), (0.0, 0.0)), (30, 30))
    queries = torch.nn.functional.normalize(torch.randn(1, 300, 16, generator=generator), dim=-1)
    uv = torch.randint(30, (1, 300, 2), generator=generator).float()
    assert float(closer_fractions(queries, map, uv).mean()) == pytest.approx(0.5, abs=0.06)


def test_a_run_and_its_untrained_twin(tmp_path):
    network = DescriptorNetwork(NetworkConfig(dim=8), generator=torch.Generator().manual_seed(1))
    save_network(tmp_path, network, {"max_size": 64, "method": "don"})
    run = run_predictor(tmp_path)
    untrained = untrained_predictor({"network": network.config.to_json(), "max_size": 64}, torch.Generator())
    a, b, uv = noise(64, 80, 1), noise(64, 80, 2), torch.rand(5, 2) * 60
    assert run.max_size == untrained.max_size == 64
    assert (run.name, untrained.name) == ("trained", "untrained")
    assert run.predict(a, uv, b).uv_b.shape == untrained.predict(a, uv, b).uv_b.shape == (5, 2)
    again = untrained_predictor({"network": network.config.to_json(), "max_size": 64}, torch.Generator())
    assert torch.equal(again.predict(a, uv, b).uv_b, untrained.predict(a, uv, b).uv_b)


def test_a_run_without_any_size_uses_the_finders_default():
    assert run_max_size({}) == 320
    assert run_max_size({"max_size": None}) is None


def test_backbones_without_weights_are_unavailable_and_say_why(monkeypatch, tmp_path):
    monkeypatch.setattr(frozen, "cached_locally", lambda name: False)
    rows = frozen_backbones(weights={"dinov3": tmp_path / "missing.safetensors"})
    assert set(rows) == {"dinov2", "dinov3"}
    for reason in rows.values():
        assert isinstance(reason, str)
        assert reason.startswith("unavailable: ")


def test_a_backbone_with_weights_is_a_predictor(tmp_path):
    network = DescriptorNetwork(NetworkConfig("resnet10t", "linear", dim=4))
    save_network(tmp_path, network)
    rows = frozen_backbones({"small": "resnet10t"}, weights={"small": tmp_path}, max_size=64)
    predictor = rows["small"]
    assert not isinstance(predictor, str)
    embedded = predictor.embed(noise(64, 64, 1))
    assert embedded.map.values.shape[1] == network.backbone.channels[-1]
    torch.testing.assert_close(embedded.map.values.norm(dim=1), torch.ones(1, 8, 8))
