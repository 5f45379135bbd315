"""A U-Net from images to a heatmap for each named keypoint, of one view (S3K, seed 003, section 3.3).

Small on purpose: few channels, and the deep part, blocks of a ResNet, at the lowest resolution only. One network with
the same weights serves all cameras. What the text has lost (channels, blocks, resolutions) is chosen by measurement:
docs/methods/s3k.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.errors import ModelError, one_of
from samepoint.types import CellMap, Heatmaps

STRIDE = 2
"""Pixels a cell of a heatmap: of every 2 x 2 pixels the network makes one cell before it looks."""


@dataclass(frozen=True)
class UNetConfig:
    """`channels` of each resolution, the finest (half the image's) first, each half the one before; `blocks` residual
    blocks at the lowest."""

    channels: tuple[int, ...] = (16, 32, 64, 96)
    blocks: int = 3

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1:
            mend = "give two or more numbers, such as 16 32 64"
            raise ModelError(f"channels are {list(self.channels)}", mend=mend)
        if self.blocks < 1:
            raise ModelError(f"there are {self.blocks} residual blocks", mend="give 1 or more")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> UNetConfig:
        """ModelError for an unknown field."""
        known = [field.name for field in fields(UNetConfig)]
        for name in values:
            if name not in known:
                raise ModelError(one_of("network configuration field", name, known))
        made = dict(values)
        if isinstance(made.get("channels"), list):
            made["channels"] = tuple(made["channels"])
        return UNetConfig(**made)


class HeatmapNetwork(nn.Module):
    """Images to heatmaps (logits) of `keypoints`, at half the image's resolution.

    Random weights are drawn from `generator` if given. Where `half_precision` is set it runs in bfloat16 in
    evaluation mode; heatmaps are float32 in any case.
    """

    def __init__(
        self, config: UNetConfig, keypoints: tuple[str, ...], generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if not keypoints:
            raise ModelError("a network without keypoints", mend="name at least one")
        self.config, self.keypoints, self.half_precision = config, tuple(keypoints), False
        wide = config.channels
        with torch.random.fork_rng(devices=[], enabled=generator is not None):
            if generator is not None:
                torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            self.stem = Convolution(3 * STRIDE**2, wide[0])
            self.down = nn.ModuleList(Convolution(a, b) for a, b in pairwise(wide))
            self.deep = nn.Sequential(*(Residual(wide[-1]) for _ in range(config.blocks)))
            self.up = nn.ModuleList(Convolution(a + b, a) for a, b in pairwise(wide))
            self.head = nn.Conv2d(wide[0], len(keypoints), 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Heatmaps:
        """RGB images in [0, 1] of any size."""
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            line = f"image has shape {tuple(image.shape)} and type {image.dtype}"
            raise ModelError(line, mend="give a float tensor b 3 h w in [0, 1]")
        height, width = image.shape[-2:]
        halved = self.half_precision and not self.training
        with torch.autocast(image.device.type, torch.bfloat16) if halved else nullcontext():
            features = self._features(self._fitted(image))
        with torch.autocast(image.device.type, enabled=False):
            features = features.to(self.head.weight.dtype)
            logits = self.head(features[..., : -(-height // STRIDE), : -(-width // STRIDE)])
        return Heatmaps(logits, CellMap((float(STRIDE), float(STRIDE)), (0.5, 0.5)), (height, width))

    def _fitted(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        """Centred about zero, and the edge repeated up to what the lowest resolution divides."""
        multiple = STRIDE * 2 ** len(self.down)
        more = [-side % multiple for side in image.shape[-2:]]
        image = 4 * (image.to(self.head.weight.dtype) - 0.5)
        return F.pad(image, (0, more[1], 0, more[0]), mode="replicate") if any(more) else image

    def _features(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h2 w2"]:
        here = self.stem(F.pixel_unshuffle(image, STRIDE))
        kept = []
        for down in self.down:
            kept.append(here)
            here = down(F.max_pool2d(here, 2))
        here = self.deep(here)
        for up, there in zip(reversed(self.up), reversed(kept)):
            here = up(torch.cat((there, F.interpolate(here, scale_factor=2.0, mode="nearest")), dim=1))
        return here


class Convolution(nn.Sequential):
    """A 3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, inward: int, outward: int) -> None:
        convolution = nn.Conv2d(inward, outward, 3, padding=1, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outward), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """A block of a ResNet: two convolutions beside an identity. The second starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, here: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.relu(here + self.norm(self.second(self.first(here))))
