"""From weights that were trained: what follows from them, and that nothing worse takes their place."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.cli.main import run
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.models.weights import load_network, read_config, save_network
from samepoint.workflows.reporting import kept_facts
from samepoint.workflows.starting import start_of

QUICK = ["--device", "cpu", "--size", "48", "--workers", "0"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for i in range(4):
        small = Image.fromarray(noise.integers(0, 255, (9, 12, 3), dtype=np.uint8))
        small.resize((48, 36)).save(folder / f"{i}.png")
    return folder


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_harmful_rate_is_told_and_the_run_is_the_start(photos, tmp_path, capsys):
    out = tmp_path / "run"
    budget = ["--steps", "4", "--lr", "1.0", "--images", "2"]
    assert run(["train", "identical-view", "--data", str(photos), "--out", str(out), *budget, *QUICK]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "kept the start: it finds" in line
    assert "1 image that it did not train on" in line
    assert same_weights(load_network(out)[0], DescriptorNetwork(NetworkConfig(), "pretrained"))
    kept = json.loads((out / "metrics.json").read_text())["kept"]
    assert kept["kept"] == "start"
    assert kept["line"] == line
    assert {row["name"] for row in kept["candidates"]} >= {"start", "end"}
    facts = kept_facts(out)["what was kept"]
    assert line in facts.values()
    assert "start, step 0" in facts
    config = read_config(out)
    assert config["training"]["lr"] == 1.0
    assert config["training"]["freeze_norm"]
    assert config["data"]["images"] == 3


def test_three_photos_are_all_trained_on_and_it_is_said(photos, tmp_path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    for i in range(3):
        (few / f"{i}.png").write_bytes((photos / f"{i}.png").read_bytes())
    out = tmp_path / "run"
    budget = ["--steps", "1", "--images", "2", "--init", "random"]
    assert run(["train", "ccl", "--data", str(few), "--out", str(out), *budget, *QUICK]) == 0
    assert "on images that it trains on" in capsys.readouterr().out
    training = read_config(out)["training"]
    assert (training["lr"], training["freeze_norm"]) == (3e-3, False)


def test_what_weights_are_to_a_network(tmp_path):
    small = NetworkConfig()
    assert start_of("random", small) == "random"
    assert start_of("pretrained", small) == "trained"
    assert start_of("pretrained", NetworkConfig(dim=16)) == "backbone"  # the head begins anew
    assert start_of("pretrained", NetworkConfig("resnet18")) == "backbone"
    tiny = NetworkConfig("resnet10t", dim=4, width=4, levels=2)
    save_network(tmp_path / "run", DescriptorNetwork(tiny))
    assert start_of(str(tmp_path / "run"), tiny) == "trained"
    assert start_of(str(tmp_path / "run"), NetworkConfig("resnet10t", dim=5, width=4, levels=2)) == "backbone"
    assert start_of(str(tmp_path / "weights.safetensors"), tiny) == "backbone"
