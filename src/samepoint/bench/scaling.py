"""What matching costs in training as D, queries, image size and batch grow: loss and backward pass on given maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from samepoint.bench.counts import count
from samepoint.bench.measure import in_fresh_process, in_turn, peak_growth
from samepoint.bench.naive import softmax_divergence
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.objectives import gaussian_divergence
from samepoint.types import CellMap, DescriptorMap, Size

STRIDE = 8.0


@dataclass(frozen=True)
class ScalingCase:
    dim: int = 32
    points: int = 128
    size: Size = (240, 320)
    batch: int = 2


AXES: dict[str, tuple[Any, ...]] = {
    "dim": (3, 32, 128, 512),
    "points": (16, 128, 512, 2048),
    "size": ((120, 160), (240, 320), (480, 640), (960, 1280)),
    "batch": (1, 2, 4, 8),
}


def scaling(
    *,
    device: str = "cpu",
    repeats: int = 5,
    case: ScalingCase | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """One axis at a time from `case`; ours and the softmax over a descriptor image."""
    base, rows = case or ScalingCase(), []
    for axis, values in AXES.items():
        for value in values:
            changed = replace(base, **{axis: value})
            row = {"axis": axis} | asdict(changed) | in_fresh_process(_measure, changed, device, repeats)
            rows.append(row)
            ours, plain = row["samepoint"], row["plain"]
            say(
                f"{axis:7}{value!s:12} {ours['ms']:9.1f} ms, +{ours['growth_mb']:.0f} MB; plain"
                f" {plain['ms']:9.1f} ms, +{plain['growth_mb']:.0f} MB"
            )
    return {"question": "scaling", "device": device, "rows": rows}


def _measure(case: ScalingCase, device: str, repeats: int) -> dict[str, Any]:
    sides = scaling_sides(case, device)
    out: dict[str, Any] = {}
    for name, call in sides.items():  # the leaner one first
        grown = peak_growth(call, device)
        counts = count(call, case.size)
        out[name] = {
            "growth_mb": round(grown, 1),
            "live_mb": round(counts.peak_bytes / 2**20, 1),
            "full_resolution": counts.full_resolution,
        }
    times, ratios = in_turn(sides, repeats=repeats, device=device)
    for name, timing in times.items():
        out[name] |= timing.to_json()
    return out | {"ratio": ratios["plain"]}


def scaling_sides(case: ScalingCase, device: str) -> dict[str, Callable[[], object]]:
    """The same loss on the same maps, ours and plain, with its backward pass."""
    generator = torch.Generator().manual_seed(0)
    (height, width), offset = case.size, (STRIDE - 1) / 2
    shape = (2, case.batch, case.dim, int(height // STRIDE), int(width // STRIDE))
    values = F.normalize(torch.randn(shape, generator=generator), dim=2).to(device)
    limit = torch.tensor((width - 1.0, height - 1.0))
    uv = (torch.rand(2, case.batch, case.points, 2, generator=generator) * limit).to(device)
    valid = torch.ones(case.batch, case.points, dtype=torch.bool, device=device)
    cells = CellMap((STRIDE, STRIDE), (offset, offset))

    def run(loss: Callable[[DescriptorMap, DescriptorMap], dict[str, Tensor]]) -> None:
        leaf = values.detach().requires_grad_()
        a, b = (DescriptorMap(side, cells, case.size) for side in leaf)
        loss(a, b)["loss"].backward()

    def ours(a: DescriptorMap, b: DescriptorMap) -> dict[str, Tensor]:
        queries = sample_descriptors(a, uv[0])
        return gaussian_divergence(queries, b, uv[1], valid, temperature=0.05, sigma=STRIDE)

    def plain(a: DescriptorMap, b: DescriptorMap) -> dict[str, Tensor]:
        return softmax_divergence(a, b, uv[0], uv[1], valid, temperature=0.05, sigma=STRIDE)

    return {"samepoint": lambda: run(ours), "plain": lambda: run(plain)}
