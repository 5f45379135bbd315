"""How many moments a second are found in the views of several cameras, for networks of several widths: the network
alone, and a whole `RigFinder.find`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from samepoint.bench.measure import in_turn
from samepoint.data.rig.camera import Camera
from samepoint.geometry.motions import exp
from samepoint.inference.points import PointSettings
from samepoint.inference.rig import RigFinder
from samepoint.models.precision import bfloat16_pays
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.types import Size

WIDTHS = ((8, 16, 32, 48), (16, 32, 64, 96), (24, 48, 96, 128))


def rig_finding(
    *,
    device: str = "cpu",
    widths: Sequence[tuple[int, ...]] = WIDTHS,
    views: int = 4,
    size: Size = (256, 256),
    keypoints: int = 8,
    repeats: int = 20,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Milliseconds a moment for uint8 images in and points out, of random images and networks of random weights.

    `network`: the images' batch through the network; `find`: all of `RigFinder.find`, images not seen before. All
    widths take turns in every round.
    """
    cameras = ring(views, size)
    generator = np.random.default_rng(0)
    moments = [
        {name: generator.integers(0, 256, (*size, 3), dtype=np.uint8) for name in cameras} for _ in range(4)
    ]
    batch = torch.rand(views, 3, *size, generator=torch.Generator().manual_seed(0)).to(device)
    networks = [_network(width, keypoints, device) for width in widths]
    sides: dict[str, Callable[[], object]] = {}
    for i, network in enumerate(networks):
        finder = RigFinder(network, network.keypoints, PointSettings(2.0), cameras, device=device)
        sides[f"network {i}"] = partial(_look, network, batch)
        sides[f"find {i}"] = _Rounds(finder, moments)
    times, _ = in_turn(sides, repeats=repeats, seconds=60.0, device=torch.device(device).type)
    rows = []
    say("channels             parameters   network ms      find ms   moments/s")
    for i, (width, network) in enumerate(zip(widths, networks, strict=True)):
        alone, whole = times[f"network {i}"], times[f"find {i}"]
        row = {
            "channels": list(width),
            "parameters": sum(p.numel() for p in network.parameters()),
            "network": alone.to_json(),
            "find": whole.to_json(),
            "moments_per_second": round(1e3 / whole.ms, 1),
        }
        rows.append(row)
        name = " ".join(map(str, width))
        say(
            f"{name:20} {row['parameters']:10} {alone.ms:12.1f} {whole.ms:12.1f} {row['moments_per_second']:11}"
        )
    where = {
        "views": views,
        "image": list(size),
        "keypoints": keypoints,
        "half_precision": bfloat16_pays(device),
    }
    return {"question": "rig", "device": device, **where, "rows": rows}


def ring(number: int, size: Size) -> dict[str, Camera]:
    """Cameras round the origin, a metre from it, that look at it."""
    k = torch.tensor([[1.2 * size[1], 0, size[1] / 2], [0, 1.2 * size[1], size[0] / 2], [0, 0, 1]])
    cameras = {}
    for i in range(number):
        turn = exp(torch.tensor([0, 0, 0, 0, 2 * math.pi * i / number, 0]))
        back = torch.eye(4)
        back[2, 3] = -1
        cameras[f"cam{i}"] = Camera(f"cam{i}", size, k, turn @ back)
    return cameras


class _Rounds:
    """Finds in the next moment each time."""

    def __init__(self, finder: RigFinder, moments: Sequence[dict[str, np.ndarray]]) -> None:
        self.finder, self.moments, self.at = finder, moments, 0

    def __call__(self) -> object:
        self.at = (self.at + 1) % len(self.moments)
        return self.finder.find(self.moments[self.at])


def _look(network: HeatmapNetwork, batch: torch.Tensor) -> object:
    with torch.inference_mode():
        return network(batch)


def _network(width: tuple[int, ...], keypoints: int, device: str) -> HeatmapNetwork:
    names = tuple(f"keypoint {i}" for i in range(keypoints))
    network = HeatmapNetwork(UNetConfig(width), names, torch.Generator().manual_seed(0))
    network.half_precision = bfloat16_pays(device)
    return network.to(device).eval()
