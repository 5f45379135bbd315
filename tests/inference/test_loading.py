import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.errors import DataError, RunError
from samepoint.inference import Calibration, FinderSettings, find_in_files, load, write_settings
from samepoint.inference.loading import choose_device
from samepoint.inference.matcher import network_fingerprint
from samepoint.models import DescriptorNetwork, NetworkConfig, save_network

CONFIG = NetworkConfig(dim=8, width=16)


@pytest.fixture(scope="module")
def network() -> DescriptorNetwork:
    return DescriptorNetwork(CONFIG, generator=torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def run(tmp_path: Path, network: DescriptorNetwork) -> Path:
    extra = {"finder": FinderSettings(max_size=96, threshold=0.25).to_json()}
    save_network(tmp_path / "run", network, extra)
    return tmp_path / "run"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    noise = np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    return path


def test_a_run_remembers_and_finds_after_loading_again(run: Path, photo: Path) -> None:
    finder = load(run)
    assert (finder.max_size, finder.threshold, finder.names) == (96, 0.25, ())
    finder.remember("corner", photo, (60.0, 40.0))
    assert (run / "keypoints.sqlite").is_file()
    again = load(str(run), device="cpu")
    hit = again.find(photo)["corner"]
    assert np.allclose(hit.uv, (60, 40), atol=1.5)
    assert hit == finder.find(photo)["corner"]


def test_rows_are_plain_values(run: Path, photo: Path, tmp_path: Path) -> None:
    load(run, tmp_path / "other.sqlite").remember("corner", photo, (60.0, 40.0))
    rows = find_in_files(run, [photo, str(photo)], keypoints=tmp_path / "other.sqlite")
    assert json.loads(json.dumps(rows)) == rows
    assert [row["image"] for row in rows] == [str(photo)] * 2
    assert rows[0]["size"] == [120, 160]
    hit = rows[0]["hits"]["corner"]
    assert np.allclose(hit["uv"], (60, 40), atol=1.5)
    assert set(hit) == {"uv", "confidence", "visible"}


def test_nothing_to_find_is_said(run: Path, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no keypoints to look for"):
        find_in_files(run, [photo])
    with pytest.raises(RunError, match=r"none\.sqlite: there is no such keypoint database"):
        find_in_files(run, [photo], keypoints=tmp_path / "none.sqlite")
    load(run).remember("a", photo, (1.0, 2.0))
    with pytest.raises(DataError, match="this image does not exist"):
        find_in_files(run, [photo, tmp_path / "none.png"])


def test_another_networks_keypoints_are_refused_when_loading(run: Path, photo: Path, tmp_path: Path) -> None:
    load(run).remember("a", photo, (1.0, 2.0))
    other = DescriptorNetwork(CONFIG, generator=torch.Generator().manual_seed(1))
    save_network(tmp_path / "other", other)
    with pytest.raises(RunError, match="another network") as caught:
        load(tmp_path / "other", run / "keypoints.sqlite")
    assert "\n" not in str(caught.value)


def test_the_fingerprint_is_of_weights_and_configuration(network: DescriptorNetwork, run: Path) -> None:
    same = load(run)
    config = network.config.to_json()
    assert same.matcher.fingerprint == network_fingerprint(network, config)
    assert network_fingerprint(network, {**config, "dim": 9}) != network_fingerprint(network, config)
    with torch.no_grad():
        changed = DescriptorNetwork(CONFIG, generator=torch.Generator().manual_seed(0)).eval()
        assert network_fingerprint(changed, config) == network_fingerprint(network, config)
        changed.to(memory_format=torch.contiguous_format)  # how they lie in memory does not matter
        assert network_fingerprint(changed, config) == network_fingerprint(network, config)
        next(changed.parameters())[0] += 1e-3
    assert network_fingerprint(changed, config) != network_fingerprint(network, config)


def test_settings_go_through_the_runs_config(run: Path) -> None:
    settings = FinderSettings(None, 0.1, 0.75, Calibration(1.0, 2.0, 3.0, 4))
    write_settings(run, settings)
    finder = load(run)
    assert (finder.max_size, finder.threshold) == (None, 0.75)
    assert finder.matcher.settings == settings
    with pytest.raises(RunError, match="does not exist"):
        write_settings(run / "none", settings)


def test_a_run_without_settings_uses_those_of_its_training(
    network: DescriptorNetwork, tmp_path: Path
) -> None:
    save_network(tmp_path / "run", network, {"max_size": 200, "recipe": {"temperature": 0.2}})
    assert load(tmp_path / "run").matcher.settings == FinderSettings(max_size=200, temperature=0.2)


def test_incomplete_or_wrong_settings_are_refused() -> None:
    whole = FinderSettings().to_json()
    assert FinderSettings.from_json(whole) == FinderSettings()
    for broken in (
        {},
        {**whole, "extra": 1},
        {**whole, "calibration": {"bias": 1.0}},
        {**whole, "calibration": 3},
    ):
        with pytest.raises(RunError, match="not whole"):
            FinderSettings.from_json(broken)
    for change in ({"max_size": 0}, {"temperature": 0.0}, {"threshold": 1.5}):
        with pytest.raises(RunError, match=next(iter(change))):
            replace(FinderSettings(), **change)


def test_wrong_runs_and_devices_are_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(RunError, match="no such run folder"):
        load(tmp_path / "none")
    (run / "keypoints.sqlite").write_text("something else " * 100)
    with pytest.raises(RunError, match="not a keypoint database"):
        load(run)
    for device in ("gpu", "cuda:x", "cpu:3", "cuda:99"):
        with pytest.raises(RunError, match="device"):
            choose_device(device)
    assert choose_device("cpu") == torch.device("cpu")
