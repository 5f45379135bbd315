"""The S3K recipe on a small made-up rig: coloured dots that cameras see, drawn by the test."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tests.recipes.dots import SIZE, SMALL, STILL, write_dots

from samepoint.correspondence.collapse import SUSPECT
from samepoint.data.augmentation import Augmentation
from samepoint.data.open import open_dataset
from samepoint.data.rig_sampling import largest, rig_batch, rig_moments
from samepoint.data.store import FrameStore
from samepoint.errors import DataError, RunError
from samepoint.geometry.cameras import unproject
from samepoint.geometry.motions import transform
from samepoint.inference.points import PointSettings
from samepoint.recipes import s3k
from samepoint.recipes.s3k import S3k, SelfSupervision, collapse_warnings
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.rig_evaluation import evaluate_rig
from samepoint.workflows.training import train


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    root = tmp_path_factory.mktemp("dots")
    write_dots(root / "train", 24, 6, seed=0)
    write_dots(root / "test", 8, 8, seed=1)
    return root


@pytest.fixture(scope="module")
def store(dots):
    return FrameStore(open_dataset(dots).split("train"), max_size=None)


def parts(recipe, store):
    network = recipe.build(store, "random", torch.Generator().manual_seed(0))
    (stage,) = recipe.stages(store)
    return network, {part.name: part for part in stage.parts}


def test_labels_become_points_and_moments_without_labels_are_unlabelled(store):
    moments = rig_moments(store.dataset)
    assert moments.names == ("red", "blue")
    assert (len(moments.labelled), len(moments.unlabelled)) == (6, 18)
    for k in moments.labelled:
        r, m = moments.places[k]
        truth = store.dataset.recordings[r].moments[m].truth
        for i, name in enumerate(moments.names):
            torch.testing.assert_close(moments.xyz[k, i], truth[name], atol=1e-4, rtol=0)


def test_the_supervised_loss_reaches_every_parameter(store):
    network, named = parts(SMALL, store)
    part, generator = named["labelled"], torch.Generator().manual_seed(1)
    terms = part.objective(network, part.source.sample(generator), generator)
    terms["loss"].backward()
    assert torch.isfinite(terms["loss"])
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_no_gradient_goes_through_the_self_supervised_target(store, monkeypatch):
    """The gradient is the slope of the loss while the points on which the views agree stay where they are."""
    network, named = parts(SMALL, store)
    network.eval()
    with torch.no_grad():
        network.head.weight *= 100  # peaks, which the agreed points follow
    part = named["unlabelled"]
    batch = part.source.sample(torch.Generator().manual_seed(2))
    part.objective(network, batch, torch.Generator())["loss"].backward()
    gradient = [parameter.grad.clone() for parameter in network.parameters()]
    steepness = torch.stack([g.square().sum() for g in gradient]).sum().sqrt()

    def slope(step=1e-3):
        """Of the loss along the gradient, by finite differences."""
        losses = []
        with torch.no_grad():
            for way in (step, -2 * step):
                for parameter, g in zip(network.parameters(), gradient, strict=True):
                    parameter += way * g / steepness
                losses.append(part.objective(network, batch, torch.Generator())["loss"])
            for parameter, g in zip(network.parameters(), gradient, strict=True):
                parameter += step * g / steepness
        return (losses[0] - losses[1]) / (2 * step)

    moving = slope()
    agreed = s3k.agree
    still = []
    monkeypatch.setattr(s3k, "agree", lambda *a: still[0] if still else still.append(agreed(*a)) or still[0])
    part.objective(network, batch, torch.Generator())
    torch.testing.assert_close(slope(), steepness, rtol=0.01, atol=0)
    assert (moving - steepness).abs() > 0.05 * steepness  # else there were nothing to tell apart


def test_augmented_cameras_see_the_same_points(store):
    """A point's projection moves as the image does: the dot's colour is found at it before and after."""
    recipe = replace(SMALL, augmentation=Augmentation(40.0, (0.8, 1.25), 0.1, 0.0, 0.0, 0.0, 0.0, 0.0))
    moments = rig_moments(store.dataset)
    batch = rig_batch(store, moments, moments.labelled, SIZE)
    changed = recipe.augmented(batch, torch.Generator().manual_seed(3))
    assert not torch.allclose(changed.intrinsics, batch.intrinsics)
    from samepoint.correspondence.views import look
    from samepoint.geometry.pixels import sample

    for now in (batch, changed):
        uv, inside = look(now.xyz, now.intrinsics, now.world_from_camera, SIZE)
        colour = sample(now.image.flatten(0, 1), uv.flatten(0, 1))
        redness = (colour[..., 0] - colour[..., 2]).unflatten(0, inside.shape[:2])
        clear = (uv[:, :, :1] - uv[:, :, 1:]).norm(dim=-1) > 6  # one dot does not hide the other
        right = torch.tensor([1.0, -1.0]) * redness > 0.3
        assert float(right[inside & clear].float().mean()) > 0.9


def test_order_of_cameras_and_missing_views_do_not_matter(store):
    network, named = parts(SMALL, store)
    network.eval()
    batch = named["unlabelled"].source.sample(torch.Generator().manual_seed(2))
    order = torch.tensor([2, 0, 3, 1])
    turned = replace(
        batch, image=batch.image[:, order], intrinsics=batch.intrinsics[:, order],
        world_from_camera=batch.world_from_camera[:, order], looked_for=batch.looked_for[:, order],
    )  # fmt: skip
    filled = replace(
        batch, image=torch.cat((batch.image, torch.rand_like(batch.image[:, :1])), 1),
        intrinsics=torch.cat((batch.intrinsics, batch.intrinsics[:, :1]), 1),
        world_from_camera=torch.cat((batch.world_from_camera, batch.world_from_camera[:, :1]), 1),
        present=torch.cat((batch.present, torch.zeros_like(batch.present[:, :1])), 1),
        looked_for=torch.cat((batch.looked_for, batch.looked_for[:, :1]), 1),
        size=torch.cat((batch.size, batch.size[:, :1]), 1),
    )  # fmt: skip
    objective = named["unlabelled"].objective
    losses = [
        float(objective(network, b, torch.Generator())["loss"].detach()) for b in (batch, turned, filled)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] == pytest.approx(losses[2], rel=1e-4)


def test_there_is_no_target_in_the_black_round_an_image(store):
    """A point just outside the recorded image, which a view that is zoomed out shows in the black beside it."""
    recipe = replace(SMALL, augmentation=replace(STILL, scale=(0.5, 0.5)))
    network, _ = parts(recipe, store)
    moments = rig_moments(store.dataset)
    batch = rig_batch(store, moments, moments.labelled[:1], SIZE)
    only_first = torch.zeros_like(batch.looked_for)
    only_first[:, 0] = True
    losses = {}
    for u in (-4.0, 4.0):
        at = unproject(batch.intrinsics[0, 0], torch.tensor([[u, 15.0]]), torch.tensor([0.9]))
        xyz = transform(batch.world_from_camera[0, 0], at).expand(1, 2, 3)
        asked = replace(batch, xyz=xyz, looked_for=only_first)
        losses[u] = float(
            recipe.supervised(network, asked, torch.Generator().manual_seed(0))["loss"].detach()
        )
    assert losses[-4.0] == 0
    assert losses[4.0] > 0.1


def test_the_self_supervised_part_waits_and_then_grows(store):
    _, named = parts(replace(SMALL, self_supervision=SelfSupervision(2.0, 0.2, 0.6)), store)
    weights = [named["unlabelled"].weight_at(p) for p in (0.0, 0.19, 0.4, 0.6, 1.0)]
    assert weights == pytest.approx([0.0, 0.0, 1.0, 2.0, 2.0])
    assert "unlabelled" not in parts(replace(SMALL, self_supervision=SelfSupervision(0.0)), store)[1]


def test_a_trained_run_finds_the_dots_in_space_and_says_what_it_is_worth(dots, tmp_path):
    """Two sides of a pixel are 2 cm here; dots lie within 16 cm of the middle, so chance is about 14 cm off."""
    settings = TrainingSettings(steps=250, seed=0, device="cpu", workers=0, precision="32-true", lr=1e-2)
    train(SMALL, dots, tmp_path / "run", settings, init="random")
    examined = json.loads((tmp_path / "run" / "metrics.json").read_text())["examined"]
    assert examined["spread"] > SUSPECT
    assert examined["travel"] > SUSPECT
    assert ["6 labelled moments" in line for line in examined["warnings"]] == [True]
    for readout in ("mean", "mode"):
        found = evaluate_rig(tmp_path / "run", dots, settings=PointSettings(SMALL.sigma, readout=readout))
        assert found["moments"] == 8
        assert found["found"] == 1
        assert found["median_mm"] < 25
        assert found["median_agreed_pixels"] < 1.5
    bare = write_dots(tmp_path / "bare", 2, 0, 3)
    (bare / "points.csv").unlink()
    with pytest.raises(DataError, match="no truth"):
        evaluate_rig(tmp_path / "run", bare, split=None)


def test_a_collapse_is_told():
    assert collapse_warnings({"spread": 0.9, "travel": 1.2}) == []
    (line,) = collapse_warnings({"spread": 0.1, "travel": 1.0})
    assert "one place" in line
    (line,) = collapse_warnings({"spread": 1.0, "travel": 0.2})
    assert "stand still" in line


def test_a_network_that_always_looks_at_the_middle_is_found_out(store):
    """What a self-supervised loss would be content with: one point for all keypoints."""

    class Middle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.nothing = torch.nn.Parameter(torch.zeros(1))

        def forward(self, image):
            from samepoint.types import CellMap, Heatmaps

            logits = torch.full((len(image), 2, 16, 16), -50.0)
            logits[:, :, 8, 8] = 50.0
            return Heatmaps(logits + self.nothing, CellMap((2.0, 2.0), (0.5, 0.5)), SIZE)

    warnings = SMALL.examine(Middle(), store)["warnings"]
    assert any("one place" in line for line in warnings)
    assert any("stand still" in line for line in warnings)


@pytest.mark.parametrize(
    ("views", "labelled", "line"),
    [(4, 0, "no keypoint is labelled"), (1, 3, "labelled in (two|one)|in one view")],
)
def test_too_few_labels_are_refused(tmp_path, views, labelled, line):
    write_dots(tmp_path / "train", 4, labelled, seed=2, views=views)
    store = FrameStore(open_dataset(tmp_path), max_size=None)
    with pytest.raises(DataError, match=line):
        SMALL.stages(store)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: S3k(sigma=0.0), "--sigma: sigma is 0; give pixels"),
        (lambda: S3k(labelled=0), "--labelled: 0 moments a step; give 1 or more"),
        (lambda: S3k(unlabelled=-1), "--unlabelled: -1 moments a step; give 1 or more"),
        (lambda: SelfSupervision(-1.0), "weight -1 from .* weight is 0 or more"),
        (lambda: SelfSupervision(1.0, 0.5, 0.2), "from 0.5 to 0.2 of the training; .* 0 <= start <= full"),
        (lambda: SelfSupervision(1.0, 0.5, 1.1), "from 0.5 to 1.1 of the training; .* full <= 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, line):
    with pytest.raises(DataError, match=line):
        make()


def test_a_run_goes_on_only_with_the_labels_it_was_started_with(tmp_path):
    """Other lines first, other names first: the robot would get the wrong point under each name."""
    folder = write_dots(tmp_path / "train", 6, 3, seed=4)
    settings = TrainingSettings(steps=2, seed=0, device="cpu", workers=0, precision="32-true")
    train(SMALL, folder, tmp_path / "run", settings, init="random")
    before = (tmp_path / "run" / "config.json").read_bytes()
    header, *lines = (folder / "labels.csv").read_text().splitlines()
    start, _, v = lines[-1].rpartition(",")
    for changed in (lines[::-1], lines[:-1], [*lines[:-1], f"{start},{float(v) + 0.5}"]):
        (folder / "labels.csv").write_text("\n".join([header, *changed]))
        with pytest.raises(RunError, match="labels"):
            train(SMALL, folder, tmp_path / "run", settings, init="random", resume=True)
        assert (tmp_path / "run" / "config.json").read_bytes() == before
    (folder / "labels.csv").write_text("\n".join([header, *lines]))
    train(SMALL, folder, tmp_path / "run", settings, init="random", resume=True)


def test_there_are_no_pretrained_weights(store):
    with pytest.raises(DataError, match="no pre-trained weights"):
        SMALL.build(store, "pretrained", torch.Generator())


def test_cameras_of_one_name_may_have_other_sizes_in_another_recording(tmp_path):
    write_dots(tmp_path / "train_0", 3, 3, seed=0)
    larger = write_dots(tmp_path / "train_1", 3, 3, seed=1)
    for path in larger.glob("cam*/*.png"):
        with Image.open(path) as image:
            image.resize((64, 64)).save(path)
    text = (larger / "calibration.toml").read_text().replace("size = [32, 32]", "size = [64, 64]")
    text = text.replace("40.0", "80.0").replace("15.5", "31.5")
    (larger / "calibration.toml").write_text(text)
    header, *lines = (larger / "labels.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines]
    moved = [[*row[:3], *(str(2 * float(x) + 0.5) for x in row[3:])] for row in rows]
    (larger / "labels.csv").write_text("\n".join([header, *map(",".join, moved)]))
    store = FrameStore(open_dataset(tmp_path), max_size=None)
    assert largest(store) == (64, 64)
    moments = rig_moments(store.dataset)
    batch = rig_batch(store, moments, [0, len(moments.places) - 1], (64, 64))
    assert batch.size[:, 0].tolist() == [[32, 32], [64, 64]]
