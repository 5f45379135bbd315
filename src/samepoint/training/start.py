"""What a training begins with, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from samepoint.errors import RunError
from samepoint.training.settings import RANDOM_START, TrainingSettings

Start = Literal["random", "backbone", "trained"]
"""Random weights; those of a backbone with the rest random; a network that was trained for this."""


@dataclass(frozen=True)
class Rates:
    """The learning rate of a method by what it starts from, where the user gives none."""

    random: float = RANDOM_START
    backbone: float = 1e-3
    trained: float = 3e-4


def settled_for(settings: TrainingSettings, start: Start, rates: Rates) -> TrainingSettings:
    """The settings with rate and statistics as the start asks for, where they were left open.

    Trained weights know more than a few minutes teach: a low rate, and the statistics that they were trained with."""
    if settings.freeze_norm and settings.adapt_norm:
        raise RunError("--freeze-norm and --adapt-norm exclude each other", mend="give one of them")
    if settings.freeze_norm and start == "random":
        raise RunError(
            "--freeze-norm keeps the statistics of trained weights; random weights have none",
            mend="leave it out, or give --init pretrained or a run",
        )
    by_start: Mapping[Start, float] = {
        "random": rates.random,
        "backbone": rates.backbone,
        "trained": rates.trained,
    }
    lr = by_start[start] if settings.lr is None else settings.lr
    frozen = settings.freeze_norm or (start == "trained" and not settings.adapt_norm)
    return replace(settings, lr=lr, freeze_norm=frozen)
