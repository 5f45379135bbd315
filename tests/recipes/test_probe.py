"""The measure of a descriptor network: the same questions every time, true ones where there is geometry."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.held_out import hold_out
from samepoint.data.open import open_dataset
from samepoint.data.store import FrameStore
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.recipes.probe import CYCLES, WARPS, DescriptorProbe, Question

SMALL = NetworkConfig(backbone="resnet10t", dim=8, width=8, levels=2)


@pytest.fixture(scope="module")
def network():
    return DescriptorNetwork(SMALL, generator=torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for i in range(5):
        small = Image.fromarray(noise.integers(0, 255, (9, 12, 3), dtype=np.uint8))
        small.resize((64 - 8 * (i == 2), 48)).save(folder / f"{i}.png")
    return folder


def probe_of(folder):
    parts = hold_out(open_dataset(folder))
    return DescriptorProbe(FrameStore(parts.held_out, max_size=64), FrameStore(parts.training, max_size=64))


def test_a_point_of_the_same_image_is_found_and_a_wrong_answer_is_not(network):
    image = torch.rand(3, 32, 40, generator=torch.Generator().manual_seed(1))
    uv = torch.tensor([[4.0, 8.0], [20.0, 12.0], [33.0, 27.0]])
    assert Question(image, image, uv, uv[:, None]).score(network) == 1.0
    assert Question(image, image, uv, uv[:, None], by_way=image).score(network) == 1.0
    assert Question(image, image, uv, (uv + 15)[:, None]).score(network) == 0.0
    unknown = torch.full_like(uv, torch.nan)
    assert Question(image, image, uv, torch.stack((unknown, uv), 1)).score(network) == 1.0


def test_photos_are_asked_by_warps_and_by_way_of_others(network, photos):
    probe = probe_of(photos)
    first = probe(network)
    assert {kind: len(scores) for kind, scores in first.items()} == {"warps": WARPS, "cycles": CYCLES}
    assert all(0 <= score <= 1 for scores in first.values() for score in scores)
    assert sum(first["warps"]) > 0
    again = pickle.loads(pickle.dumps(probe))
    assert again(network) == first
    ways = {question.by_way.sum().item() for question in probe.questions["cycles"]}
    assert len(ways) == 4  # all that are trained on


def test_geometry_gives_true_pairs(network, rendered):
    scores = probe_of(rendered)(network)
    assert list(scores) == ["true pairs"]
    assert len(scores["true pairs"]) > 4
