"""How to train, apart from what the method says: budget, device, precision, resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from samepoint.errors import RunError
from samepoint.training.plan import Budget
from samepoint.training.schedule import Schedule

RANDOM_START = 3e-3
"""The learning rate from random weights."""

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Optimizer = Literal["adamw", "adam"]


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that every method shares.

    `steps` or `minutes`: the budget; neither means 10 minutes. `checkpoint_minutes`: at most this much work is
    lost when the process is killed. `devices`: of each of `nodes` machines, on which the same command runs
    (docs/methods/training.md). `precision` "auto": bfloat16 where the device has instructions for it. `workers`:
    loader processes (0 draws batches in the training process). `freeze_norm`: batch normalisation keeps the
    statistics of the weights that training starts from, rather than those of a few images; it does so anyway
    from trained weights, unless `adapt_norm`. `lr` None: as method and start ask for (docs/methods/training.md).
    `optimizer`: in "adam" the weight decay is a part of the gradient (L2), as in the papers of Dense Object Nets.
    `schedule`: "cosine" and "constant" follow the budget, after a warm-up; "step" and "exponential" multiply the rate
    by `schedule_factor` every `schedule_every` steps of the run, at once or a little at each step, without a warm-up.
    """

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Precision | Literal["auto"] = "auto"
    lr: float | None = None
    optimizer: Optimizer = "adamw"
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    schedule_factor: float = 0.9
    schedule_every: int = 250
    clip_norm: float = 1.0
    accumulate: int = 1
    freeze_norm: bool = False
    adapt_norm: bool = False
    workers: int = 1
    checkpoint_minutes: float = 2.0
    log_every: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.schedule_factor <= 1:
            raise RunError(
                f"--schedule-factor is {self.schedule_factor:g}", mend="give a number in (0, 1], like 0.9"
            )
        if self.schedule_every < 1:
            raise RunError(
                f"--schedule-every is {self.schedule_every}", mend="give a number of steps from 1 upwards"
            )

    @property
    def rate(self) -> float:
        """The learning rate; that of random weights where nobody settled it."""
        return RANDOM_START if self.lr is None else self.lr

    @property
    def budget(self) -> Budget:
        if self.steps is not None and self.minutes is not None:
            raise RunError("--steps and --minutes exclude each other", mend="give one of them")
        if self.steps is None and self.minutes is None:
            return Budget(minutes=10.0)
        return Budget(steps=self.steps, minutes=self.minutes)
