"""Soft, hard and log-partition matching against their plain twins: time and memory growth.

Soft cases are forward and backward. Hard matching has two twins: the argmax of full-size score maps, and of a
descriptor image. A ratio below 1: the twin is faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from samepoint.bench.measure import in_fresh_process, in_turn, peak_growth
from samepoint.bench.naive import nearest_pixels
from samepoint.correspondence.hard import hard_match, hard_match_reference
from samepoint.correspondence.partition import log_partition, log_partition_reference
from samepoint.correspondence.soft import soft_match, soft_match_reference
from samepoint.types import CellMap, DescriptorMap, Size

IMAGE = (480, 640)


@dataclass(frozen=True)
class MatchCase:
    """Queries against a map of `grid` cells of a 640 x 480 image. `smooth`: neighbouring cells are alike, as in a
    trained network; else every cell is random."""

    kind: str
    grid: Size
    batch: int = 2
    queries: int = 250
    dim: int = 64
    smooth: bool = False


SOFT = [
    MatchCase(kind, grid) for kind in ("soft", "log-partition") for grid in ((60, 80), (120, 160), (240, 320))
]
WHOLE = [MatchCase("soft", IMAGE, batch=1, queries=500)]
HARD = [
    MatchCase("hard", (480 // stride, 640 // stride), 1, 16, 64, smooth)
    for stride in (4, 8)
    for smooth in (True, False)
]
CASES = (*SOFT, *WHOLE, *HARD)


def matching(*, device: str = "cpu", repeats: int = 7, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Each case's time on all sides in turn, in one process, and each side's memory in a process of its own."""
    rows = []
    for case in CASES:
        row = asdict(case) | in_fresh_process(_times, case, device, repeats)
        row["growth_mb"] = {s: in_fresh_process(_growth, case, s, device) for s in sides_of(case, device)}
        rows.append(row)
        words = ", ".join(f"{name} x {ratio}" for name, ratio in row["ratios"].items())
        grown = ", ".join(f"{name} +{mb:.0f} MB" for name, mb in row["growth_mb"].items())
        say(f"{case.kind:14} {case.grid!s:10} {row['ms']['samepoint']['ms']:8.2f} ms; {words}; {grown}")
    return {"question": "matching", "device": device, "rows": rows}


def sides_of(case: MatchCase, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """Ours, and its twins, on the same queries and map."""
    queries, map = make_inputs(case)
    queries = queries.to(device)
    map = DescriptorMap(map.values.to(device), map.cells, map.image_size)
    if case.kind == "hard":
        return {
            "samepoint": lambda: hard_match(queries, map),
            "score maps": lambda: hard_match_reference(queries, map),
            "descriptor image": lambda: nearest_pixels(queries, map),
        }
    if case.kind == "log-partition":
        return {
            "samepoint": lambda: _both_passes(lambda q, m: log_partition(q, m, 0.03).sum(), queries, map),
            "plain": lambda: _both_passes(
                lambda q, m: log_partition_reference(q, m, 0.03).sum(), queries, map
            ),
        }
    return {
        "samepoint": lambda: _both_passes(lambda q, m: _moments(soft_match, q, m), queries, map),
        "plain": lambda: _both_passes(lambda q, m: _moments(soft_match_reference, q, m), queries, map),
    }


def make_inputs(case: MatchCase) -> tuple[Tensor, DescriptorMap]:
    """Unit queries, near descriptors of the map; a map with random descriptors, every eighth cell if smooth."""
    generator = torch.Generator().manual_seed(0)
    height, width = case.grid
    coarse = (height // 8 + 1, width // 8 + 1) if case.smooth else case.grid
    values = torch.randn(case.batch, case.dim, *coarse, generator=generator)
    if case.smooth:
        values = F.interpolate(values, case.grid, mode="bicubic")
    stride = IMAGE[0] / height
    cells = CellMap((stride, stride), ((stride - 1) / 2, (stride - 1) / 2))
    values = F.normalize(values, dim=1)
    own = torch.randint(0, height * width, (case.queries,), generator=generator)
    queries = values.flatten(2)[:, :, own].transpose(1, 2)
    queries = queries + 0.05 * torch.randn(queries.shape, generator=generator)
    return F.normalize(queries, dim=-1), DescriptorMap(values, cells, IMAGE)


def _times(case: MatchCase, device: str, repeats: int) -> dict[str, Any]:
    times, ratios = in_turn(sides_of(case, device), repeats=repeats, device=device)
    return {"ms": {name: timing.to_json() for name, timing in times.items()}, "ratios": ratios}


def _growth(case: MatchCase, side: str, device: str) -> float:
    _ = torch.ones(8, 8) @ torch.ones(8, 8)  # loads the library behind it
    return round(peak_growth(sides_of(case, device)[side], device), 1)


def _moments(match: Callable[..., Any], queries: Tensor, map: DescriptorMap) -> Tensor:
    found = match(queries, map, 0.03, payload="descriptor")
    return found.mean.sum() + found.variance.sum() + found.payload.sum()


def _both_passes(loss: Callable[..., Tensor], queries: Tensor, map: DescriptorMap) -> None:
    queries, values = queries.detach().requires_grad_(), map.values.detach().requires_grad_()
    loss(queries, DescriptorMap(values, map.cells, map.image_size)).backward()
