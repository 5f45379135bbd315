"""The training loop. It knows no method: it draws batches, sums the objectives of the running stage, steps the
optimiser, logs, and keeps a checkpoint from which a killed run goes on.

Devices, precision, and distribution are Lightning Fabric's; the loop is ours because a run may be bounded by
minutes and has stages, and must go on after a kill exactly where it was.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from samepoint.errors import RunError
from samepoint.geometry.precision import double_of
from samepoint.training.checkpoint import check_identity, read_checkpoint, write_checkpoint
from samepoint.training.keeping import SLOWER, Keeper, Measure, Name, copied, due, marks_before
from samepoint.training.loader import StepBatches, generator_for, step_loader
from samepoint.training.log import ProgressLine, TrainingLog
from samepoint.training.plan import Ramp, Stage, stage_at
from samepoint.training.schedule import decay_factor, rate_factor
from samepoint.training.settings import TrainingSettings
from samepoint.training.signals import stop_signals

OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}


@dataclass
class Position:
    """How far a run is: optimiser steps and seconds of training, kills not counted."""

    step: int = 0
    seconds: float = 0.0


@dataclass
class Meter:
    """What happened since the last row of the log."""

    started: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    steps: int = 0
    terms: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        for name, value in terms.items():
            self.terms.setdefault(name, []).append(value.detach())

    def row(self) -> dict[str, float]:
        elapsed = max(1e-9, time.monotonic() - self.started)
        means = {name: torch.stack(values).float().mean().item() for name, values in self.terms.items()}
        return {"steps_per_second": self.steps / elapsed, "data_wait": self.waited / elapsed, **means}


class NotFinite(RunError):
    """The loss of a step is not a finite number."""


class Trainer:
    """Trains `network` through `stages` into the folder `run`, in each process of `fabric` (see `processes`).

    `identity` says what is trained on what; a resumed run must have the same. Raises RunError when the loss is
    not finite, a checkpoint cannot be written, or a resumed run is another one. SIGTERM and Ctrl-C write a
    checkpoint before they end the run.
    """

    def __init__(
        self,
        fabric: Fabric,
        network: nn.Module,
        stages: tuple[Stage, ...],
        settings: TrainingSettings,
        run: Path,
        identity: Mapping[str, Any],
        measure: Measure | None = None,
    ) -> None:
        self.settings, self.stages, self.run_folder, self.identity = settings, stages, run, dict(identity)
        self.fabric = fabric
        optimizer = OPTIMIZERS[settings.optimizer](
            decayed_but_biases(network), lr=settings.rate, weight_decay=settings.weight_decay
        )
        self.bare = network.to(self.fabric.device)
        self.measure, self.measured_step, self.marks = measure, 0, 0
        self.start = copied(self.bare.state_dict()) if measure is not None else {}
        self.retreated: int | None = None
        self.keeper = None
        if measure is not None and self.fabric.is_global_zero:
            self.keeper = Keeper(measure, self.start)
        self.outcome: dict[str, Any] | None = None
        self.network = _UnderPrecision(self.fabric, self.fabric.strategy.setup_module(self.bare))
        self.optimizer: Any = self.fabric.setup_optimizers(optimizer)
        self.position = Position()
        self.interrupted = threading.Event()

    def fit(self, *, resume: bool = False) -> dict[str, Any]:
        """Train until the budget is used; returns what metrics.json should say of the training."""
        if resume:
            self._restore()
        if self.position.step == 0:
            self._measure("start")
        self._learning()
        log = TrainingLog(self.run_folder, step=self.position.step) if self.fabric.is_global_zero else None
        line, failed = ProgressLine(), None
        # the run ends after the step at hand, with a checkpoint
        with stop_signals(lambda _: self.interrupted.set()):
            try:
                while self._progress() < 1:
                    self._run_stage(log, line)
            except NotFinite as error:
                if not self._has_better():
                    raise
                failed = error.what
            finally:
                line.close()
                if log:
                    log.close()
        self._settle(failed)
        last = log.rows[-1] if log and log.rows else {}
        waits = [float(row["data_wait"]) for row in log.rows] if log else []
        return {
            "steps": self.position.step,
            "seconds": round(self.position.seconds, 1),
            "loss": float(last["loss"]) if last else None,
            "data_wait": round(sum(waits) / len(waits), 4) if waits else None,
            **({"kept": self.outcome} if self.outcome else {}),
        }

    def _learning(self) -> None:
        """Training mode, but for the statistics that are to stay."""
        self.network.train()
        if self.settings.freeze_norm or self.retreated is not None:
            freeze_norm(self.network)

    def _retreat(self) -> None:
        """Where the first checkpoint is worse than the start: begin again from there, in all processes, at a lower
        rate and with the start's statistics."""
        if self.measure is None or not self.measure.retreats or self.retreated is not None:
            return
        if self.fabric.broadcast(self.keeper is not None and self.keeper.loses()):
            self.bare.load_state_dict(self.start)
            self.optimizer.state.clear()
            self.retreated = self.position.step
            self._learning()

    def _measure(self, name: Name) -> float:
        """Measure the weights as they are, in the first process; the others wait. Seconds that it took."""
        began = time.monotonic()
        self.measured_step = self.position.step
        if self.measure is None:
            return 0.0
        if self.keeper:
            self._score(self.keeper, name)
        self.fabric.barrier()
        self._learning()
        return time.monotonic() - began

    def _score(self, keeper: Keeper, name: Name) -> None:
        """In the first process alone, and not by way of the network that waits for the others."""
        alone = _UnderPrecision(self.fabric, self.bare)
        keeper.add(name, self.position.step, alone, self.bare.state_dict())

    def _has_better(self) -> bool:
        """Whether there is something to fall back to when the training fails, in all processes alike."""
        return self.measure is not None and (self.measure.known_start or self.marks > 0)

    def _settle(self, failed: str | None) -> None:
        """Choose what is kept, and write it beside the last weights."""
        kept = None
        if not failed and self.position.step > 0:
            self._measure("end")
        if self.keeper and self.outcome is None:
            between = self.keeper.halfway()
            if between is not None:
                last = copied(self.bare.state_dict())
                self.bare.load_state_dict(between)
                self._score(self.keeper, "halfway")
                self.bare.load_state_dict(last)
            kept, self.outcome = self.keeper.choose(failed)
            if self.retreated is not None:
                self.outcome |= {"retreated": self.retreated}
                how = f"from which it went on at {SLOWER:g} of the rate"
                self.outcome["line"] += f"; step {self.retreated} was worse than the start, {how}"
        useless = self.keeper is not None and not self.keeper.usable
        if self.measure is not None and self.fabric.broadcast(useless):
            line = failed or "the weights are not finite numbers at the end of the training"
            raise RunError(line, where=self.run_folder, mend="lower --lr")
        self._save(kept)

    def _progress(self) -> float:
        return self.settings.budget.progress(self.position.step, self.position.seconds)

    def _run_stage(self, log: TrainingLog | None, line: ProgressLine) -> None:
        """Steps of the stage that is due, until the next one is or the budget is used."""
        index, _ = stage_at(self.stages, self._progress())
        stage, settings = self.stages[index], self.settings
        batches = StepBatches(
            stage,
            seed=settings.seed,
            rank=self.fabric.global_rank,
            first_step=self.position.step,
            accumulate=settings.accumulate,
        )
        loader = iter(step_loader(batches, settings.workers))
        meter, saved, tick = Meter(), time.monotonic(), time.monotonic()
        while self._progress() < 1 and stage_at(self.stages, self._progress())[0] == index:
            if due(self._progress(), self.marks, self.position.step - self.measured_step):
                spent = self._measure("checkpoint")  # not training time
                if self.marks == 0:
                    self._retreat()
                self.marks = marks_before(self._progress())
                tick, meter.started = tick + spent, meter.started + spent
            _, passed = stage_at(self.stages, self._progress())
            lr = self._set_rate(passed)
            terms = self._step(stage, loader, meter, passed)
            meter.add(terms)
            now = time.monotonic()
            self.position.step += 1
            self.position.seconds += now - tick
            tick = now
            stopped = self._agree(terms["loss"])
            done = self._progress()
            if log and (self.position.step % settings.log_every == 0 or done >= 1):
                place = {"step": self.position.step, "seconds": round(self.position.seconds, 2)}
                row = {**place, "stage": stage.name, "lr": lr, **meter.row()}
                log.add(row)
                line.show(self.position.step, done, self.position.seconds, row)
                meter = Meter()
            if stopped:
                self._save()
                raise KeyboardInterrupt
            if now - saved > 60 * settings.checkpoint_minutes:
                self._save()
                saved = time.monotonic()

    def _step(self, stage: Stage, loader: Any, meter: Meter, passed: float) -> dict[str, Tensor]:
        """One optimiser step over `accumulate` micro-batches of every part of the stage, of which the share `passed`
        is over."""
        settings, logged = self.settings, {}
        torch.manual_seed(generator_for(settings.seed, self.position.step, "global").initial_seed())
        for micro in range(settings.accumulate):
            asked = time.monotonic()
            batches = next(loader)
            meter.waited += time.monotonic() - asked
            last = micro == settings.accumulate - 1
            with self.network.without_sync(not last):
                terms = self._terms(stage, batches, micro, passed)
                self.fabric.backward(terms["loss"] / settings.accumulate)
            logged = {name: value.detach() for name, value in terms.items()}
        if settings.clip_norm > 0:
            self.fabric.clip_gradients(
                self.bare, self.optimizer, max_norm=settings.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        meter.steps += 1
        return logged

    def _agree(self, loss: Tensor) -> bool:
        """All processes get one clock, stop together (the result), and fail together on a loss that is not finite."""
        failed = self.settings.precision != "16-mixed" and not torch.isfinite(loss)
        seen = torch.tensor(
            [self.position.seconds, float(self.interrupted.is_set()), float(failed)], dtype=torch.float64
        )
        if self.fabric.world_size > 1:
            seen = seen.to(self.fabric.device)
            torch.distributed.all_reduce(seen, torch.distributed.ReduceOp.MAX)
        self.position.seconds, stopped, failed = seen.tolist()
        if failed:
            raise NotFinite(
                f"the loss is not finite at step {self.position.step}",
                where=self.run_folder,
                mend="lower --lr; the last checkpoint is intact",
            )
        return bool(stopped)

    def _terms(self, stage: Stage, batches: tuple[Any, ...], micro: int, passed: float) -> dict[str, Tensor]:
        """The weighted sum of the parts as `loss`, and every part's numbers under its name."""
        terms: dict[str, Tensor] = {}
        total: Tensor | None = None
        for part, batch in zip(stage.parts, batches, strict=True):
            weight = part.weight_at(passed)
            if weight == 0 and isinstance(part.weight, Ramp):
                continue
            key = (self.settings.seed, self.fabric.global_rank, self.position.step, micro, part.name)
            found = part.objective(self.network, to_device(batch, self.fabric.device), generator_for(*key))
            weighted = weight * found["loss"]
            total = weighted if total is None else total + weighted
            terms |= {f"{part.name}/{name}": value for name, value in found.items()}
        assert total is not None, "a stage has at least one part"
        return {"loss": total, **terms}

    def _set_rate(self, stage_progress: float) -> float:
        settings = self.settings
        rate = settings.rate * (1.0 if self.retreated is None else SLOWER)
        if settings.schedule in ("step", "exponential"):
            decay = settings.schedule_factor, settings.schedule_every
            lr = rate * decay_factor(settings.schedule, self.position.step, *decay)
        else:
            lr = rate * rate_factor(settings.schedule, stage_progress)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _save(self, kept: Mapping[str, Tensor] | None = None) -> None:
        """Write a checkpoint; at the end with the weights that are `kept`."""
        if self.fabric.is_global_zero:
            state = {
                "step": self.position.step,
                "seconds": self.position.seconds,
                "network": self.bare.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
                "identity": self.identity,
                "marks": self.marks,
                "retreated": self.retreated,
                "measured_step": self.measured_step,
                "keeper": self.keeper.state_dict() if self.keeper else None,
                "kept": None if kept is None else dict(kept),
                "outcome": self.outcome,
            }
            write_checkpoint(self.run_folder, state)
        self.fabric.barrier()

    def _restore(self) -> None:
        state = read_checkpoint(self.run_folder)
        check_identity(state, self.identity, self.run_folder)
        self.bare.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.position = Position(state["step"], state["seconds"])
        self.marks, self.measured_step = state["marks"], state["measured_step"]
        self.retreated = state["retreated"]
        if self.keeper and state["keeper"]:
            self.keeper.load_state_dict(state["keeper"])


def decayed_but_biases(network: nn.Module) -> list[dict[str, Any]]:
    """The trained parameters in two groups: biases have no weight decay (seed 003, section 3.2)."""
    trained = [(name, value) for name, value in network.named_parameters() if value.requires_grad]
    biases = [value for name, value in trained if name.rsplit(".", 1)[-1] == "bias"]
    others = [value for name, value in trained if name.rsplit(".", 1)[-1] != "bias"]
    return [{"params": others}, {"params": biases, "weight_decay": 0.0}]


def freeze_norm(network: nn.Module) -> None:
    """Batch normalisation by the running statistics, which stay as they are."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def to_device(batch: Any, device: torch.device) -> Any:
    """A typed batch with its tensors on `device`; what is not a tensor stays as it is."""
    if isinstance(batch, Tensor):
        known = batch.to(double_of(device)) if batch.dtype == torch.float64 else batch
        return known.to(device, non_blocking=True)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        moved = {f.name: to_device(getattr(batch, f.name), device) for f in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **moved)
    return batch


class _UnderPrecision(nn.Module):
    """The network under the run's precision; objectives call it like the network itself.

    Fabric's own wrapper converts what a network returns and cannot take a frozen dataclass apart.
    """

    def __init__(self, fabric: Fabric, network: nn.Module) -> None:
        super().__init__()
        self.fabric, self.network = fabric, network

    def forward(self, *inputs: Any) -> Any:
        with self.fabric.autocast():
            return self.network(*inputs)

    def without_sync(self, enabled: bool) -> Any:
        """No exchange of gradients between processes inside (all but the last of accumulated batches)."""
        if enabled and isinstance(self.network, nn.parallel.DistributedDataParallel):
            return self.network.no_sync()
        return nullcontext()
