"""Learning rate over the share of the budget that is used, or over the steps that were taken."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["cosine", "constant", "step", "exponential"]


def rate_factor(schedule: Schedule, progress: float, warmup: float = 0.05) -> float:
    """Factor of the schedules of the budget: linear warm-up, then constant or half a cosine down to a hundredth."""
    if progress < warmup:
        return max(0.02, progress / warmup)
    if schedule == "constant":
        return 1.0
    done = (progress - warmup) / (1 - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def decay_factor(schedule: Schedule, step: int, factor: float, every: int) -> float:
    """Factor of the papers' schedules, of steps since the run began and without a warm-up.

    "step": times `factor` after every `every` steps; "exponential": as much, but a little at each step.
    """
    return factor ** (step // every if schedule == "step" else step / every)
