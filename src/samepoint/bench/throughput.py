"""How many images a second a training takes in, and where its time goes.

The engine itself is timed, by hooks: the source's `sample` is data loading; in the objective, what is outside the
network is augmentation before its last pass and matching after it; from there to the optimiser's step it is the
backward pass (clipping counted in).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from samepoint.data.store import FrameStore
from samepoint.training.engine import Trainer
from samepoint.training.plan import Part, Source, Stage
from samepoint.training.precision import settled
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.training import Recipe

PHASES = ("data", "augmentation", "forward", "matching", "backward", "optimiser")


def training_throughput(
    recipe: Recipe,
    store: FrameStore,
    settings: TrainingSettings,
    *,
    steps: int = 20,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Median milliseconds a step of each phase and their shares, and images a second end to end."""
    clock = Clock("cuda" if settings.device == "cuda" else "cpu")
    settings = replace(settings, steps=steps, minutes=None, workers=0, precision=settled(settings))
    network = recipe.build(store, "random", torch.Generator().manual_seed(0))
    stage = recipe.stages(store)[-1]  # where a method has several, the last is its own
    sources = [_TimedSource(part.source, clock) for part in stage.parts]
    parts = tuple(
        replace(part, source=source, objective=_timed(part, clock))
        for part, source in zip(stage.parts, sources, strict=True)
    )
    fabric = Fabric(accelerator=clock.device, devices=1, precision=settings.precision)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as run:
        trainer = Trainer(fabric, network, (Stage("bench", parts),), settings, Path(run), {})
        network.register_forward_pre_hook(lambda *_: clock.mark("augmentation"))
        network.register_forward_hook(lambda *_: clock.mark("forward"))
        optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
        optimizer.register_step_pre_hook(lambda *_: clock.mark("backward"))
        optimizer.register_step_post_hook(lambda *_: clock.end_step())
        trainer.fit()
    row = clock.summary()
    images = sum(_images(source.last) for source in sources)
    row["images_per_second"] = round(1e3 * images / row["step_ms"], 1)
    shares = ", ".join(f"{name} {100 * row['share'][name]:.0f} %" for name in PHASES)
    say(
        f"{recipe.name:15} {row['images_per_second']:7.1f} images/s, a step {row['step_ms']:.0f} ms: {shares}"
    )
    return {"method": recipe.name, "precision": settings.precision, "steps": steps, **row}


class Clock:
    """Adds up what passes between marks, step by step; the first three steps do not count."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.steps: list[dict[str, float]] = []
        self.now: dict[str, float] = dict.fromkeys(PHASES, 0.0)
        self.last = time.perf_counter()

    def mark(self, phase: str) -> None:
        """What has passed since the last mark belongs to `phase`."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.now[phase] += 1e3 * (now - self.last)
        self.last = now

    def skip(self) -> None:
        """What has passed belongs to no phase (the loop itself: logging, rates)."""
        self.last = time.perf_counter()

    def end_step(self) -> None:
        self.mark("optimiser")
        self.steps.append(self.now)
        self.now = dict.fromkeys(PHASES, 0.0)

    def summary(self) -> dict[str, Any]:
        steps = self.steps[3:]
        phases = {name: statistics.median(step[name] for step in steps) for name in PHASES}
        whole = sum(phases.values())
        return {
            "step_ms": round(whole, 2),
            "ms": {name: round(value, 2) for name, value in phases.items()},
            "share": {name: round(value / whole, 4) for name, value in phases.items()},
        }


class _TimedSource:
    def __init__(self, source: Source, clock: Clock) -> None:
        self.source, self.clock, self.last = source, clock, None

    def sample(self, generator: torch.Generator) -> Any:
        self.clock.skip()
        self.last = self.source.sample(generator)
        self.clock.mark("data")
        return self.last


def _timed(part: Part, clock: Clock) -> Callable[..., dict[str, Tensor]]:
    def objective(network: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        terms = part.objective(network, batch, generator)
        clock.mark("matching")
        return terms

    return objective


def _images(batch: Any) -> int:
    """Images that go into the network: both sides of a pair, both copies of an image."""
    first = batch.image_a if hasattr(batch, "image_a") else batch.image
    return 2 * len(first)
