"""The questions of `samepoint bench`, small: what they count and what they say, never how long it took."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from samepoint.bench import memory
from samepoint.bench.batch import SHARE, batch_size, step_megabytes
from samepoint.bench.finding import finding
from samepoint.bench.measure import in_fresh_process, in_turn, peak_growth
from samepoint.bench.memory import training_memory
from samepoint.bench.rig import rig_finding, ring
from samepoint.bench.steps import PLAIN, StepCase
from samepoint.bench.throughput import PHASES, training_throughput
from samepoint.cli.main import run
from samepoint.data.augmentation import Augmentation
from samepoint.data.readers.photos import read_photos
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.motions import invert, transform
from samepoint.inference.database import KeypointDatabase
from samepoint.inference.finder import Finder
from samepoint.inference.matcher import DescriptorMatcher
from samepoint.inference.settings import FinderSettings
from samepoint.models import DescriptorNetwork, network_config
from samepoint.recipes.ccl import Ccl
from samepoint.recipes.identical_view import IdenticalView
from samepoint.training.settings import TrainingSettings

TINY = network_config("lcnet_035", width=8, dim=8)
CASE = StepCase("", 0, size=(64, 96), points=8, backbone="resnet10t")


def quiet(_: str) -> None:
    pass


@pytest.fixture
def store(tmp_path):
    generator = np.random.default_rng(0)
    for i in range(4):
        image = np.kron(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        write(tmp_path / "photos" / f"{i}.png", image)
    return FrameStore(read_photos(tmp_path / "photos"), cache_dir=tmp_path / "cache")


def write(path, image):
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path)


def test_sides_are_called_in_turn_and_the_first_round_is_not_counted():
    order = []
    times, ratios = in_turn({name: lambda name=name: order.append(name) for name in "abc"}, repeats=3)
    assert order == ["a", "b", "c"] * 4
    assert {name: timing.calls for name, timing in times.items()} == {"a": 3, "b": 3, "c": 3}
    assert list(ratios) == ["b", "c"]


def grown(megabytes):
    torch.ones(8, 1024, 1024).sum()
    return peak_growth(lambda: torch.ones(megabytes, 512, 512).sum())


@pytest.mark.slow
def test_growth_of_memory_is_that_of_the_tensors():
    assert 95 < in_fresh_process(grown, 100) < 110


@pytest.mark.slow
def test_memory_question(monkeypatch):
    methods = ("don kl", "ccl", PLAIN[-1])
    found = training_memory(dims=(3, 16), methods=methods, case=CASE, say=quiet)
    rows = {(row["method"], row["dim"]): row for row in found["rows"]}
    assert set(rows) == {(method, dim) for method in methods for dim in (3, 16)}
    assert rows["don kl", 16]["full_resolution"] == rows["ccl", 16]["full_resolution"] == 0
    assert rows[PLAIN[-1], 16]["full_resolution"] > 0
    monkeypatch.setattr(memory, "free_megabytes", lambda _: 1.0)
    (row,) = training_memory(dims=(64,), methods=PLAIN[:1], case=CASE, say=quiet)["rows"]
    assert set(row) == {"method", "dim", "needs_mb"}


def test_every_part_of_a_training_step_is_timed(store):
    said = []
    recipe = IdenticalView(network=TINY, augmentation=Augmentation(view=(64, 64)), images=2, points=8)
    settings = TrainingSettings(device="cpu", precision="32-true")
    row = training_throughput(recipe, store, settings, steps=6, say=said.append)
    assert set(row["share"]) == set(PHASES)
    assert all(value > 0 for value in row["share"].values())
    assert sum(row["share"].values()) == pytest.approx(1, abs=1e-3)
    assert row["images_per_second"] == pytest.approx(4e3 / row["step_ms"], rel=0.1)
    assert "images/s" in said[0]


def test_finding_agrees_with_the_plain_way(tmp_path):
    network = DescriptorNetwork(TINY, generator=torch.Generator().manual_seed(0)).eval()
    settings = FinderSettings(max_size=96)
    matcher = DescriptorMatcher(network, KeypointDatabase(tmp_path / "k.sqlite"), "tiny", settings)
    frames = [np.random.default_rng(i).integers(0, 255, (96, 128, 3), dtype=np.uint8) for i in range(3)]
    found = finding(Finder(matcher, 96), frames, numbers=(1, 5), repeats=2, say=quiet)
    assert [row["keypoints"] for row in found["rows"]] == [1, 5]
    assert [row["same"] for row in found["rows"]] == [1, 1]
    assert found["seen_at"] == [72, 96]
    assert {"network", "matching", "plain", "whole"} < set(found["rows"][0])


def test_moments_a_second_of_a_rig():
    said = []
    found = rig_finding(
        widths=((4, 8), (8, 16)), views=3, size=(48, 64), keypoints=2, repeats=2, say=said.append
    )
    assert [row["channels"] for row in found["rows"]] == [[4, 8], [8, 16]]
    assert (found["question"], found["views"], found["image"], found["keypoints"]) == ("rig", 3, [48, 64], 2)
    for row in found["rows"]:
        assert row["network"]["calls"] == row["find"]["calls"] == 2
        assert row["moments_per_second"] == pytest.approx(1e3 / row["find"]["ms"], rel=0.05)
    assert len(said) == 3


def test_the_rig_that_is_measured_sees_its_origin():
    for camera in ring(4, (48, 64)).values():
        origin = transform(invert(camera.world_from_camera), torch.zeros(1, 3))
        torch.testing.assert_close(origin, torch.tensor([[0.0, 0.0, 1.0]]), atol=1e-6, rtol=0)


@pytest.mark.slow
def test_a_batch_that_fits(store):
    recipe = Ccl(network=TINY, augmentation=Augmentation(view=(64, 64)), points=8)
    fits = [batch_size(recipe, store, free_mb=free, say=quiet)["fits"] for free in (60.0, 120.0)]
    assert 2 <= fits[0] < fits[1]
    many = replace(recipe, images=min(fits[0], len(store)))
    assert step_megabytes(many, store) <= SHARE * 60.0
    with pytest.raises(DataError, match=r"a step of 2 takes .* MB of 3 MB free memory.*smaller views"):
        batch_size(recipe, store, free_mb=3.0, say=quiet)


@pytest.mark.slow
def test_command(tmp_path, capsys):
    small = [
        "--methods",
        "don kl",
        "--dims",
        "3",
        "--size",
        "64",
        "64",
        "--points",
        "8",
        "--backbone",
        "resnet10t",
    ]
    assert run(["bench", "memory", *small, "--out", str(tmp_path / "memory.json")]) == 0
    assert "D    3" in capsys.readouterr().out
    found = json.loads((tmp_path / "memory.json").read_text())
    assert {"command", "commit", "machine", "question", "rows"} <= set(found)


def test_bad_input_is_one_line(capsys):
    assert run(["bench", "memory", "--methods", "dom kl"]) == 2
    assert "don kl" in capsys.readouterr().err
    assert run(["bench", "finding", "--run", "nowhere"]) == 2
    assert run(["bench", "batch", "--data", "nowhere"]) == 2
    assert run(["bench", "rig", "--views", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 3
