"""What the cycle of seed 001 can learn from a network: python benchmarks/cycle_signal.py PAIRS.json OUT.json RUN...

For every run and temperature, on pairs whose truth is known: how often a point's match in B is right (mode within
10 pixels), how often among the 35 % of points that CCL keeps (least spread) and that PWarpC keeps (most probable to
close), and how far from closing cycles are that went by the right and by a wrong place in B. A cycle that closes by
way of a wrong place teaches nothing, or the wrong thing.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from samepoint.bench.machine import provenance
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.soft import soft_match
from samepoint.data.augmentation import Augmentation, change_appearance, random_view
from samepoint.data.pairs import Pair, read_pairs
from samepoint.geometry.warps import warp_images, warp_points
from samepoint.inference.images import image_tensor
from samepoint.models.network import DescriptorNetwork
from samepoint.models.weights import load_network
from samepoint.objectives.cycle import expected_descriptor, most_certain
from samepoint.objectives.warp_consistency import composition_surprise

TEMPERATURES = (0.1, 0.05, 0.03, 0.02, 0.01)
QUANTILE = 0.35
COPY = Augmentation(rotation=30.0, scale=(0.8, 1.25), translation=0.1, perspective=0.1, colour=0.3)
RIGHT = 10.0


@torch.no_grad()
def cycles(network: DescriptorNetwork, pair: Pair, temperature: float) -> dict[str, torch.Tensor]:
    """Of each point of A: was its match in B right, its spread X in cells squared, its cycle error in pixels."""
    generator = torch.Generator().manual_seed(0)
    a, b = (image_tensor(path)[None] for path in (pair.image_a, pair.image_b))
    size = (a.shape[-2], a.shape[-1])
    view = random_view(COPY, generator, 1, size, size)
    copy = change_appearance(warp_images(a, view, size), COPY, generator)
    map_a, map_b, map_copy = network(a), network(b), network(copy)
    uv = pair.uv_a[None].float()
    there = soft_match(
        sample_descriptors(map_a, uv), map_b, temperature, payload="descriptor", with_mode=True
    )
    back = soft_match(expected_descriptor(there, map_b), map_copy, temperature)
    assert there.mode is not None
    stride = uv.new_tensor(map_b.cells.stride)
    right = (there.mode[0] - pair.uv_b).norm(dim=-1) < RIGHT
    if pair.visible_b is not None:
        right &= pair.visible_b
    return {
        "right": right,
        "surprise": composition_surprise(
            sample_descriptors(map_a, uv), map_b, map_copy, warp_points(view, uv), temperature
        )[0],
        "spread": ((there.variance + back.variance)[0] / stride.square()).sum(-1),
        "error": (back.mean[0] - warp_points(view, uv)[0]).norm(dim=-1),
    }


def signal(network: DescriptorNetwork, pairs: tuple[Pair, ...], temperature: float) -> dict[str, float]:
    """Means over all points; points are kept within each pair, as in training."""
    found = [cycles(network, pair, temperature) for pair in pairs]
    row = {}
    row["right"] = share([f["right"] for f in found])
    for by in ("spread", "surprise"):
        kept = [most_certain(f[by][None], torch.ones_like(f["right"])[None], QUANTILE)[0] for f in found]
        row[f"right of those kept by {by}"] = share([f["right"][k] for f, k in zip(found, kept)])
    right, error = (torch.cat([f[key] for f in found]) for key in ("right", "error"))
    row["error by the right place"] = statistics.median(error[right].tolist())
    row["error by a wrong place"] = statistics.median(error[~right].tolist())
    row["spread"] = statistics.median(torch.cat([f["spread"] for f in found]).tolist())
    return row


def share(parts: list[torch.Tensor]) -> float:
    return torch.cat(parts).float().mean().item()


def main(pairs_file: Path, out: Path, runs: list[Path]) -> None:
    pairs, rows = read_pairs(pairs_file).pairs, []
    for run in runs:
        network, _ = load_network(run)
        for temperature in TEMPERATURES:
            found = {key: round(value, 4) for key, value in signal(network, pairs, temperature).items()}
            rows.append({"run": f"{run.parent.name}/{run.name}", "temperature": temperature, **found})
            print(rows[-1], flush=True)
    said = "python benchmarks/cycle_signal.py PAIRS OUT RUN..."
    content = {**provenance(said, out, runs=runs), "rows": rows}
    out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(run) for run in sys.argv[3:]])
