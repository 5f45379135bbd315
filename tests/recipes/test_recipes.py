"""Each recipe, with each loss, on a small rendered data set: symmetric, finite, and it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from samepoint.data.augmentation import Augmentation
from samepoint.data.open import open_dataset
from samepoint.data.partners import PairMixture
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.pixels import pixel_grid
from samepoint.models import network_config
from samepoint.models.network import DescriptorNetwork
from samepoint.recipes.ccl import Ccl
from samepoint.recipes.don import Contrast, Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.types import CellMap, DescriptorMap, PairBatch

pytestmark = pytest.mark.slow

SMALL = network_config("lcnet_035", dim=8, width=16)
STILL = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SAMPLING = PairSampling(pairs=2, points=48)
LOSSES = ("kl", "expectation", "contrastive", "contrastive-printed", "nt-xent", "triplet")


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


@pytest.mark.parametrize("loss", ["kl", "expectation", "nt-xent"])
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


def places(batch):
    """A map of image B whose descriptors are the pixels themselves."""
    height, width = batch.image_b.shape[-2:]
    grid = pixel_grid((height, width)).permute(2, 0, 1).expand(len(batch.image_b), -1, -1, -1)
    return DescriptorMap(grid, CellMap((1.0, 1.0), (0.0, 0.0)), (height, width), "euclidean")


def test_without_masks_non_matches_are_blind(batch):
    """They lie anywhere but near their own match, on the object as often as its area has it."""
    bare = replace(batch, labels_a=None, labels_b=None, object=None)
    recipe = Don(loss="contrastive", contrast=Contrast(on_mask=30, on_background=20, cross_object=7))
    (group,) = recipe._groups(places(bare), bare, torch.Generator().manual_seed(0))
    assert group.descriptors.shape[2] == 50
    assert torch.equal(group.valid, batch.valid[..., None].expand_as(group.valid))
    uv = group.descriptors[batch.valid]
    assert (uv - batch.uv_b[batch.valid][:, None]).norm(dim=-1).min() > recipe.contrast.exclusion
    image = batch.valid.nonzero()[:, 0]
    u, v = uv.round().long().unbind(-1)
    hits = (batch.labels_b[image[:, None], v, u] == batch.object[batch.valid][:, None]).float().mean()
    area = (batch.labels_b[image].flatten(1) == batch.object[batch.valid][:, None]).float().mean()
    assert 0.5 * area < hits < 1.2 * area


def test_with_masks_non_matches_are_of_each_kind(batch):
    recipe = Don(loss="contrastive", contrast=Contrast(on_mask=30, on_background=20, cross_object=7))
    groups = recipe._groups(places(batch), batch, torch.Generator().manual_seed(0))
    assert [group.descriptors.shape[2] for group in groups] == [30, 20, 7, 7]
    assert not groups.pop().valid.any()  # of pairs without a common object, which are not here
    own = batch.object[..., None]
    image = torch.arange(len(own))[:, None, None]
    for group, belongs in zip(
        groups,
        (lambda at, own: at == own, lambda at, own: at == 0, lambda at, own: (at != own) & (at > 0)),
        strict=True,
    ):
        u, v = group.descriptors.round().long().unbind(-1)
        assert group.valid.any()
        assert belongs(batch.labels_b[image, v, u], own)[group.valid].all()


@pytest.mark.parametrize("loss", ["kl", "expectation"])
def test_identical_view_back_propagates_to_every_parameter(store, loss):
    recipe, net = IdenticalView(loss=loss, network=SMALL, images=2, points=32), network()
    (stage,) = recipe.stages(store)
    batch = stage.parts[0].source.sample(torch.Generator().manual_seed(0))
    recipe.objective(net, batch, torch.Generator().manual_seed(0))["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("loss", ["cycle", "warpc", "pwarpc"])
@pytest.mark.parametrize("identical", [0.0, 0.1])
def test_the_cycle_back_propagates_to_every_parameter(store, loss, identical):
    recipe = Ccl(loss=loss, network=SMALL, images=3, points=32, identical_weight=identical)
    net = network()
    for stage in recipe.stages(store):
        net.zero_grad(set_to_none=True)
        part = stage.parts[0]
        batch = part.source.sample(torch.Generator().manual_seed(0))
        terms = part.objective(net, batch, torch.Generator().manual_seed(0))
        terms["loss"].backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    assert ("identical" in terms) == (identical > 0)


def test_ccl_begins_with_identical_view_unless_it_goes_on_from_a_run(store):
    recipe = Ccl(network=SMALL, first_stage=0.25)
    assert [(stage.name, stage.share) for stage in recipe.stages(store)] == [
        ("identical-view", 0.25),
        ("cycle", 0.75),
    ]
    assert [stage.name for stage in recipe.stages(store, from_run=True)] == ["cycle"]
    assert [stage.name for stage in replace(recipe, first_stage=0.0).stages(store)] == ["cycle"]


def test_a_cycle_without_another_image_is_refused(store):
    with pytest.raises(DataError, match=r"another image.*--images 2"):
        Ccl(network=SMALL, images=1).stages(store)


def test_the_cycle_lowers_itself(store):
    """On one batch of images, whose objects recur: the cycle closes better after some steps."""
    recipe = Ccl(
        network=SMALL, images=3, points=64, augmentation=STILL, first_stage=0.0, identical_weight=0.0
    )
    batch = recipe.stages(store)[0].parts[0].source.sample(torch.Generator().manual_seed(1))
    net = network()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    errors = []
    for _ in range(15):
        terms = recipe.objective(net, batch, torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        errors.append(terms["cycle_error"].item())
    assert errors[-1] < 0.8 * errors[0]


def test_pairs_without_a_match_are_refused_where_they_teach_nothing(store):
    sampling = PairSampling(mixture=PairMixture(robot_only=0.5))
    with pytest.raises(DataError, match=r"kl learns nothing.*--loss contrastive"):
        Don(sampling=sampling).stages(store)
    assert Don(sampling=sampling, loss="contrastive").stages(store)


def test_pairs_of_different_objects_push_apart(store):
    """With nothing but unrelated pairs there is a loss, and it falls."""
    mixture = PairMixture(within=0.0, across=0.0, different=1.0)
    source = PairSource(store, replace(SAMPLING, pairs=4, mixture=mixture))
    batch = source.sample(torch.Generator().manual_seed(3))
    recipe = Don(loss="contrastive", augmentation=STILL, contrast=Contrast(on_mask=0, on_background=0))
    only = replace(batch, valid=torch.zeros_like(batch.valid))
    net = network(replace(SMALL, normalise=False))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    values = []
    for _ in range(10):
        terms = recipe.objective(net, only, torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        values.append(terms["loss"].item())
    assert only.unmatched.any()
    assert values[-1] < 0.7 * values[0]


def test_distances_over_the_root_of_the_dimension(batch):
    """Seed 004's form is the plain one with squared distances and hinged distances divided by sqrt(D)."""
    net = network(replace(SMALL, normalise=False))
    plain, scaled = (
        Don(
            loss="contrastive", augmentation=STILL, network=SMALL, contrast=Contrast(by_root_dim=root)
        ).objective(net, batch, torch.Generator().manual_seed(0))["match"]
        for root in (False, True)
    )
    torch.testing.assert_close(plain / SMALL.dim**0.5, scaled)
