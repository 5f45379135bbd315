"""The evaluation of named 3-D keypoints: beside its slow twin, and what it says of runs and data that do not fit."""

import json

import pytest
import torch
from tests.recipes.dots import write_dots
from tests.workflows.rig_twin import (
    MAX_SIZE,
    MOMENTS,
    NAMES,
    RIGS,
    SIGMA,
    Colours,
    summarised,
    twin,
    write_recording,
)

from samepoint.data.open import open_dataset
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.models.weights import save_network
from samepoint.workflows import rig_evaluation
from samepoint.workflows.rig_evaluation import CHANCE, READING, evaluate_rig, evaluate_rig_run, mean_of_others


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("rigs")
    for seed, (name, rig) in enumerate(RIGS.items()):
        (root / name).mkdir()
        write_recording(root / name, rig, MOMENTS[name], seed, name == "test_a")
    return root


def close(found, expected):
    assert set(expected) <= set(found)
    for key, value in expected.items():
        assert found[key] == (None if value is None else pytest.approx(value, rel=2e-3, abs=2e-3)), key


def a_run(folder, extra=None):
    config = {"method": "s3k", "recipe": {"sigma": SIGMA, "look_for": "labelled"}, "max_size": MAX_SIZE}
    save_network(folder, Colours(), {**config, **(extra or {})})
    return folder


def every(columns):
    """Of all keypoints."""
    *lists, asked = zip(*columns.values())
    return [[x for part in parts for x in part] for parts in lists] + [sum(asked)]


@pytest.fixture
def colours(monkeypatch):
    def load(folder, device):
        return Colours().eval(), json.loads((folder / "config.json").read_text())

    monkeypatch.setattr(rig_evaluation, "load_heatmaps", load)


@pytest.mark.parametrize("looked_for", [{}, {"cam1": ["blue"], "cam2": ["red", "blue"], "cam3": ["red"]}])
def test_the_evaluation_is_what_its_slow_twin_says(data, tmp_path, colours, looked_for):
    """The run's own cameras count, not those in which the test moments are clicked."""
    run = a_run(tmp_path / "run", {"looked_for": looked_for} if looked_for else None)
    values = evaluate_rig_run(run, data).to_json()
    assert (values["moments"], values["cameras"]) == (13, 4)
    for name, (readout, refine) in {"mean": ("mean", 0), "mode": ("mode", 0), READING: ("mode", 5)}.items():
        columns = twin(data, readout, refine, looked_for)
        close(values["readings"][name], summarised(every(columns)))
        for dot in NAMES:
            close(values["readings"][name]["keypoints"][dot], summarised(columns[dot]))
    columns = twin(data, "mean", 0, looked_for, chance=True)
    for dot in NAMES:
        close(values["baselines"][CHANCE]["keypoints"][dot], summarised(columns[dot]))
    assert evaluate_rig(run, data) == {**values["readings"][READING], "moments": 13}


def test_chance_is_the_mean_of_the_other_moments():
    lost = [torch.nan] * 3
    xyz = torch.tensor([[[1.0, 2, 3], [5, 5, 5]], [[3, 2, 1], lost], [[5, 5, 5], lost]])
    found = mean_of_others(xyz)
    torch.testing.assert_close(found[:, 0], torch.tensor([[4.0, 3.5, 3.0], [3.0, 3.5, 4.0], [2.0, 2.0, 2.0]]))
    assert found[0, 1].isnan().all()  # nobody else knows it
    torch.testing.assert_close(found[1:, 1], torch.full((2, 3), 5.0))


def test_one_moment_is_enough_and_leaves_nothing_to_chance(tmp_path):
    data, run = write_dots(tmp_path / "data", 1, 0, seed=0), a_run(tmp_path / "run")
    values = evaluate_rig_run(run, data).to_json()
    json.dumps(values, allow_nan=False)
    assert values["baselines"][CHANCE]["median_mm"] is None
    assert values["readings"][READING]["n_points"] == 2


def test_what_is_held_out_is_asked(data, tmp_path):
    run = a_run(tmp_path / "run")
    assert evaluate_rig_run(run, data).origin["recordings"] == ["test_a", "test_b"]
    assert evaluate_rig_run(run, data, split="train").origin["recordings"] == ["train"]
    with pytest.raises(DataError, match="validation split"):
        evaluate_rig_run(run, data, split="validation")


def trained_on(values):
    return values["trained_on"], values["trained_on_moments"]


def test_what_was_trained_on_is_said(data, tmp_path):
    """Through links and parts of folders; not of data that is gone, but for the very frames."""
    network, taught = Colours(), FrameStore(open_dataset(data).split("train"), max_size=MAX_SIZE)
    config = {"method": "s3k", "recipe": {"sigma": SIGMA, "look_for": "labelled"}, "max_size": MAX_SIZE}

    def asked(path, fingerprint, of, split=None):
        given = {**config, "data": {"path": str(path), "fingerprint": fingerprint, "images": len(taught)}}
        save_network(tmp_path / "run", network, given)
        return trained_on(evaluate_rig_run(tmp_path / "run", of, split=split).to_json())

    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "train").symlink_to(data / "train")
    (linked / "other").symlink_to(data / "test_b")  # belongs to all splits
    assert asked(data, taught.fingerprint, data) == (False, 0)
    assert asked(data, taught.fingerprint, data, "train") == (True, 3)
    assert asked(data, taught.fingerprint, data / "train") == (True, 3)
    assert asked(data, taught.fingerprint, linked) == (True, 3)  # nothing is held out
    assert asked(data, "changed since", data, "train") == (True, 3)
    assert asked(data, "changed since", data) == (None, None)
    assert asked(tmp_path / "gone", taught.fingerprint, data) == (None, None)
    assert asked(tmp_path / "gone", taught.fingerprint, data, "train") == (True, 3)
    assert trained_on(evaluate_rig_run(a_run(tmp_path / "bare"), data).to_json()) == (None, None)


def test_a_data_set_without_truth_is_refused(tmp_path):
    bare = write_dots(tmp_path / "bare", 2, 0, seed=3)
    (bare / "points.csv").unlink()
    with pytest.raises(DataError, match=r"no truth.*red, blue"):
        evaluate_rig(a_run(tmp_path / "run"), bare)
    other = write_dots(tmp_path / "other", 2, 2, seed=3)
    for table in ("labels", "points"):
        path = other / f"{table}.csv"
        path.write_text(path.read_text().replace("red", "green").replace("blue", "grey"))
    with pytest.raises(DataError, match=r"no truth.*red, blue"):
        evaluate_rig(tmp_path / "run", other)
