"""How large a batch fits: memory is measured at small sizes and reckoned from there, so that nothing runs out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch

from samepoint.bench.counts import count
from samepoint.bench.measure import peak_growth
from samepoint.bench.memory import free_megabytes
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.training.engine import to_device
from samepoint.workflows.training import Recipe

SIZES = (2, 3, 5)
SHARE = 0.8
"""Of the free memory."""
SCRATCH = 1.3
"""On the CPU tensors are counted; kernels' scratch memory and the allocator's gaps come on top."""


def batch_size(
    recipe: Recipe,
    store: FrameStore,
    *,
    device: str = "cpu",
    free_mb: float | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """The largest number of pairs (or images) a step whose memory is within `SHARE` of what is free.

    A line through the megabytes that whole steps of `SIZES` take; the steeper of its pieces counts. DataError if not
    even the smallest size fits.
    """
    free = free_megabytes(device) if free_mb is None else free_mb
    taken = {size: step_megabytes(recipe.with_batch(size), store, device) for size in SIZES}
    slope = max((taken[b] - taken[a]) / (b - a) for a, b in itertools.pairwise(SIZES))
    fits = int(SIZES[-1] + (SHARE * free - taken[SIZES[-1]]) // max(slope, 1e-6))
    if fits < SIZES[0]:
        raise DataError(
            f"a step of {SIZES[0]} takes {taken[SIZES[0]]:.0f} MB of {free:.0f} MB free memory",
            where=store.dataset.root,
            mend="train smaller views (--augmentation.view) or images (--size), or a smaller network",
        )
    expected = taken[SIZES[-1]] + slope * (fits - SIZES[-1])
    say(
        f"{recipe.name}: {fits} a step take about {expected:.0f} MB of {free:.0f} MB free ({slope:.0f} MB for each)"
    )
    rows = [{"size": size, "mb": round(mb, 1)} for size, mb in taken.items()]
    return {"question": "batch", "method": recipe.name, "fits": fits, "free_mb": round(free), "rows": rows}


def step_megabytes(recipe: Recipe, store: FrameStore, device: str = "cpu") -> float:
    """What a training step takes, the network's weights, gradients and moments included."""
    network = recipe.build(store, "random", torch.Generator().manual_seed(0)).to(device)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters)
    stage = recipe.stages(store)[-1]
    batches = [part.source.sample(torch.Generator().manual_seed(0)) for part in stage.parts]

    def step() -> None:
        for part, batch in zip(stage.parts, batches, strict=True):
            generator = torch.Generator().manual_seed(0)
            terms = part.objective(network, to_device(batch, torch.device(device)), generator)
            (part.weight_at(1.0) * terms["loss"]).backward()
        optimizer.step()
        optimizer.zero_grad()

    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters()) / 2**20
    if device == "cuda":
        step()
        return weights + peak_growth(step, device) + 2 * weights
    return SCRATCH * (count(step, (1, 1)).peak_bytes / 2**20 + weights)
