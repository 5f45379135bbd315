"""A network with named keypoints of its own under the ordinary finder."""

import json

import numpy as np
import pytest
import torch
from tests.inference.spots import NAMES, SIGMA, spot_network

import samepoint
from samepoint.errors import RunError
from samepoint.inference import FinderSettings, find_in_files, write_settings
from samepoint.inference.finder import Finder
from samepoint.inference.heatmap_matcher import HeatmapMatcher
from samepoint.inference.matcher import LearningMatcher, NameMatcher
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.models.weights import save_network


def spots(size, **places):
    """float h w 3: a Gaussian of the right width in each channel, two where two places are given."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.zeros((*size, 3), np.float32)
    for name, centres in places.items():
        for u, v in centres:
            square = (columns - u) ** 2 + (rows - v) ** 2
            image[..., NAMES.index(name)] += np.exp(-square / (2 * SIGMA**2))
    return image


@pytest.fixture
def finder():
    return Finder(HeatmapMatcher(spot_network, NAMES, SIGMA), max_size=160)


@pytest.fixture
def run(tmp_path):
    network = HeatmapNetwork(UNetConfig((4, 8), 1), ("nose", "tail"), torch.Generator().manual_seed(0))
    save_network(tmp_path / "run", network, {"recipe": {"sigma": 2.0}, "max_size": 48})
    return tmp_path / "run"


def test_each_name_is_found_at_its_peak_to_a_fraction_of_a_cell(finder):
    image = spots((120, 160), red=[(40.3, 30.8)], green=[(0.4, 118.6)], blue=[(100.0, 60.5)])
    hits = finder.find(image)
    assert tuple(hits) == finder.names == NAMES
    for name, place in {"red": (40.3, 30.8), "blue": (100.0, 60.5)}.items():
        assert hits[name].uv == pytest.approx(place, abs=0.1)
        assert hits[name].visible
        assert hits[name].confidence > 0.97
    assert hits["green"].uv == pytest.approx((0.4, 118.6), abs=1.5)  # half of its heatmap is outside
    assert set(finder.find(image, ["blue"])) == {"blue"}


def test_pixels_are_those_of_the_image_handed_in(finder):
    image = spots((240, 320), red=[(80.0, 61.0)], green=[(1, 1)], blue=[(1, 1)])
    assert finder.find(image)["red"].uv == pytest.approx((80.0, 61.0), abs=0.5)


def test_the_confidence_is_the_share_at_the_place(finder):
    image = spots((120, 160), red=[(40, 30), (120, 90)], green=[(80, 60)])  # nothing blue: spread over all
    hits = finder.find(image)
    assert hits["red"].confidence == pytest.approx(0.5, abs=0.02)
    assert hits["green"].confidence == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    assert hits["blue"].confidence < 0.05
    assert not hits["blue"].visible


def test_the_heatmap_is_the_likelihood_with_the_confidence_at_its_maximum(finder):
    image = spots((120, 160), red=[(40, 30), (120, 90)], green=[(80, 60)], blue=[(9, 9)])
    for name, (u, v) in {"green": (80, 60), "blue": (9, 9)}.items():
        heat, hit = finder.heatmap(image, name), finder.find(image)[name]
        assert heat.shape == (120, 160)
        assert heat.max() == pytest.approx(hit.confidence, rel=1e-4)
        assert np.abs(np.array(np.unravel_index(heat.argmax(), heat.shape)) - (v, u)).max() <= 2
        assert heat[v, u + 4] == pytest.approx(hit.confidence * np.exp(-2), rel=0.2)
    two = finder.heatmap(image, "red")
    assert two[30, 40] == pytest.approx(two[90, 120], rel=1e-3)


def test_it_is_a_matcher_that_learns_no_names(finder):
    assert isinstance(finder.matcher, NameMatcher)
    assert not isinstance(finder.matcher, LearningMatcher)
    image = np.zeros((120, 160, 3), np.uint8)
    line = "has keypoints of its own and takes no new ones"
    for change in (
        lambda: finder.remember("dot", image, (3, 4)),
        lambda: finder.forget("red"),
        lambda: finder.rename("red", "rouge"),
    ):
        with pytest.raises(RunError, match=line):
            change()


def test_a_run_is_loaded_with_its_own_names_and_size(run, tmp_path):
    finder = samepoint.load(run, device="cpu")
    assert (finder.names, finder.max_size, finder.threshold) == (("nose", "tail"), 48, 0.5)
    assert isinstance(finder.matcher, HeatmapMatcher)
    assert finder.matcher.sigma == 2.0
    image = np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    assert set(finder.find(image)) == {"nose", "tail"}
    write_settings(run, FinderSettings(max_size=32, threshold=0.9))
    assert (samepoint.load(run).max_size, samepoint.load(run).threshold) == (32, 0.9)
    assert not (run / "keypoints.sqlite").exists()
    (tmp_path / "keypoints.sqlite").touch()
    with pytest.raises(RunError, match="takes no database"):
        find_in_files(run, [], keypoints=tmp_path / "keypoints.sqlite")


@pytest.mark.parametrize("recipe", [None, {}, {"sigma": 0}, {"sigma": "wide"}])
def test_a_run_must_say_how_wide_its_heatmaps_are(run, recipe):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"recipe": recipe}))
    with pytest.raises(RunError, match=r"config\.json: names no width of the heatmaps"):
        samepoint.load(run)
