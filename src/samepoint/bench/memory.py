"""Does training memory grow with the length of a descriptor? Every method at D from 3 to 512, beside the plain ways.

Seed 000 trained Dense Object Nets up to D = 32 on a 48 GB card because its code holds full-resolution maps. Here
matching is attention and descriptors are read from the low-resolution map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from samepoint.bench.counts import count
from samepoint.bench.measure import in_fresh_process, peak_growth
from samepoint.bench.steps import METHODS, PLAIN, StepCase, make_step

DIMS = (3, 8, 16, 32, 64, 128, 256, 512)
MARGIN = 0.7
"""Share of the free memory that a case may need by the estimate; what needs more is not run."""


def training_memory(
    *,
    device: str = "cpu",
    dims: Sequence[int] = DIMS,
    methods: Sequence[str] = tuple(METHODS),
    case: StepCase | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Growth of memory in a training step above the process with its network and optimiser (gradients come on top of
    it), in MB; on CUDA the whole peak as well."""
    base = case or StepCase("", 0)
    rows = []
    for method in methods:
        for dim in dims:
            row = _row(replace(base, method=method, dim=dim), device)
            rows.append(row)
            say(f"{method:44} D {dim:4}  {_words(row)}")
    return {"question": "memory", "device": device, "case": asdict(base), "rows": rows}


def _row(case: StepCase, device: str) -> dict[str, Any]:
    row: dict[str, Any] = {"method": case.method, "dim": case.dim}
    needs = estimate(case)
    if needs > MARGIN * free_megabytes(device):
        return row | {"needs_mb": round(needs)}
    return row | in_fresh_process(_measure, case, device)


def _measure(case: StepCase, device: str) -> dict[str, Any]:
    step, counted = make_step(case, device), []
    if device == "cuda":
        grown = peak_growth(step, device)
        return {"growth_mb": round(grown, 1), "peak_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1)}
    grown = peak_growth(lambda: counted.append(count(step, case.size)))
    return {
        "growth_mb": round(grown, 1),
        "live_mb": round(counted[0].peak_bytes / 2**20, 1),
        "full_resolution": counted[0].full_resolution,
    }


def estimate(case: StepCase) -> float:
    """Megabytes that a plain method's full-resolution tensors take; 0 for ours."""
    if case.method not in PLAIN:
        return 0.0
    pixels = case.size[0] * case.size[1] * case.images * 4 / 2**20
    images, scores = 8 * pixels * case.dim, 8 * pixels * case.points
    if case.method == PLAIN[-1]:  # two images' products with their gradients
        return images + scores + 5 * pixels * case.points * case.dim
    return images + scores


def free_megabytes(device: str) -> float:
    """Memory that is free now: of the card, or (on Linux) of the machine."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0] / 2**20
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1024
    except (OSError, StopIteration):
        return float("inf")


def _words(row: dict[str, Any]) -> str:
    if "needs_mb" in row:
        return f"not run: needs about {row['needs_mb'] / 1024:.0f} GB"
    counted = (
        f", {row['live_mb']:.0f} MB of tensors, {row['full_resolution']} full-size"
        if "live_mb" in row
        else ""
    )
    return f"+{row['growth_mb']:.0f} MB{counted}"
