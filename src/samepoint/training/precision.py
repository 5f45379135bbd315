"""Which precision to train in."""

from __future__ import annotations

import torch

from samepoint.models.precision import bfloat16_pays
from samepoint.training.settings import Precision, TrainingSettings


def settled(settings: TrainingSettings) -> Precision:
    """`settings.precision`, with "auto" settled: bfloat16 where the device has instructions for it."""
    if settings.precision != "auto":
        return settings.precision
    cuda = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    if bfloat16_pays("cuda" if cuda else "cpu"):
        return "bf16-mixed"
    return "16-mixed" if cuda else "32-true"
