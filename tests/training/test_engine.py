"""The engine on a toy problem: it learns, keeps its budget, and goes on after a kill as if nothing had been."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

from samepoint.errors import RunError
from samepoint.training import checkpoint
from samepoint.training.engine import Trainer
from samepoint.training.log import read_log
from samepoint.training.plan import Budget, Part, Ramp, Stage, stage_at
from samepoint.training.processes import make_fabric
from samepoint.training.settings import TrainingSettings

SETTINGS = TrainingSettings(steps=30, device="cpu", workers=0, log_every=5, lr=1e-2, precision="32-true")


class Numbers:
    def sample(self, generator):
        return torch.randn(8, 4, generator=generator)


def sum_of_inputs(network, batch, generator):
    noise = 0.01 * torch.randn(len(batch), 1, generator=generator)
    return {"loss": (network(batch) - batch.sum(1, keepdim=True) + noise).square().mean()}


def two_stages():
    part = Part("numbers", Numbers(), sum_of_inputs)
    return (
        Stage("first", (part,)),
        Stage("second", (part, Part("more", Numbers(), sum_of_inputs, 0.5)), 2.0),
    )


def trainer(run, settings=SETTINGS, stages=None, objective=None, identity=None):
    run.mkdir(exist_ok=True)
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Tanh(), nn.Linear(8, 1))
    if objective is not None:
        stages = (Stage("only", (Part("numbers", Numbers(), objective),)),)
    fabric = make_fabric(settings)
    fabric.launch()
    return Trainer(fabric, network, stages or two_stages(), settings, run, identity or {"method": "toy"})


def kill_before(subject, step):
    ordinary = subject._step

    def dying(*arguments):
        if subject.position.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return ordinary(*arguments)

    subject._step = dying


def test_learns(tmp_path):
    subject = trainer(tmp_path / "run", replace(SETTINGS, steps=300))
    subject.fit()
    rows = read_log(tmp_path / "run")
    assert float(rows[-1]["numbers/loss"]) < 0.3 * float(rows[0]["numbers/loss"])


@pytest.mark.parametrize("step", [4, 13])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path, step, workers):
    settings = replace(SETTINGS, workers=workers)
    whole = trainer(tmp_path / "whole", settings)
    whole.fit()
    killed = trainer(tmp_path / "killed", settings)
    kill_before(killed, step)
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    resumed = trainer(tmp_path / "killed", settings)
    assert resumed.fit(resume=True)["steps"] == 30
    for a, b in zip(whole.bare.state_dict().values(), resumed.bare.state_dict().values()):
        assert torch.equal(a, b)
    assert [row["step"] for row in read_log(tmp_path / "killed")] == [
        row["step"] for row in read_log(tmp_path / "whole")
    ]


def test_a_minutes_run_goes_on_with_the_minutes_that_are_left(tmp_path):
    settings = replace(SETTINGS, steps=None, minutes=0.05)
    killed = trainer(tmp_path / "run", settings)
    kill_before(killed, 10)
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    used = checkpoint.read_checkpoint(tmp_path / "run")["seconds"]
    resumed = trainer(tmp_path / "run", settings)
    total = resumed.fit(resume=True)["seconds"]
    assert used > 0
    assert total >= 3.0
    assert read_log(tmp_path / "run")[-1]["step"] == str(resumed.position.step)
    assert resumed.position.step > 10


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path):
    first, second = trainer(tmp_path / "a"), trainer(tmp_path / "b", replace(SETTINGS, workers=2))
    first.fit()
    second.fit()
    for a, b in zip(first.bare.state_dict().values(), second.bare.state_dict().values()):
        assert torch.equal(a, b)


def test_accumulation_averages_gradients(tmp_path):
    """Plain gradient of two micro-batches in one step = the gradient of both batches together."""
    settings = replace(SETTINGS, steps=1, accumulate=2, clip_norm=0.0, weight_decay=0.0)
    subject = trainer(tmp_path / "run", settings, objective=lambda n, b, g: {"loss": n(b).square().mean()})
    subject.bare[1].p = 0.0
    seen = []
    subject.optimizer.step = lambda *_, **__: seen.append([p.grad.clone() for p in subject.bare.parameters()])
    batches = []
    source = subject.stages[0].parts[0].source
    source.sample = lambda g, draw=source.sample: batches.append(draw(g)) or batches[-1]
    subject.fit()
    expected = torch.autograd.grad(
        subject.bare(torch.cat(batches[:2])).square().mean(), list(subject.bare.parameters())
    )
    for ours, theirs in zip(seen[0], expected):
        torch.testing.assert_close(ours, theirs)


def test_the_log_says_stage_and_waiting_share(tmp_path):
    trainer(tmp_path / "run").fit()
    rows = read_log(tmp_path / "run")
    assert [row["stage"] for row in rows] == ["first"] * 2 + ["second"] * 4
    assert all(0 <= float(row["data_wait"]) <= 1 for row in rows)
    assert rows[0]["more/loss"] == ""
    assert float(rows[-1]["more/loss"]) > 0
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_a_loss_that_is_not_finite_stops_with_one_line(tmp_path):
    subject = trainer(tmp_path / "run", objective=lambda n, b, g: {"loss": n(b).mean() * float("nan")})
    with pytest.raises(RunError, match="not finite at step 1"):
        subject.fit()


def test_another_run_is_not_resumed(tmp_path):
    trainer(tmp_path / "run").fit()
    other = trainer(tmp_path / "run", identity={"method": "other"})
    with pytest.raises(RunError, match="started with method = 'toy', not 'other'"):
        other.fit(resume=True)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    trainer(tmp_path / "run", replace(SETTINGS, steps=5)).fit()
    before = checkpoint.checkpoint_path(tmp_path / "run").read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"could not be written \(the disk is full\)"):
        checkpoint.write_checkpoint(tmp_path / "run", {"step": 9})
    assert checkpoint.checkpoint_path(tmp_path / "run").read_bytes() == before
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["last.ckpt"]


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path):
    path = checkpoint.checkpoint_path(tmp_path)
    with pytest.raises(RunError, match="no checkpoint"):
        checkpoint.read_checkpoint(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match="cannot be read"):
        checkpoint.read_checkpoint(tmp_path)
    torch.save({"version": 99}, path)
    with pytest.raises(RunError, match="another version"):
        checkpoint.read_checkpoint(tmp_path)


def test_bf16_autocast_trains(tmp_path):
    """Products are of 16 bits, weights stay of 32, and it learns."""
    kinds = set()

    def squared(network, batch, generator):
        out = network(batch)
        kinds.add(out.dtype)
        return {"loss": (out.float() - batch.sum(1, keepdim=True)).square().mean()}

    subject = trainer(tmp_path / "run", replace(SETTINGS, precision="bf16-mixed", steps=100), None, squared)
    subject.fit()
    rows = read_log(tmp_path / "run")
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in subject.bare.parameters()} == {torch.float32}
    assert float(rows[-1]["numbers/loss"]) < 0.6 * float(rows[0]["numbers/loss"])


def test_stage_boundaries_follow_the_shares():
    stages = two_stages()
    assert [stage_at(stages, p)[0] for p in (0.0, 0.33, 0.34, 1.0)] == [0, 0, 1, 1]
    assert stage_at(stages, 2 / 3)[1] == pytest.approx(0.5)


def test_a_budget_is_steps_or_minutes():
    with pytest.raises(ValueError, match="either steps or minutes"):
        Budget()
    with pytest.raises(ValueError, match="either steps or minutes"):
        Budget(steps=3, minutes=1.0)
    assert Budget(steps=10).progress(5, 99.0) == 0.5
    assert Budget(minutes=2.0).progress(5, 60.0) == 0.5


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_normalisation_keeps_its_statistics_and_learns_its_weights(tmp_path, frozen):
    settings = replace(SETTINGS, steps=5, freeze_norm=frozen)
    torch.manual_seed(3)
    norm = nn.BatchNorm1d(8)
    network = nn.Sequential(nn.Linear(4, 8), norm, nn.Tanh(), nn.Linear(8, 1))
    mean, weight = norm.running_mean.clone(), norm.weight.detach().clone()
    fabric = make_fabric(settings)
    fabric.launch()
    (tmp_path / "run").mkdir()
    Trainer(fabric, network, two_stages(), settings, tmp_path / "run", {"method": "toy"}).fit()
    assert torch.equal(norm.running_mean, mean) == frozen
    assert not torch.equal(norm.weight, weight)


def test_a_part_whose_ramp_has_not_begun_is_not_called_and_counts_fully_at_its_end(tmp_path):
    seen = []

    def late(network, batch, generator):
        seen.append(len(losses))
        return sum_of_inputs(network, batch, generator)

    losses = []

    def always(network, batch, generator):
        losses.append(1)
        return sum_of_inputs(network, batch, generator)

    parts = (Part("always", Numbers(), always), Part("late", Numbers(), late, Ramp(3.0, 0.5, 0.8)))
    trainer(tmp_path / "run", stages=(Stage("only", parts),)).fit()
    assert seen == list(range(17, 31))  # steps 16 to 29: at half the way the weight is still 0
    rows = read_log(tmp_path / "run")
    assert rows[0]["late/loss"] == ""
    last = rows[-1]
    assert float(last["loss"]) == pytest.approx(
        float(last["always/loss"]) + 3 * float(last["late/loss"]), rel=1e-4
    )
    assert [parts[1].weight_at(p) for p in (0.4, 0.5, 0.65, 0.8, 1.0)] == pytest.approx([0, 0, 1.5, 3, 3])


def test_a_run_that_is_killed_within_a_ramp_ends_like_one_that_is_not(tmp_path):
    def stages():
        parts = (
            Part("a", Numbers(), sum_of_inputs),
            Part("b", Numbers(), sum_of_inputs, Ramp(2.0, 0.2, 0.9)),
        )
        return (Stage("only", parts),)

    whole = trainer(tmp_path / "whole", stages=stages())
    whole.fit()
    killed = trainer(tmp_path / "killed", stages=stages())
    kill_before(killed, 17)
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    again = trainer(tmp_path / "killed", stages=stages())
    again.fit(resume=True)
    for one, other in zip(whole.bare.parameters(), again.bare.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("step", [1e-2] * 10 + [5e-3] * 10 + [2.5e-3] * 10),
        ("exponential", [1e-2 * 0.5 ** (step / 10) for step in range(30)]),
    ],
)
def test_schedules_of_steps(tmp_path, schedule, expected):
    """They count the steps of the run, over the borders of stages, and have no warm-up."""
    settings = replace(SETTINGS, schedule=schedule, schedule_factor=0.5, schedule_every=10, log_every=1)
    trainer(tmp_path / "run", settings).fit()
    rates = [float(row["lr"]) for row in read_log(tmp_path / "run")]
    assert rates == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("schedule", ["step", "exponential"])
def test_a_killed_run_of_a_paper_s_setting_resumes_to_the_same_weights(tmp_path, schedule):
    settings = replace(
        SETTINGS, schedule=schedule, schedule_factor=0.5, schedule_every=7, optimizer="adam", weight_decay=0.1
    )
    whole = trainer(tmp_path / "whole", settings)
    whole.fit()
    killed = trainer(tmp_path / "killed", settings)
    kill_before(killed, 11)
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    resumed = trainer(tmp_path / "killed", settings)
    resumed.fit(resume=True)
    for a, b in zip(whole.bare.state_dict().values(), resumed.bare.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_weight_decay_of_adam_is_in_the_gradient(tmp_path):
    """L2: the first step of Adam moves every weight by the rate, whatever the strength; that of AdamW by the rate
    times the strength times the weight."""
    moved = {}
    for optimizer in ("adam", "adamw"):
        settings = replace(
            SETTINGS,
            steps=1,
            optimizer=optimizer,
            weight_decay=0.5,
            clip_norm=0.0,
            schedule="step",
            lr=1e-3,
        )
        subject = trainer(
            tmp_path / optimizer,
            settings,
            objective=lambda network, batch, generator: {"loss": 0 * network(batch).sum()},
        )
        before = subject.bare[0].weight.detach().clone()
        subject.fit()
        moved[optimizer] = (before, before - subject.bare[0].weight.detach())
    before, change = moved["adam"]
    torch.testing.assert_close(change, 1e-3 * before.sign(), rtol=1e-2, atol=1e-6)
    before, change = moved["adamw"]
    torch.testing.assert_close(change, 1e-3 * 0.5 * before, rtol=1e-2, atol=1e-7)


@pytest.mark.parametrize("wrong", [{"schedule_factor": 0.0}, {"schedule_factor": 1.5}, {"schedule_every": 0}])
def test_a_schedule_that_cannot_be(wrong):
    with pytest.raises(RunError, match="--schedule-"):
        TrainingSettings(**wrong)


def test_an_older_run_was_trained_with_adamw(tmp_path):
    state = {"identity": {"method": "toy"}}
    checkpoint.check_identity(state, {"method": "toy", "optimizer": "adamw"}, tmp_path)
    with pytest.raises(RunError, match="optimizer = 'adamw', not 'adam'"):
        checkpoint.check_identity(state, {"method": "toy", "optimizer": "adam"}, tmp_path)


def test_weight_decay_leaves_biases_alone(tmp_path):
    """Without a gradient all but the biases shrink."""
    subject = trainer(
        tmp_path / "run",
        replace(SETTINGS, weight_decay=0.5, clip_norm=0.0),
        objective=lambda network, batch, generator: {"loss": 0 * network(batch).sum()},
    )
    before = {name: value.detach().clone() for name, value in subject.bare.named_parameters()}
    subject.fit()
    for name, value in subject.bare.named_parameters():
        if name.endswith("bias"):
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)
        else:
            assert float(value.abs().sum()) < 0.99 * float(before[name].abs().sum())
