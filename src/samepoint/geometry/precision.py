"""Double precision where a device has it: Apple's GPUs (MPS) have none, torch refuses such tensors there."""

from __future__ import annotations

import torch
from torch import Tensor

WITHOUT_DOUBLE = frozenset({"mps"})
"""Kinds of devices without float64."""


def double_of(device: torch.device) -> torch.dtype:
    """float64, or float32 on a device that has no float64."""
    return torch.float32 if device.type in WITHOUT_DOUBLE else torch.float64


def doubled(values: Tensor) -> Tensor:
    """The same numbers, as precise as their device can."""
    return values.to(double_of(values.device))
