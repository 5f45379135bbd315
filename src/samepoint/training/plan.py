"""What a method hands to the engine: stages of sources and objectives. The engine knows nothing else of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Objective = Callable[[nn.Module, Any, torch.Generator], dict[str, Tensor]]
"""(network, batch, generator) -> named numbers; `loss` is minimised. The batch is on the training device; the
generator is on the CPU and differs for each step and process, and is the same again after a resume."""

Scores = dict[str, list[float]]
"""By kind of question, one number a question; higher is better."""

Probe = Callable[[nn.Module], Scores]
"""What a network in evaluation mode is worth: the same questions every time."""


@runtime_checkable
class Source(Protocol):
    """Gives batches of one type. Runs in a loader worker, on the CPU."""

    def sample(self, generator: torch.Generator) -> Any:
        """A batch that depends on nothing but the generator."""
        ...


@dataclass(frozen=True)
class Ramp:
    """A weight that is 0 up to the share `start` of its stage, `weight` from the share `end` on, linear between."""

    weight: float
    start: float
    end: float

    def at(self, progress: float) -> float:
        if progress < self.start:
            return 0.0
        return self.weight * min(1.0, (progress - self.start) / max(1e-9, self.end - self.start))


@dataclass(frozen=True)
class Part:
    """One term of a training step: batches from a source, an objective, and the weight of its loss.

    While the weight is 0 the objective is not called.
    """

    name: str
    source: Source
    objective: Objective
    weight: float | Ramp = 1.0

    def weight_at(self, progress: float) -> float:
        """The weight when so large a share of the stage is over."""
        return self.weight.at(progress) if isinstance(self.weight, Ramp) else self.weight


@dataclass(frozen=True)
class Stage:
    """Parts that are summed in each step, for a `share` of the whole budget (shares are normalised)."""

    name: str
    parts: tuple[Part, ...]
    share: float = 1.0


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of optimiser steps, or minutes of training time. Exactly one is given."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("a budget is either steps or minutes")

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is used after `step` steps and `seconds`, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / max(1, self.steps))
        assert self.minutes is not None
        return min(1.0, seconds / max(1e-9, 60 * self.minutes))


def stage_at(stages: tuple[Stage, ...], progress: float) -> tuple[int, float]:
    """The stage that runs at this share of the budget, and how far it has got itself, in [0, 1]."""
    total = sum(stage.share for stage in stages)
    start = 0.0
    for index, stage in enumerate(stages):
        end = start + stage.share / total
        if progress < end or index == len(stages) - 1:
            return index, min(1.0, max(0.0, (progress - start) / (end - start)))
        start = end
    raise ValueError("a plan needs at least one stage")
