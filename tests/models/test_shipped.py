"""The network that comes with the package: written in half precision, taken where it fits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

import samepoint
from samepoint.errors import RunError
from samepoint.evaluation.network_predictor import run_predictor
from samepoint.models import NETWORKS, DescriptorNetwork, load_network
from samepoint.models import shipped as module
from samepoint.models.shipped import LIMIT, SMALL, fits_shipped, ship
from samepoint.workflows.training import initial

CONFIG = NETWORKS[SMALL]


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Where the weights would be; they are not there."""
    path = tmp_path / "small.safetensors"
    monkeypatch.setattr(module, "WEIGHTS", path)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def network(weights):
    made = DescriptorNetwork(CONFIG, generator=torch.Generator().manual_seed(3)).train()
    made(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))  # moves the running statistics
    config = {"method": "a test", "network": made.config.to_json(), "max_size": 320}
    assert ship(made, config, {"command": "a test"}) == weights
    return made.eval()


def test_shipped_weights_are_taken(network, weights):
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    loaded = DescriptorNetwork(CONFIG, init="pretrained").eval()
    with torch.no_grad():
        assert (network(image).values * loaded(image).values).sum(1).min() > 0.999
    assert weights.stat().st_size < LIMIT
    with safe_open(weights, "pt") as file:
        assert file.metadata()["command"] == "a test"
        assert file.get_tensor("head.out.weight").dtype == torch.float16
        assert file.get_tensor("backbone.net.bn1.running_var").dtype == torch.float32


def test_descriptors_of_another_length_begin_with_a_new_head(network):
    short = DescriptorNetwork(replace(CONFIG, dim=8), init="pretrained")
    own, shipped = (dict(net.backbone.named_parameters()) for net in (short, network))
    torch.testing.assert_close(own, shipped, rtol=1e-3, atol=1e-4)
    assert short.head.out.weight.shape[0] == 8


def test_auto_is_the_shipped_network_where_it_fits(network, weights):
    assert initial("auto", replace(CONFIG, dim=512)) == "pretrained"
    assert initial("auto", replace(CONFIG, backbone="resnet18")) == "random"
    assert initial("random", CONFIG) == "random"
    weights.unlink()
    assert not fits_shipped(CONFIG)
    assert initial("auto", CONFIG) == "random"


def test_the_shipped_network_is_a_run_without_a_folder(network, weights):
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    loaded, config = load_network(SMALL)
    loaded.half_precision = False
    with torch.no_grad():
        assert (network(image).values * loaded(image).values).sum(1).min() > 0.999
    assert config["method"] == "a test"
    assert run_predictor(SMALL).max_size == 320
    pixels = (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    samepoint.load(SMALL).remember("corner", pixels, uv=(20, 30))
    (hit,) = samepoint.load(SMALL).find(pixels).values()  # by way of a database in the current folder
    assert np.hypot(hit.uv[0] - 20, hit.uv[1] - 30) < 1
    assert (weights.parent / f"{SMALL}.sqlite").is_file()
    weights.unlink()
    with pytest.raises(RunError, match="no such run folder"):
        samepoint.load(SMALL)


def test_a_folder_of_its_name_goes_first(network, weights):
    (weights.parent / SMALL).mkdir()
    with pytest.raises(RunError, match="not a run"):
        load_network(SMALL)


def test_too_large_a_network_is_not_shipped(weights, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 1000)
    with pytest.raises(ValueError, match="more than 1000"):
        ship(DescriptorNetwork(CONFIG), {}, {})
    assert not weights.exists()
