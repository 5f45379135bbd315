"""Training steps to measure: every method on a made-up pair, its plain twins among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from samepoint.bench.naive import all_pixels_nt_xent, softmax_divergence
from samepoint.correspondence.heatmaps import Resolution
from samepoint.data.augmentation import Augmentation
from samepoint.models.config import NetworkConfig
from samepoint.models.keypoints import KeypointConfig, KeypointNetwork
from samepoint.models.network import DescriptorNetwork
from samepoint.recipes.ccl import Ccl
from samepoint.recipes.don import Don, Loss
from samepoint.recipes.identical_view import IdenticalView
from samepoint.recipes.mined import Mined
from samepoint.recipes.pairs import both_ways, describe_pair
from samepoint.training.engine import to_device
from samepoint.training.plan import Objective
from samepoint.types import ImageBatch, MotionBatch, PairBatch, Size

STILL = Augmentation(
    rotation=0.0, scale=(1.0, 1.0), translation=0.0, perspective=0.0, colour=0.0, grey=0.0, noise=0.0,
    background=0.0,
)  # fmt: skip
"""No augmentation: the same in every method, and a cost of its own."""

TEMPERATURE, SIGMA = 0.05, 8.0
LOSSES: tuple[Loss, ...] = ("kl", "expectation", "contrastive", "nt-xent", "triplet")


@dataclass(frozen=True)
class StepCase:
    """`method` is a key of METHODS; `images` are pairs, or single images for methods that take those."""

    method: str
    dim: int
    size: Size = (480, 640)
    images: int = 1
    points: int = 128
    backbone: str = "resnet34"


def _don(loss: Loss) -> Callable[[NetworkConfig, int], Objective]:
    settings: dict[str, Any] = {"augmentation": STILL, "temperature": TEMPERATURE, "sigma": SIGMA}
    return lambda network, _: Don(network=network, loss=loss, **settings).objective


def _softmax(network: nn.Module, batch: PairBatch, generator: torch.Generator) -> dict[str, Tensor]:
    a, b = describe_pair(network, batch)
    terms = {"temperature": TEMPERATURE, "sigma": SIGMA}
    return both_ways(a, b, batch, lambda *given: softmax_divergence(*given, **terms))


def _all_pixels(network: nn.Module, batch: PairBatch, generator: torch.Generator) -> dict[str, Tensor]:
    return all_pixels_nt_xent(*describe_pair(network, batch), batch, temperature=TEMPERATURE)


def _mined(resolution: Resolution) -> Callable[[NetworkConfig, int], Objective]:
    return lambda network, points: partial(
        Mined(network=network, keypoints=points, augmentation=STILL, resolution=resolution).objective,
        radius=0.1,
    )


METHODS: dict[str, Callable[[NetworkConfig, int], Objective]] = {
    **{f"don {loss}": _don(loss) for loss in LOSSES},
    "identical-view": lambda network, points: (
        IdenticalView(
            network=network, augmentation=STILL, points=points, temperature=TEMPERATURE, sigma=SIGMA
        ).objective
    ),
    "ccl": lambda network, points: (
        Ccl(
            network=network, augmentation=STILL, points=points, temperature=TEMPERATURE, sigma=SIGMA
        ).objective
    ),
    "mined": _mined("image"),
    "mined, expectation over cells": _mined("cells"),
    "plain: softmax over a descriptor image": lambda *_: _softmax,
    "plain: NT-Xent over all pixels (seed 000)": lambda *_: _all_pixels,
}
"""Method to its objective, by network and number of points (keypoints of the mined ones)."""

MINED = tuple(name for name in METHODS if name.startswith("mined"))

PLAIN = tuple(name for name in METHODS if name.startswith("plain"))


def make_step(case: StepCase, device: str = "cpu") -> Callable[[], None]:
    """A training step of the case: forward, backward, AdamW. Everything that persists is made beforehand; a step on
    small images has been made."""
    torch.manual_seed(0)
    config = NetworkConfig(backbone=case.backbone, head="linear", stride=8, dim=case.dim)
    network = _network(case, config).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    objective = METHODS[case.method](config, case.points)

    def step(batch: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        objective(network, batch, torch.Generator().manual_seed(0))["loss"].backward()
        optimizer.step()

    small, whole = (
        to_device(make_batch(replace(case, size=size)), torch.device(device))
        for size in ((64, 64), case.size)
    )
    step(small)
    optimizer.zero_grad(set_to_none=True)
    return lambda: step(whole)


def _network(case: StepCase, config: NetworkConfig) -> DescriptorNetwork | KeypointNetwork:
    if case.method in MINED:
        return KeypointNetwork(config, KeypointConfig(case.points))
    return DescriptorNetwork(config)


def make_batch(case: StepCase) -> PairBatch | ImageBatch | MotionBatch:
    """Noise images; points anywhere; four objects in stripes."""
    generator = torch.Generator().manual_seed(0)
    height, width = case.size

    def images(number: int) -> Tensor:
        return torch.rand(number, 3, height, width, generator=generator)

    if case.method == "ccl":
        return ImageBatch(images(max(2, case.images)))
    if case.method == "identical-view":
        return ImageBatch(images(case.images))
    if case.method in MINED:
        return _moved(images(2 * case.images))
    shape = (case.images, case.points)
    limit = torch.tensor((width - 1, height - 1))
    labels = (torch.arange(width) * 4 // width + 1).expand(case.images, height, width).contiguous()
    uv = [torch.rand(*shape, 2, generator=generator) * limit for _ in range(2)]
    own = labels[0, 0, uv[0][..., 0].long()]
    return PairBatch(
        images(case.images), images(case.images), uv[0], uv[1], torch.ones(shape, dtype=torch.bool),
        own, labels, labels,
    )  # fmt: skip


def _moved(images: Tensor) -> MotionBatch:
    """Pairs of neighbours; the object fills the middle and does not move."""
    number, _, height, width = images.shape
    mask = torch.zeros(number, height, width, dtype=torch.bool)
    mask[:, height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    camera = torch.tensor([[300.0, 0, (width - 1) / 2], [0, 300.0, (height - 1) / 2], [0, 0, 1]])
    return MotionBatch(
        images, mask, camera.expand(number, 3, 3), torch.zeros(number, 2, 2),
        torch.arange(number).view(-1, 2), torch.eye(4).expand(number // 2, 4, 4), torch.zeros(number // 2),
    )  # fmt: skip
