"""Dense Object Nets on objects of one colour whose symmetry is declared."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.data.symmetric import CYLINDER, PRISM, write_data

from samepoint.data.augmentation import Augmentation
from samepoint.data.open import open_dataset
from samepoint.data.partners import PairMixture
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.models import network_config
from samepoint.models.network import DescriptorNetwork
from samepoint.recipes.don import Contrast, Don
from samepoint.recipes.pairs import distributional
from samepoint.types import CellMap, DescriptorMap, PairBatch

pytestmark = pytest.mark.slow

STILL = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
LOSSES = ("kl", "expectation", "contrastive", "contrastive-printed", "nt-xent", "triplet")
SMALL = network_config("lcnet_035", dim=8, width=16)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    root = write_data(tmp_path_factory.mktemp("symmetric") / "data", (PRISM, CYLINDER))
    sampling = PairSampling(pairs=2, points=48, mixture=PairMixture(within=1.0, across=1.0))
    store = FrameStore(open_dataset(root), max_size=160)
    return PairSource(store, sampling).sample(torch.Generator().manual_seed(1))


def single(batch):
    """As if no symmetry were declared, on the same rows."""
    return replace(batch, alternatives_a=None, alternatives_b=None)


def network(config=SMALL):
    return DescriptorNetwork(config, "random", torch.Generator().manual_seed(0))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalise", [True, False])
def test_every_loss_is_finite_and_lowers_itself(batch, loss, normalise):
    recipe = Don(loss=loss, augmentation=STILL, temperature=0.1 if normalise else 1.0)
    net = network(replace(SMALL, normalise=normalise))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    values = []
    for _ in range(10):
        value = recipe.objective(net, batch, torch.Generator().manual_seed(0))["loss"]
        optimizer.zero_grad()
        value.backward()
        assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("loss", ["kl", "expectation"])
def test_swapping_the_images_changes_nothing(batch, loss):
    back = PairBatch(
        batch.image_b, batch.image_a, batch.uv_b, batch.uv_a, batch.valid, batch.object, batch.labels_b,
        batch.labels_a, batch.unmatched, batch.alternatives_b, batch.alternatives_a,
    )  # fmt: skip
    recipe, net = Don(loss=loss, augmentation=STILL), network().eval()
    there, back = (recipe.objective(net, b, torch.Generator().manual_seed(0))["loss"] for b in (batch, back))
    torch.testing.assert_close(there, back, rtol=1e-4, atol=1e-4)


def same_on_copies(batch):
    """Maps that know of the symmetry: the descriptors of A and B at a point's copies are one vector."""

    def described(uv, others, image):
        size = (image.shape[-2] // 4, image.shape[-1] // 4)
        values = torch.randn(len(image), 16, *size, generator=torch.Generator().manual_seed(1))
        vectors = torch.nn.functional.normalize(
            torch.randn(uv.shape[1], 16, generator=torch.Generator().manual_seed(2)), dim=1
        )
        for i, n in batch.valid.nonzero().tolist():
            answers = torch.cat((uv[i, n, None], others[i, n]))
            for u, v in answers[answers.isfinite().all(-1)]:
                row, column = round((float(v) - 1.5) / 4), round((float(u) - 1.5) / 4)
                values[i, :, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = vectors[
                    n, :, None, None
                ]
        return torch.nn.functional.normalize(values, dim=1)

    a = described(batch.uv_a, batch.alternatives_a, batch.image_a)
    b = described(batch.uv_b, batch.alternatives_b, batch.image_b)
    values = torch.cat((a, b)).requires_grad_()
    size = (batch.image_a.shape[-2], batch.image_a.shape[-1])
    cells = CellMap((4.0, 4.0), (1.5, 1.5))
    return values, *(DescriptorMap(v, cells, size, "cosine") for v in values.chunk(2))


@pytest.mark.parametrize("loss", ["kl", "expectation"])
def test_a_map_that_is_symmetric_has_less_loss_against_the_set_than_against_one_answer(batch, loss):
    """One row an image, so that the regions of different rows do not overlap."""
    rows = batch.alternatives_b.isfinite().all(-1).sum(-1).mul(batch.valid).argmax(1)
    valid = torch.zeros_like(batch.valid).scatter(1, rows[:, None], True)
    one = replace(batch, valid=valid)
    values, a, b = same_on_copies(one)
    against_set, against_one = (
        distributional(a, b, given, loss=loss, temperature=0.05, sigma=4.0)["loss"]
        for given in (one, single(one))
    )
    (grad,) = torch.autograd.grad(against_set, values)
    assert torch.isfinite(grad).all()
    assert against_set < against_one - (0.5 if loss == "kl" else 0.0)


def test_non_matches_keep_away_from_every_copy(batch):
    contrast = Contrast(exclusion=12.0, on_mask=40, on_background=0)
    recipe = Don(loss="contrastive", contrast=contrast)
    uv, valid = recipe._non_matches(batch, "mask", 40, torch.Generator().manual_seed(0))
    answers = torch.cat((batch.uv_b[:, :, None], batch.alternatives_b), 2).nan_to_num(1e6)
    distance = torch.cdist(uv, answers).amin(-1)
    assert valid.any()
    assert distance[valid].min() > 12.0 - 1e-3
    plain, still_valid = recipe._non_matches(single(batch), "mask", 40, torch.Generator().manual_seed(0))
    assert torch.equal(plain, uv)
    assert (torch.cdist(plain, answers).amin(-1)[still_valid] < 12.0).any()  # else there were nothing to do


def test_the_positive_is_the_copy_with_the_nearest_descriptor(batch):
    """The match term of the contrastive loss can only be lower than with one answer."""
    recipe = Don(loss="contrastive", augmentation=STILL)
    net = network().eval()
    many, one = (
        recipe.objective(net, b, torch.Generator().manual_seed(0))["match"] for b in (batch, single(batch))
    )
    assert many < one
