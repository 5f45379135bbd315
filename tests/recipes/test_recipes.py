"""Each recipe, with each loss, on a small rendered data set: symmetric, finite, and it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from samepoint.data.augmentation import Augmentation
from samepoint.data.open import open_dataset
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.recipes.don import Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.types import PairBatch

pytestmark = pytest.mark.slow

SMALL = NetworkConfig(dim=8, width=16)
STILL = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SAMPLING = PairSampling(pairs=2, points=48)
LOSSES = ("kl", "expectation", "contrastive", "contrastive-printed")


@pytest.fixture(scope="module")
def store(rendered):
    return FrameStore(open_dataset(rendered).split("train"))


@pytest.fixture(scope="module")
def batch(store):
    return PairSource(store, SAMPLING).sample(torch.Generator().manual_seed(1))


def network(config=SMALL):
    return DescriptorNetwork(config, "random", torch.Generator().manual_seed(0))


def swapped(batch):
    return PairBatch(
        batch.image_b, batch.image_a, batch.uv_b, batch.uv_a, batch.valid, batch.object,
        batch.labels_b, batch.labels_a,
    )  # fmt: skip


@pytest.mark.parametrize("loss", ["kl", "expectation"])
def test_swapping_the_images_changes_nothing(batch, loss):
    recipe, net = Don(loss=loss, augmentation=STILL), network().eval()
    there, back = (
        recipe.objective(net, b, torch.Generator().manual_seed(0))["loss"] for b in (batch, swapped(batch))
    )
    torch.testing.assert_close(there, back, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalise", [True, False])
def test_every_loss_lowers_itself(batch, loss, normalise):
    recipe = Don(loss=loss, augmentation=STILL, temperature=0.1 if normalise else 1.0)
    net = network(replace(SMALL, normalise=normalise))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    values = []
    for _ in range(12):
        loss_value = recipe.objective(net, batch, torch.Generator().manual_seed(0))["loss"]
        optimizer.zero_grad()
        loss_value.backward()
        optimizer.step()
        values.append(loss_value.item())
    assert values[-1] < 0.8 * values[0]


def test_without_masks_non_matches_are_blind(batch):
    bare = replace(batch, labels_a=None, labels_b=None, object=None)
    terms = Don(loss="contrastive").objective(network(), bare, torch.Generator().manual_seed(0))
    assert torch.isfinite(terms["loss"])
    assert 0 <= terms["hard_fraction"] <= 1


@pytest.mark.parametrize("loss", ["kl", "expectation"])
def test_identical_view_back_propagates_to_every_parameter(store, loss):
    recipe, net = IdenticalView(loss=loss, network=SMALL, images=2, points=32), network()
    (stage,) = recipe.stages(store)
    batch = stage.parts[0].source.sample(torch.Generator().manual_seed(0))
    recipe.objective(net, batch, torch.Generator().manual_seed(0))["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
