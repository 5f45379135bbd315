"""Time and memory, measured so that a noisy machine does not decide.

Sides of a comparison are called in turn, so that whatever else runs disturbs all alike; the ratio is the median of
the ratios of neighbours. Memory is the growth of a fresh process's peak.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Milliseconds a call: `ms` the median on the wall with its quartiles, `cpu_ms` the median of processor time
    of all threads, which other work disturbs less."""

    ms: float
    low: float
    high: float
    cpu_ms: float
    calls: int

    def to_json(self) -> dict[str, float]:
        row = {"ms": self.ms, "low": self.low, "high": self.high, "cpu_ms": self.cpu_ms}
        return {name: round(value, 3) for name, value in row.items()} | {"calls": self.calls}


def in_turn(
    sides: Mapping[str, Call], *, repeats: int = 7, seconds: float = 30.0, device: str = "cpu"
) -> tuple[dict[str, Timing], dict[str, float]]:
    """The time of each side, and how many times as long as the first side the others take (median of the ratios of
    rounds). At most about `seconds`, but two rounds at least; the first round is not counted."""
    walls: dict[str, list[float]] = {name: [] for name in sides}
    processors: dict[str, list[float]] = {name: [] for name in sides}
    began = time.perf_counter()
    for turn in range(repeats + 1):
        for name, call in sides.items():
            wall, processor = _once(call, device)
            if turn:
                walls[name].append(wall)
                processors[name].append(processor)
        if turn >= 2 and time.perf_counter() - began > seconds:
            break
    first = next(iter(sides))
    source = walls if device == "cuda" else processors
    ratios = {
        name: round(statistics.median(b / a for a, b in zip(source[first], source[name])), 3)
        for name in sides
        if name != first
    }
    return {name: _timing(walls[name], processors[name]) for name in sides}, ratios


def _once(call: Call, device: str) -> tuple[float, float]:
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)


def _timing(walls: Sequence[float], processors: Sequence[float]) -> Timing:
    low, middle, high = statistics.quantiles(walls, n=4) if len(walls) > 1 else (walls[0],) * 3
    return Timing(middle, low, high, statistics.median(processors), len(walls))


def peak_growth(call: Call, device: str = "cpu") -> float:
    """By how many megabytes (2^20 bytes) memory grows at most while `call` runs.

    On the CPU: the peak of this process above what it holds now (Linux; elsewhere above its highest so far). On CUDA:
    the peak of the allocator above what is allocated now.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = _resident()
    call()
    return _highest() - before


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` in a process that has done nothing else.

    On Linux it is forked from one that has imported the module of the first function asked for, and nothing more:
    importing torch takes seconds."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload([function.__module__])
    with context.Pool(1) as pool:
        return pool.apply(function, arguments)


def _resident() -> float:
    """Megabytes this process holds; its peak is set back to that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _highest()
    return _status("VmRSS:")


def _highest() -> float:
    if Path("/proc/self/status").exists():
        return _status("VmHWM:")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024
