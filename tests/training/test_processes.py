"""Several processes train as one: the same gradients, one clock, one stop, one clear error."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from samepoint.errors import DataError, RunError
from samepoint.training.checkpoint import read_checkpoint
from samepoint.training.engine import Trainer
from samepoint.training.keeping import Measure
from samepoint.training.loader import generator_for
from samepoint.training.log import read_log
from samepoint.training.plan import Part, Stage
from samepoint.training.processes import on_devices, own_buffers
from samepoint.training.settings import TrainingSettings

SETTINGS = TrainingSettings(
    steps=6, device="cpu", devices=2, workers=0, log_every=1, lr=1e-2, precision="32-true"
)


class Numbers:
    def sample(self, generator):
        return torch.randn(8, 4, generator=generator)


def squared(network, batch, generator):
    return {"loss": (network(batch) - batch.sum(1, keepdim=True)).square().mean()}


def not_finite_in_the_second(network, batch, generator):
    factor = float("nan") if os.environ["LOCAL_RANK"] == "1" else 1.0
    return {"loss": factor * network(batch).square().mean()}


def bad_input(network, batch, generator):
    raise DataError("there is no image", where="here")


class StopOnce:
    """Asks the parent process to end at the third batch, the first time only."""

    def __init__(self, flag: Path) -> None:
        self.flag, self.calls = flag, 0

    def __call__(self, network, batch, generator):
        self.calls += 1
        if self.calls == 3 and os.environ["LOCAL_RANK"] == "0" and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getppid(), signal.SIGTERM)
        return squared(network, batch, generator)


def killed(network, batch, generator):
    """The second process is killed without a word, as when memory runs out."""
    if os.environ["LOCAL_RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return squared(network, batch, generator)


def toy():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def fit(fabric, settings, run, objective, resume=False, measure=None):
    run.mkdir(exist_ok=True)
    stage = Stage("only", (Part("numbers", Numbers(), objective),))
    return Trainer(fabric, toy(), (stage,), settings, run, {"method": "toy"}, measure).fit(resume=resume)


def nearness(network):
    """Measured in the first process alone."""
    assert os.environ["LOCAL_RANK"] == "0"
    batch = torch.ones(3, 4)
    return {"sums": (-(network(batch) - batch.sum(1, keepdim=True)).abs()[:, 0]).tolist()}


def test_two_processes_take_the_mean_of_their_gradients(tmp_path):
    on_devices(SETTINGS, fit, SETTINGS, tmp_path, squared)
    twin = toy()
    optimizer = torch.optim.AdamW(twin.parameters(), lr=SETTINGS.lr, weight_decay=SETTINGS.weight_decay)
    rates = [float(row["lr"]) for row in read_log(tmp_path)]
    for step, rate in enumerate(rates):
        keys = [(SETTINGS.seed, rank, "only", "numbers", step) for rank in range(2)]
        batches = [Numbers().sample(generator_for(*key)) for key in keys]
        loss = torch.stack([squared(twin, batch, None)["loss"] for batch in batches]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), SETTINGS.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    assert len(rates) == 6
    torch.testing.assert_close(
        read_checkpoint(tmp_path)["network"], dict(twin.state_dict()), rtol=1e-4, atol=1e-6
    )


def test_a_killed_run_of_two_processes_resumes_to_the_same_weights(tmp_path):
    settings = replace(SETTINGS, steps=12)
    on_devices(settings, fit, settings, tmp_path / "whole", squared)
    stopping = StopOnce(tmp_path / "flag")
    with pytest.raises(KeyboardInterrupt):
        on_devices(settings, fit, settings, tmp_path / "killed", stopping)
    assert 3 <= read_checkpoint(tmp_path / "killed")["step"] < 12
    on_devices(settings, fit, settings, tmp_path / "killed", stopping, True)
    whole, killed = (read_checkpoint(tmp_path / name)["network"] for name in ("whole", "killed"))
    for name in whole:
        assert torch.equal(whole[name], killed[name])


def test_the_first_process_measures_and_says_what_is_kept(tmp_path):
    settings = replace(SETTINGS, steps=12)
    measure = Measure(nearness, "three sums", known_start=True)
    told = on_devices(settings, fit, settings, tmp_path, squared, False, measure)["kept"]
    assert [row["step"] for row in told["candidates"] if row["name"] != "halfway"] == [0, 5, 10, 12]
    ended = read_checkpoint(tmp_path)
    assert torch.equal(ended["kept"]["0.weight"], ended["network"]["0.weight"])


def test_processes_share_one_clock(tmp_path):
    settings = replace(SETTINGS, steps=None, minutes=0.02)
    metrics = on_devices(settings, fit, settings, tmp_path, squared)
    assert metrics["seconds"] >= 1.2
    assert metrics["steps"] == len(read_log(tmp_path))


def test_a_loss_that_is_not_finite_in_one_process_ends_all_with_one_line(tmp_path):
    with pytest.raises(RunError, match="not finite at step 1"):
        on_devices(SETTINGS, fit, SETTINGS, tmp_path, not_finite_in_the_second)


def test_bad_input_met_by_the_processes_is_one_line(tmp_path):
    with pytest.raises(DataError, match="here: there is no image"):
        on_devices(SETTINGS, fit, SETTINGS, tmp_path, bad_input)


def test_a_process_that_is_killed_ends_the_run_with_one_line(tmp_path):
    with pytest.raises(RunError, match=r"process \d of the training failed .*go on with --resume"):
        on_devices(SETTINGS, fit, SETTINGS, tmp_path, killed)


def test_devices_that_are_not_there_are_refused():
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises(RunError, match="2 devices of kind 'cuda' are not to be had"):
        on_devices(replace(SETTINGS, device="cuda"), fit)


def test_the_argument_for_own_buffers_is_one_that_torch_has(monkeypatch):
    class Older:
        def __init__(self, module, broadcast_buffers=True):
            pass

    class Newer:
        def __init__(self, module, broadcast_buffers=None, forward_sync_buffers=None):
            pass

    for kind, name in ((Older, "broadcast_buffers"), (Newer, "forward_sync_buffers")):
        monkeypatch.setattr("samepoint.training.processes.DistributedDataParallel", kind)
        assert own_buffers() == {name: False}
