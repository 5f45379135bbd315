"""The two lines that `samepoint train` prints: what is used of the data, and what was found and is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.data.flat_scene import CAMERAS, Discs, scan
from tests.recipes.dots import SMALL, write_dots

from samepoint.data.importers import write_native
from samepoint.data.open import open_dataset
from samepoint.data.partners import PairMixture
from samepoint.data.recording import Moment, Recording, Symmetry
from samepoint.data.sampling import PairSampling
from samepoint.data.store import FrameStore
from samepoint.models.config import NetworkConfig
from samepoint.recipes.ccl import Ccl
from samepoint.recipes.don import Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.recipes.mined import Mined
from samepoint.recipes.s3k import SelfSupervision
from samepoint.training.settings import TrainingSettings
from samepoint.workflows import training
from samepoint.workflows.data_use import data_use

LEFT, RIGHT, FAR = (-0.07, 0.0), (0.07, 0.01), (0.0, 0.09)


@pytest.fixture
def discs(tmp_path):
    return Discs(tmp_path)


def told(dataset, recipe=None, whole=None):
    used = data_use(recipe or Don(), FrameStore(dataset, max_size=None), whole or dataset)
    uses, left = used.lines
    assert uses == "uses: " + ", ".join(used.to_json()["uses"])
    assert left.startswith("not used: ")
    return uses.removeprefix("uses: "), left.removeprefix("not used: ")


def test_a_log_with_masks(discs):
    uses, left = told(discs.dataset(discs.scan("log", {1: LEFT})))
    assert uses == (
        "4 images of 1 recording, depth, camera poses, masks of 1 object (points on masks, background replaced),"
        " pairs within a recording"
    )
    assert left == "nothing, all that was found is used"


def test_what_is_not_replaced_or_asked_for_is_not_claimed(discs):
    don = Don()
    dataset = discs.dataset(discs.scan("log", {1: LEFT}))
    kept = replace(don, augmentation=replace(don.augmentation, background=0.0))
    assert "masks of 1 object (points on masks), " in told(dataset, kept)[0]
    uses, left = told(dataset, replace(don, sampling=PairSampling(masks=False)))
    assert "mask" not in uses
    assert left == "masks of 1 object (--sampling.no-masks)"


def test_without_poses_recordings_share_no_coordinates(discs):
    dataset = discs.dataset(discs.scan("first", {1: LEFT}), discs.scan("second", {1: RIGHT}))
    uses, left = told(dataset)
    assert "across" not in uses
    assert left == (
        "pairs of object 1 across recordings (without the objects' poses recordings share no coordinates)"
    )
    within = Don(sampling=PairSampling(mixture=PairMixture(across=0.0)))
    assert told(dataset, within)[1] == "nothing, all that was found is used"
    posed = discs.dataset(
        discs.scan("third", {1: LEFT}, poses=True), discs.scan("fourth", {1: RIGHT}, poses=True)
    )
    uses, left = told(posed)
    assert "poses of 1 object" in uses
    assert "pairs across recordings" in uses
    assert "camera poses" not in uses
    assert left == "nothing, all that was found is used"


def test_moving_objects_of_a_rig(discs):
    uses, _ = told(discs.dataset(discs.rig("rig", {1: LEFT}, {1: RIGHT})))
    assert uses.startswith("6 images of 1 recording, depth, camera poses, masks of 1 object")
    assert uses.endswith(", pairs of two cameras at one moment")
    uses, _ = told(discs.dataset(discs.rig("rig", {1: LEFT, 2: FAR}, {1: RIGHT, 2: LEFT}, poses=(1,))))
    assert uses.endswith(
        "poses of 1 object, masks of 2 objects (points on masks, background replaced), pairs within a recording,"
        " pairs of two cameras at one moment"
    )
    bare, _ = told(discs.dataset(discs.rig("rig", {1: LEFT}, {1: RIGHT}, masks=False)))
    assert bare == "6 images of 1 recording, depth, camera poses, pairs of two cameras at one moment"


def test_images_that_are_in_no_pair_are_counted_with_the_reason(discs):
    places = {1: LEFT}
    views = [discs.view(places, CAMERAS[k]) for k in range(3)]
    views += [
        replace(discs.view(places), depth=None),
        replace(discs.view(places), intrinsics=None),
        replace(discs.view(places), world_from_camera=None),
        discs.view({1: (3.0, 3.0)}),
        discs.view(places, CAMERAS[3], masks=False),
    ]
    uses, left = told(discs.dataset(scan("log", views)))
    assert uses.startswith("4 images of 1 recording")
    assert "1 of the images without masks (as the second of a pair)" in uses
    assert set(left.split("; ")) == {
        "1 image (without depth)", "1 image (without intrinsics)", "1 image (without a camera pose)",
        "1 image (their masks show nothing of known depth)",
    }  # fmt: skip


def test_other_splits_robots_symmetries_and_notes(discs):
    parts = [discs.scan(split, {1: LEFT}) for split in ("train", "test")]
    train, test = (replace(part, split=part.name) for part in parts)
    robot = Recording("robot", "robot-only", (Moment((discs.view({}),)),))
    whole = discs.dataset(train, test, robot)
    symmetric = {1: replace(whole.objects[1], symmetry=Symmetry())}
    whole = replace(whole, objects=symmetric, notes=("2 files of another form (they are not images)",))
    _, left = told(whole.split("train"), whole=whole)
    assert left.split("; ") == [
        "symmetries of 1 object (they have no poses)",
        "1 image of the robot alone (--sampling.mixture.robot-only is 0)",
        "4 images (split test)",
        "2 files of another form (they are not images)",
    ]


def test_methods_of_images_alone(discs):
    views = [discs.view({1: LEFT}, CAMERAS[k], masks=k < 3) for k in range(4)]
    dataset = discs.dataset(scan("log", views))
    uses, left = told(dataset, IdenticalView())
    assert uses == "4 images of 1 recording"
    assert left == (
        "masks of 1 object in 3 images (--on-objects keeps points on them);"
        " depth of 4 images, camera poses of 4 images (identical-view learns from images alone)"
    )
    uses, left = told(dataset, Ccl(on_objects=True))
    assert uses == (
        "4 images of 1 recording, masks of 1 object in 3 images (points on masks, anywhere in images without)"
    )
    assert "mask" not in left


def test_mined(discs):
    views = [discs.view({1: LEFT}, CAMERAS[k], poses=k < 3, masks=k > 0) for k in range(4)]
    dataset = discs.dataset(scan("log", views))
    uses, left = told(dataset, Mined(views="posed"))
    assert uses.startswith(
        "2 images of 1 recording, masks of 1 object (views cut round them, background repl"
    )
    assert "their poses" in uses
    assert left.startswith("1 image (without a mask); 1 image (without a pose of the object); depth of 2")
    uses, left = told(dataset, Mined(views="single"))
    assert uses.startswith("3 images of 1 recording, masks of 1 object")
    assert "depth of 3 images" in uses
    assert "poses of 1 object in 2 images" in left


def test_labelled_moments_of_a_rig(tmp_path):
    dataset = open_dataset(write_dots(tmp_path / "train", 5, 3, seed=0))
    uses, left = told(dataset, SMALL)
    assert uses == (
        "3 labelled moments and 2 unlabelled ones of 4 cameras (20 images of 1 recording), labels of 2 keypoints,"
        " calibrations"
    )
    assert left == "nothing, all that was found is used"
    labels_alone = replace(SMALL, self_supervision=SelfSupervision(weight=0.0))
    uses, left = told(dataset, labels_alone)
    assert "3 labelled moments and 0 unlabelled ones" in uses
    assert left == "moments without labels (--self-supervision.weight is 0)"
    uses, left = told(dataset, IdenticalView())
    assert "camera poses of 20 images" in left
    assert "labels of keypoints in 3 moments (s3k learns from them)" in left


def test_a_training_says_it_and_keeps_it(discs, tmp_path, monkeypatch):
    class Stopped(Exception):
        pass

    def stop(*_):
        raise Stopped

    monkeypatch.setattr(training, "on_devices", stop)
    data, out = tmp_path / "data", tmp_path / "run"
    write_native(discs.dataset(discs.scan("log", {1: LEFT}, 5)), data)
    said = []
    don = Don(network=NetworkConfig("resnet10t", dim=8, width=8), sampling=PairSampling(pairs=1, points=8))
    settings = TrainingSettings(steps=1, device="cpu", workers=0)
    with pytest.raises(Stopped):
        training.train(don, data, out, settings, init="random", say=said.append)
    assert said[0].startswith("uses: ")
    assert "masks of 1 object (points on masks, background replaced)" in said[0]
    assert said[1].startswith("not used: ")
    config = json.loads((out / "config.json").read_text())["data"]
    assert said == [f"uses: {', '.join(config['uses'])}", f"not used: {'; '.join(config['not_used'])}"]
