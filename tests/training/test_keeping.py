"""What a training keeps: never less than it started with, and the same after a kill."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

from samepoint.errors import RunError
from samepoint.training.checkpoint import read_checkpoint
from samepoint.training.engine import Trainer
from samepoint.training.keeping import Candidate, Measure, certainty
from samepoint.training.log import read_log
from samepoint.training.plan import Part, Stage
from samepoint.training.processes import make_fabric
from samepoint.training.settings import TrainingSettings
from samepoint.training.start import settled_for

SETTINGS = TrainingSettings(
    steps=40, device="cpu", workers=0, log_every=5, lr=5e-2, precision="32-true", schedule="constant"
)
QUESTIONS = torch.randn(12, 4, generator=torch.Generator().manual_seed(9))


class Numbers:
    def sample(self, generator):
        return torch.randn(8, 4, generator=generator)


def towards(target):
    """Trains the sum of the inputs times `target`."""

    def objective(network, batch, generator):
        return {"loss": (network(batch) - target * batch.sum(1, keepdim=True)).square().mean()}

    return objective


def nearness(network):
    """How near a network is to the plain sum, question by question."""
    errors = (network(QUESTIONS) - QUESTIONS.sum(1, keepdim=True)).abs()[:, 0]
    return {"sums": (-errors).tolist()}


def trainer(run, objective, settings=SETTINGS, *, known_start=True, held_out=True, weight=0.0):
    run.mkdir(exist_ok=True)
    network = nn.Linear(4, 1)
    nn.init.constant_(network.weight, weight)
    nn.init.zeros_(network.bias)
    fabric = make_fabric(settings)
    fabric.launch()
    measure = Measure(nearness, "twelve sums", known_start, held_out, form="is {loss:.2f} off")
    stages = (Stage("only", (Part("numbers", Numbers(), objective),)),)
    return Trainer(fabric, network, stages, settings, run, {"method": "toy"}, measure)


def kept_weight(run):
    return read_checkpoint(run)["kept"]["weight"]


def test_what_gains_is_kept_and_said(tmp_path):
    told = trainer(tmp_path / "run", towards(1.0)).fit()["kept"]
    assert told["kept"] == "end"
    assert told["line"].startswith("kept the end (step 40): it is 0.")
    assert told["line"].endswith("on twelve sums")
    assert [row["name"] for row in told["candidates"]] == ["start", *["checkpoint"] * 3, "end", "halfway"]
    assert float((kept_weight(tmp_path / "run") - 1).abs().max()) < 0.2


@pytest.mark.parametrize("held_out", [True, False])
def test_what_loses_gives_way_to_the_start(tmp_path, held_out):
    told = trainer(tmp_path / "run", towards(-3.0), weight=0.9, held_out=held_out).fit()["kept"]
    assert told["kept"] == "start"
    assert "a lower --lr may help" in told["line"]
    assert torch.equal(kept_weight(tmp_path / "run"), torch.full((1, 4), 0.9))
    assert not torch.equal(read_checkpoint(tmp_path / "run")["network"]["weight"], torch.full((1, 4), 0.9))


def test_the_best_on_the_way_is_kept(tmp_path):
    """Training passes the target of the measure on its way to another one."""
    told = trainer(tmp_path / "run", towards(3.0), known_start=False).fit()["kept"]
    scores = {row["step"]: row["score"] for row in told["candidates"]}
    assert told["kept"] == "checkpoint"
    assert scores[told["step"]] == max(scores.values())


def test_half_way_between_the_start_and_the_end_is_a_candidate(tmp_path):
    settings = replace(SETTINGS, steps=4, lr=0.5, clip_norm=0.0)  # too short for checkpoints
    told = trainer(tmp_path / "run", towards(5.0), settings).fit()["kept"]
    assert told["kept"] == "halfway"
    ended = read_checkpoint(tmp_path / "run")
    torch.testing.assert_close(ended["kept"]["weight"], ended["network"]["weight"] / 2)


def test_on_images_that_it_trains_on_the_end_is_kept_though_a_checkpoint_looks_better(tmp_path):
    told = trainer(tmp_path / "run", towards(3.0), known_start=False, held_out=False).fit()["kept"]
    assert told["kept"] == "end"


def test_random_weights_are_not_kept_though_they_score_higher(tmp_path):
    told = trainer(tmp_path / "run", towards(-3.0), known_start=False, weight=0.9).fit()["kept"]
    assert told["kept"] == "checkpoint"
    assert told["line"].endswith("random weights are better there, on twelve sums")


def too_fast(network, batch, generator):
    """Steps of the optimiser at the full rate overshoot."""
    return {"loss": (network(batch) - batch.sum(1, keepdim=True)).abs().mean()}


@pytest.mark.parametrize("step", [None, 7, 25])
def test_a_training_that_loses_at_first_begins_again_more_slowly(tmp_path, step):
    settings = replace(SETTINGS, lr=0.3, weight_decay=0.0)

    def retreating(run):
        subject = trainer(run, too_fast, settings, weight=0.95)
        subject.measure = replace(subject.measure, retreats=True)
        return subject

    whole = retreating(tmp_path / "whole")
    told = whole.fit()["kept"]
    assert told["retreated"] == 10
    assert told["kept"] != "start"
    assert "step 10 was worse than the start" in told["line"]
    assert read_log(tmp_path / "whole")[-1]["lr"] == "0.03"
    if step is None:
        return
    killed = retreating(tmp_path / "killed")
    ordinary = killed._step

    def dying(*arguments):
        if killed.position.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return ordinary(*arguments)

    killed._step = dying
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    assert retreating(tmp_path / "killed").fit(resume=True)["kept"] == told


def not_finite_from(step):
    calls = []

    def objective(network, batch, generator):
        calls.append(1)
        factor = float("nan") if len(calls) > step else 1.0
        return {"loss": factor * towards(1.0)(network, batch, generator)["loss"]}

    return objective


def test_a_loss_that_is_not_finite_leaves_the_best_so_far(tmp_path):
    told = trainer(tmp_path / "run", not_finite_from(15), known_start=False).fit()["kept"]
    assert told["line"].startswith("the loss is not finite at step 16; kept step 10")
    assert bool(kept_weight(tmp_path / "run").isfinite().all())


def test_a_loss_that_is_not_finite_at_once_leaves_a_start_that_was_trained(tmp_path):
    told = trainer(tmp_path / "run", not_finite_from(0), weight=0.9).fit()["kept"]
    assert told["kept"] == "start"
    assert "not finite at step 1" in told["line"]
    assert torch.equal(kept_weight(tmp_path / "run"), torch.full((1, 4), 0.9))


def test_a_loss_that_is_not_finite_at_once_is_an_error_from_random_weights(tmp_path):
    with pytest.raises(RunError, match="not finite at step 1"):
        trainer(tmp_path / "run", not_finite_from(0), known_start=False).fit()


def test_a_rate_that_ruins_the_weights_is_told_and_survived(tmp_path):
    settings = replace(SETTINGS, lr=1e30, clip_norm=0.0)
    told = trainer(tmp_path / "run", towards(1.0), settings, weight=0.9).fit()["kept"]
    assert told["kept"] == "start"
    assert torch.equal(kept_weight(tmp_path / "run"), torch.full((1, 4), 0.9))


@pytest.mark.parametrize("step", [3, 10, 26, 39])
def test_a_killed_run_keeps_the_same(tmp_path, step):
    whole = trainer(tmp_path / "whole", towards(3.0)).fit()["kept"]
    killed = trainer(tmp_path / "killed", towards(3.0))
    ordinary = killed._step

    def dying(*arguments):
        if killed.position.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return ordinary(*arguments)

    killed._step = dying
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    resumed = trainer(tmp_path / "killed", towards(3.0)).fit(resume=True)["kept"]
    assert resumed == whole
    assert torch.equal(kept_weight(tmp_path / "killed"), kept_weight(tmp_path / "whole"))
    assert trainer(tmp_path / "killed", towards(3.0)).fit(resume=True)["kept"] == whole


def test_measuring_changes_nothing_of_the_training(tmp_path):
    measured = trainer(tmp_path / "a", towards(1.0))
    measured.fit()
    plain = trainer(tmp_path / "b", towards(1.0))
    plain.measure = plain.keeper = None
    assert "kept" not in plain.fit()
    assert torch.equal(measured.bare.weight, plain.bare.weight)


def test_trained_weights_are_given_up_only_for_what_is_certainly_better():
    start = {"a": [0.5] * 8, "b": [0.2, 0.4]}
    assert certainty(start, {"a": [0.6] * 8, "b": [0.3, 0.5]}) == 1.0
    assert certainty(start, {"a": [0.4] * 8, "b": [0.1, 0.3]}) == 0.0
    mixed = {"a": [0.9, 0.1] * 4, "b": [0.2, 0.4]}
    assert 0.2 < certainty(start, mixed) < 0.8
    assert Candidate("end", 3, start).score == pytest.approx(0.4)


def test_rate_and_statistics_follow_from_the_start():
    def settled(start, verified):
        found = settled_for(TrainingSettings(), start, verified=verified)
        return found.lr, found.freeze_norm

    assert settled("random", False) == settled("random", True) == (3e-3, False)
    assert settled("backbone", True) == (1e-3, False)
    assert settled("trained", True) == (3e-3, False)
    assert settled("trained", False) == (3e-4, True)
    given = settled_for(TrainingSettings(lr=0.5, adapt_norm=True), "trained", verified=False)
    assert (given.lr, given.freeze_norm) == (0.5, False)
    with pytest.raises(RunError, match="exclude each other"):
        settled_for(TrainingSettings(freeze_norm=True, adapt_norm=True), "trained", verified=True)
    with pytest.raises(RunError, match="random weights have none"):
        settled_for(TrainingSettings(freeze_norm=True), "random", verified=True)
