"""What a training begins with, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from samepoint.errors import RunError
from samepoint.training.settings import RANDOM_START, TrainingSettings

Start = Literal["random", "backbone", "trained"]
"""Random weights; those of a backbone with the rest random; a network that was trained for this."""

BACKBONE_START = 1e-3
CAREFUL = 3e-4
"""The rate from trained weights where nothing can tell whether these get worse."""


def settled_for(settings: TrainingSettings, start: Start, *, verified: bool) -> TrainingSettings:
    """The settings with rate and statistics as the start asks for, where they were left open.

    Trained weights may change as fast as random ones where true answers on held-out images tell what is kept
    (`verified`): new images need it. Where there are none, they change slowly, and their statistics stay.
    """
    if settings.freeze_norm and settings.adapt_norm:
        raise RunError("--freeze-norm and --adapt-norm exclude each other", mend="give one of them")
    if settings.freeze_norm and start == "random":
        raise RunError(
            "--freeze-norm keeps the statistics of trained weights; random weights have none",
            mend="leave it out, or give --init pretrained or a run",
        )
    careful = start == "trained" and not verified
    rate = BACKBONE_START if start == "backbone" else CAREFUL if careful else RANDOM_START
    frozen = settings.freeze_norm or (careful and not settings.adapt_norm)
    return replace(settings, lr=rate if settings.lr is None else settings.lr, freeze_norm=frozen)
