"""Batches for each step, drawn in worker processes. Step k's batch depends on the seed, the process' rank and k
alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from samepoint.training.plan import Stage


def generator_for(*key: object) -> torch.Generator:
    """A CPU generator seeded by the key (seed, rank, step, purpose): equal keys, equal numbers."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class StepBatches(IterableDataset[tuple[Any, ...]]):
    """One tuple of batches a step, a batch for each part of the stage. Workers take every w-th step in turn."""

    def __init__(self, stage: Stage, *, seed: int, rank: int, first_step: int, accumulate: int) -> None:
        self.stage, self.seed, self.rank = stage, seed, rank
        self.first, self.accumulate = first_step * accumulate, accumulate

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        info = get_worker_info()
        offset, stride = (info.id, info.num_workers) if info else (0, 1)
        index = self.first + offset
        while True:
            yield tuple(
                part.source.sample(generator_for(self.seed, self.rank, self.stage.name, part.name, index))
                for part in self.stage.parts
            )
            index += stride


def step_loader(batches: StepBatches, workers: int) -> DataLoader[tuple[Any, ...]]:
    """A loader without end over the micro-batches of `batches`, in order whatever the number of workers."""
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        prefetch_factor=4 if workers else None,
        persistent_workers=False,
        worker_init_fn=_quiet_worker if workers else None,
    )


def _as_it_is(batches: Any) -> Any:
    return batches


def _quiet_worker(_: int) -> None:
    torch.set_num_threads(1)
