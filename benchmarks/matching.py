"""Soft, hard and log-partition matching against their plain twins: time and memory growth, in one run.

    python benchmarks/matching.py [--out benchmarks/results/matching.json] [--threads 1] [--repeat 5]

Every (case, side) runs in a process of its own, so that peak memory is its own. Times are medians of
`--repeat` calls after one that is not counted: `ms` on the wall, `cpu_ms` processor time, which other work on
the machine disturbs less. Memory is the growth of the process's peak over what it held before the first
call. `ratio` is the twin's processor time over ours: below 1 the plain twin is faster. Soft cases are forward
and backward. Hard cases have two twins: the argmax of full-size score maps (`maps`), and of a descriptor
image, upsampled and normalised (`image`).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from machine import commit, machine

from samepoint.correspondence.hard import hard_match, hard_match_reference
from samepoint.correspondence.partition import log_partition, log_partition_reference
from samepoint.correspondence.soft import soft_match, soft_match_reference
from samepoint.types import CellMap, DescriptorMap

SOFT = [
    {"kind": kind, "grid": grid, "batch": 2, "queries": 250, "dim": 64}
    for kind in ("soft", "log_partition")
    for grid in ((60, 80), (120, 160), (240, 320))
]
SOFT.append({"kind": "soft", "grid": (480, 640), "batch": 1, "queries": 100, "dim": 64})
HARD = [
    {"kind": "hard", "grid": (480 // stride, 640 // stride), "batch": 1, "queries": 16, "dim": 64, "map": map}
    for stride in (4, 8)
    for map in ("smooth", "random")
]
SIDES = {"soft": ("ours", "twin"), "log_partition": ("ours", "twin"), "hard": ("ours", "maps", "image")}


def make_inputs(case: dict) -> tuple[torch.Tensor, DescriptorMap]:
    """Unit queries, a map of a 640 x 480 image. "smooth": random descriptors every eighth cell, bicubic."""
    generator = torch.Generator().manual_seed(0)
    height, width = case["grid"]
    coarse = (height // 8 + 1, width // 8 + 1) if case.get("map") == "smooth" else case["grid"]
    values = torch.randn(case["batch"], case["dim"], *coarse, generator=generator)
    if coarse != case["grid"]:
        values = F.interpolate(values, case["grid"], mode="bicubic")
    stride = 480 / height
    cells = CellMap((stride, stride), ((stride - 1) / 2, (stride - 1) / 2))
    values = F.normalize(values, dim=1)
    own = torch.randint(0, height * width, (case["queries"],), generator=generator)
    queries = values.flatten(2)[:, :, own].transpose(1, 2)
    queries = queries + 0.05 * torch.randn(queries.shape, generator=generator)
    return F.normalize(queries, dim=-1), DescriptorMap(values, cells, (480, 640))


def image_argmax(queries: torch.Tensor, map: DescriptorMap) -> torch.Tensor:
    """What is done without a low-resolution trick: the descriptor image, then every dot product."""
    image = F.interpolate(map.values, map.image_size, mode="bilinear", align_corners=False)
    return (queries @ F.normalize(image, dim=1).flatten(2)).argmax(-1)


def with_backward(loss: Callable, queries: torch.Tensor, map: DescriptorMap) -> None:
    """One forward and backward pass to queries and map."""
    queries = queries.detach().requires_grad_()
    values = map.values.detach().requires_grad_()
    loss(queries, DescriptorMap(values, map.cells, map.image_size)).backward()


def call_of(case: dict, side: str) -> Callable[[], object]:
    """The function to time."""
    queries, map = make_inputs(case)
    if case["kind"] == "hard":
        function = {"ours": hard_match, "maps": hard_match_reference, "image": image_argmax}[side]
        return lambda: function(queries, map)
    if case["kind"] == "log_partition":
        inner = log_partition if side == "ours" else log_partition_reference
        return lambda: with_backward(lambda q, m: inner(q, m, 0.03).sum(), queries, map)
    match = soft_match if side == "ours" else soft_match_reference

    def loss(q: torch.Tensor, m: DescriptorMap) -> torch.Tensor:
        found = match(q, m, 0.03, payload="descriptor")
        return found.mean.sum() + found.variance.sum() + found.payload.sum()

    return lambda: with_backward(loss, queries, map)


def measure(case: dict, side: str, threads: int, repeat: int) -> dict[str, float]:
    """Median times and growth of peak memory in MB, in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure_here, (case, side, threads, repeat))


def _measure_here(case: dict, side: str, threads: int, repeat: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    torch.ones(8, 8) @ torch.ones(8, 8)
    call = call_of(case, side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    wall, cpu = [], []
    for _ in range(repeat):
        start, cpu_start = time.perf_counter(), time.process_time()
        call()
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - cpu_start))
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    medians = {"ms": round(statistics.median(wall), 2), "cpu_ms": round(statistics.median(cpu), 2)}
    return {**medians, "peak_growth_mb": round(growth / 1024, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "matching.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    report = {
        "command": "python benchmarks/matching.py",
        "commit": commit(),
        "machine": machine(),
        "threads": args.threads,
    }
    results = []
    for case in SOFT + HARD:
        sides = {s: measure(case, s, args.threads, args.repeat) for s in SIDES[case["kind"]]}
        ours = sides["ours"]["cpu_ms"]
        ratios = {f"ratio_{s}": round(v["cpu_ms"] / ours, 2) for s, v in sides.items() if s != "ours"}
        results.append({**case, **sides, **ratios})
        print(json.dumps(results[-1]), flush=True)
    report["results"] = results
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(partial, args.out)


if __name__ == "__main__":
    main()
