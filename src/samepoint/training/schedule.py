"""Learning rate over the share of the budget that is used."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["cosine", "constant"]


def rate_factor(schedule: Schedule, progress: float, warmup: float = 0.05) -> float:
    """Factor on the learning rate: linear warm-up, then constant or half a cosine down to a hundredth."""
    if progress < warmup:
        return max(0.02, progress / warmup)
    if schedule == "constant":
        return 1.0
    done = (progress - warmup) / (1 - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
