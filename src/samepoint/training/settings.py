"""How to train, apart from what the method says: budget, device, precision, resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from samepoint.errors import RunError
from samepoint.training.plan import Budget
from samepoint.training.schedule import Schedule

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that every method shares.

    `steps` or `minutes`: the budget; neither means 10 minutes. `checkpoint_minutes`: at most this much work is
    lost when the process is killed. `precision` "auto": bfloat16 where the device has instructions for it. `workers`:
    loader processes (0 draws batches in the training process). `freeze_norm`: batch normalisation keeps the
    statistics of the weights that training starts from, rather than those of a few images.
    """

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    precision: Precision | Literal["auto"] = "auto"
    lr: float = 3e-3
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    clip_norm: float = 1.0
    accumulate: int = 1
    freeze_norm: bool = False
    workers: int = 1
    checkpoint_minutes: float = 2.0
    log_every: int = 10

    @property
    def budget(self) -> Budget:
        if self.steps is not None and self.minutes is not None:
            raise RunError("--steps and --minutes exclude each other", mend="give one of them")
        if self.steps is None and self.minutes is None:
            return Budget(minutes=10.0)
        return Budget(steps=self.steps, minutes=self.minutes)
