"""The mined recipe on a small rendered data set: symmetric, finite, it learns, and bad input is refused."""

from dataclasses import replace

import pytest
import torch

from samepoint.correspondence.heatmaps import estimate_keypoints
from samepoint.data.augmentation import Augmentation
from samepoint.data.object_views import Cutting
from samepoint.data.open import open_dataset
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.motions import invert
from samepoint.geometry.pixels import cell_centres
from samepoint.models.config import NetworkConfig
from samepoint.objectives import keypoints as losses
from samepoint.recipes.mined import LOSSES, Mined, OtherLosses

pytestmark = pytest.mark.slow

STILL = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SMALL = Mined(
    network=NetworkConfig(dim=8, width=16, normalise=False),
    keypoints=6,
    images=4,
    group=2,
    cutting=Cutting((64, 64), 30.0, (0.6, 0.9)),
    augmentation=STILL,
    resolution="cells",
)
TERMS = ("consistency", "pose", "separation", "silhouette", "variance")


@pytest.fixture(scope="module")
def store(rendered):
    return FrameStore(open_dataset(rendered).split("train"))


def started(recipe, store):
    network = recipe.build(store, "random", torch.Generator().manual_seed(0))
    (stage,) = recipe.stages(store)
    return network, stage.parts[0].objective, stage.parts[0].source


@pytest.mark.parametrize("form", ["seed", "keypointnet"])
@pytest.mark.parametrize("views", ["posed", "single"])
def test_the_loss_is_the_weighted_sum_and_reaches_every_parameter(store, form, views):
    recipe = replace(SMALL, form=form, views=views)
    network, objective, source = started(recipe, store)
    generator = torch.Generator().manual_seed(1)
    terms = objective(network, source.sample(generator), generator)
    total = sum(getattr(LOSSES[form], name) * terms[name] for name in TERMS)
    torch.testing.assert_close(terms["loss"], total)
    terms["loss"].backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("form", ["seed", "keypointnet"])
def test_swapping_a_and_b_changes_nothing(store, form):
    """Seed 000's public code takes A's mask for B's. (Noise is drawn for A first, so there is none here.)"""
    recipe = replace(SMALL, form=form, weights=OtherLosses(noise=0.0))
    network, objective, source = started(recipe, store)
    network.eval()
    batch = source.sample(torch.Generator().manual_seed(1))
    order = torch.tensor([1, 0, 3, 2])
    swapped = replace(
        batch, image=batch.image[order], mask=batch.mask[order], intrinsics=batch.intrinsics[order],
        axis=batch.axis[order], b_from_a=invert(batch.b_from_a),
    )  # fmt: skip
    with torch.no_grad():
        there, back = (objective(network, b, torch.Generator().manual_seed(0)) for b in (batch, swapped))
    for name in (*TERMS, "loss"):
        torch.testing.assert_close(there[name], back[name], rtol=1e-4, atol=1e-5)


def test_each_view_is_held_to_its_own_mask(store):
    network, objective, source = started(SMALL, store)
    network.eval()
    batch = source.sample(torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps, _ = network(batch.image)
        on_mask = estimate_keypoints(maps, batch.mask.float(), "cells").on_mask
        terms = objective(network, batch, torch.Generator().manual_seed(0))
    torch.testing.assert_close(terms["silhouette"], losses.silhouette(on_mask))


def test_units_do_not_matter(store):
    """The same object ten times as large and as far away costs the same."""
    network, _, source = started(SMALL, store)
    network.eval()
    batch = source.sample(torch.Generator().manual_seed(1))
    far = batch.b_from_a.clone()
    far[:, :3, 3] *= 10
    with torch.no_grad():
        near = SMALL.objective(network, batch, torch.Generator().manual_seed(0), radius=0.1)
        network.heads.typical *= 10
        scaled = replace(batch, b_from_a=far)
        again = SMALL.objective(network, scaled, torch.Generator().manual_seed(0), radius=1.0)
    for name in TERMS:
        torch.testing.assert_close(near[name], again[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("views", ["posed", "single"])
def test_it_learns_keypoints_that_agree_and_stay_on_the_object(store, views):
    """After some steps on a few batches: more on the object than at random, and a smaller error of the motion."""
    recipe = replace(SMALL, views=views, max_turn=30.0)
    network, objective, source = started(recipe, store)
    batches = [source.sample(torch.Generator().manual_seed(k)) for k in range(3)]
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    history = []
    for step in range(90):
        terms = objective(network, batches[step % 3], torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        history.append({name: float(terms[name].detach()) for name in ("pose", "consistency", "silhouette")})
    first, last = history[:3], history[-3:]

    def mean(rows, name):
        return sum(row[name] for row in rows) / len(rows)

    assert mean(last, "silhouette") < 0.5 * mean(first, "silhouette")
    assert mean(last, "consistency") < 0.8 * mean(first, "consistency")
    assert mean(last, "pose") < 0.9 * mean(first, "pose")


def test_image_and_cells_resolution_differ_little(store):
    """Half a cell, 2 pixels, is what a wrong map of cells would make."""
    network, _, source = started(SMALL, store)
    batch = source.sample(torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps, _ = network.eval()(batch.image)
    truth = 20 + 24 * torch.rand(*maps.logits.shape[:2], 2, generator=torch.Generator().manual_seed(2))
    where = cell_centres(maps.cells, maps.logits.shape[2:], truth.device, truth.dtype)
    maps = replace(maps, logits=-(where - truth[:, :, None, None]).square().sum(-1) / (2 * 5.0**2))
    for resolution in ("image", "cells"):
        found = estimate_keypoints(maps, resolution=resolution).uv
        torch.testing.assert_close(found, truth, rtol=0, atol=0.2)


def test_the_orientation_is_true_first_and_predicted_in_the_end(store):
    recipe = replace(SMALL, orientation=True)
    network = recipe.build(store, "random", torch.Generator().manual_seed(0))
    stages = recipe.stages(store)
    assert [stage.name for stage in stages] == ["true orientation", "half true", "mined"]
    batch = stages[0].parts[0].source.sample(torch.Generator().manual_seed(1))
    seen = []
    flags = network.orientation.marked
    network.orientation.marked = lambda image, flag: seen.append(flag) or flags(image, flag)
    for stage in stages:
        terms = stage.parts[0].objective(network, batch, torch.Generator().manual_seed(1))
        assert torch.isfinite(terms["orientation"])
    truth = (batch.axis[:, 0, 0] > batch.axis[:, 1, 0]).float()
    assert torch.equal(seen[0], truth)
    with torch.no_grad():
        found = network.orientation(batch.image)
    assert torch.equal(seen[2], (found[:, 0, 0] > found[:, 1, 0]).float())


def test_more_keypoints_than_pixels_are_refused(store):
    with pytest.raises(DataError, match=r"5000 keypoints on an object of \d+ pixels"):
        replace(SMALL, keypoints=5000).stages(store)


def test_auto_takes_poses_where_there_are_some(store):
    assert type(SMALL.source(store)).__name__ == "PosedViews"
    assert type(replace(SMALL, views="single").source(store)).__name__ == "SingleViews"


def test_one_other_weight_leaves_the_rest_of_the_form():
    found = Mined(form="keypointnet", weights=OtherLosses(pose=0.5)).losses
    assert found == replace(LOSSES["keypointnet"], pose=0.5)
    assert Mined().losses == LOSSES["seed"]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: OtherLosses(delta=0.0), "--weights"),
        (lambda: OtherLosses(pose=-1.0), "--weights"),
        (lambda: Mined(distance=0.0), "--distance"),
        (lambda: Mined(field_of_view=0.0), "--field-of-view"),
        (lambda: Mined(field_of_view=200.0), "--field-of-view"),
    ],
)
def test_numbers_that_cannot_be(make, named):
    with pytest.raises(DataError, match=named):
        make()


@pytest.mark.parametrize("size", [2, 3, 5])
def test_any_batch_of_two_or_more_can_be_drawn(store, size):
    batch = replace(SMALL, group=4).with_batch(size).source(store).sample(torch.Generator().manual_seed(0))
    assert 2 <= len(batch.image) <= size
