import json

import pytest

from samepoint.errors import ModelError
from samepoint.models import NETWORKS, NetworkConfig, network_config


@pytest.mark.parametrize("name", NETWORKS)
def test_json_round_trip(name):
    config = NETWORKS[name]
    assert NetworkConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_from_json_refuses_what_it_does_not_know():
    good = NetworkConfig().to_json()
    with pytest.raises(ModelError, match=r"colour.*backbone, head"):
        NetworkConfig.from_json({**good, "colour": 1})
    with pytest.raises(ModelError, match="version 99"):
        NetworkConfig.from_json({**good, "version": 99})
    with pytest.raises(ModelError, match="no backbone"):
        NetworkConfig.from_json({"version": 1})


@pytest.mark.parametrize("bad", [{"dim": 0}, {"width": -1}, {"stride": 0}, {"levels": 0}])
def test_bad_values(bad):
    with pytest.raises(ModelError, match=next(iter(bad))):
        NetworkConfig(**bad)


def test_short_names_and_timm_names():
    assert network_config("resnet34-8s", dim=3) == NetworkConfig("resnet34", "linear", dim=3, stride=8)
    assert network_config("lcnet_050") == NetworkConfig("lcnet_050", "pyramid", levels=None)
    assert NetworkConfig(normalise=False).metric == "euclidean"
