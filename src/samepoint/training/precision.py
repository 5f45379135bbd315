"""Which precision to train in, by measurement: some processors compute bfloat16 several times faster, some slower."""

from __future__ import annotations

import statistics
import time

import torch
import torch.nn.functional as F

from samepoint.training.settings import Precision, TrainingSettings


def settled(settings: TrainingSettings) -> Precision:
    """`settings.precision`, with "auto" settled: bfloat16 where the device is faster at it, else single precision."""
    if settings.precision != "auto":
        return settings.precision
    if settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available()):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return "bf16-mixed" if _seconds(torch.bfloat16) < 0.7 * _seconds(torch.float32) else "32-true"


@torch.no_grad()
def _seconds(dtype: torch.dtype, repeats: int = 7) -> float:
    """Median time of a convolution as in a small ResNet, on one CPU thread's worth of work."""
    image, kernel = torch.zeros(2, 64, 56, 56, dtype=dtype), torch.zeros(64, 64, 3, 3, dtype=dtype)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        F.conv2d(image, kernel, padding=1)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
