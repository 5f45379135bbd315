"""The descriptor network: image normalisation, backbone, head, and where its cells lie."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.errors import ModelError
from samepoint.models.backbones import Backbone, make_backbone
from samepoint.models.cells import level_cells, structure
from samepoint.models.config import NetworkConfig
from samepoint.models.heads import LinearHead, PyramidHead
from samepoint.models.pretrained import initialise
from samepoint.types import CellMap, DescriptorMap, Size

__all__ = ["DescriptorNetwork", "NetworkConfig"]

LINEAR_STRIDE, PYRAMID_STRIDE = 8, 4
EPS = 1e-6


class DescriptorNetwork(nn.Module):
    """Images to descriptor maps.

    `init` is "random", "pretrained" (samepoint-small if the network is one, else the backbone's weights from timm:
    cache or hub), or the path of a weights file or of a run folder. Random weights are drawn from `generator` if
    given, else from torch's global state. Where `half_precision` is set, it runs in bfloat16 in evaluation mode
    (descriptors are float32 in any case). Kernels are kept channels last, which is faster on a CPU.
    Raises ModelError for what cannot be built or loaded.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: NetworkConfig,
        init: str | Path = "random",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.config, self.half_precision = config, False
        with torch.random.fork_rng(devices=[], enabled=generator is not None):
            if generator is not None:
                seed = torch.randint(2**62, (), generator=generator, device=generator.device)
                torch.manual_seed(int(seed))
            self.backbone = _backbone(config)
            self.head = _head(config, self.backbone)
        natural = PYRAMID_STRIDE if config.head == "pyramid" else self.backbone.strides[-1]
        self.stride = config.stride or natural
        self._cells = self._measure()
        self.register_buffer("mean", torch.tensor(self.backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.backbone.std).view(1, 3, 1, 1), persistent=False)
        initialise(self, init)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if not config.trainable_backbone:
            self.backbone.requires_grad_(False)
        self.train()

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> DescriptorMap:
        """RGB images in [0, 1] of any size to descriptors, float32 (float64 in a float64 network)."""
        size = (image.shape[-2], image.shape[-1])
        with self._precision(image.device):
            out = self.features(image)
        with torch.autocast(out.device.type, enabled=False):
            out = out if out.dtype == torch.float64 else out.float()
            values = F.normalize(out, dim=1, eps=EPS) if self.config.normalise else out
        return DescriptorMap(values, self.cells(size), size, self.config.metric)

    def features(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Raw descriptors, not normalised, in the precision the network runs in."""
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            line = f"image has shape {tuple(image.shape)} and type {image.dtype}"
            raise ModelError(line, mend="give a float tensor b 3 h w in [0, 1]")
        height, width = image.shape[-2:]
        image = (image.to(self.mean.dtype) - self.mean) / self.std
        out = self.head(self.backbone(self._fit(image)))
        if self.backbone.patch is not None:
            return out
        return out[..., : -(-height // self.stride), : -(-width // self.stride)]

    def cells(self, size: Size) -> CellMap:
        """Where the cells of the descriptor map of an image of this size lie."""
        if self.backbone.patch is None:
            return self._cells
        fitted = self._fitted(size)
        scale = (size[1] / fitted[1], size[0] / fitted[0])
        stride, offset = self._cells.stride, self._cells.offset
        return CellMap(
            (stride[0] * scale[0], stride[1] * scale[1]),
            ((offset[0] + 0.5) * scale[0] - 0.5, (offset[1] + 0.5) * scale[1] - 0.5),
        )

    def train(self, mode: bool = True) -> DescriptorNetwork:
        super().train(mode)
        if not self.config.trainable_backbone:
            self.backbone.eval()
        return self

    def _precision(self, device: torch.device) -> AbstractContextManager[object]:
        if not self.half_precision or self.training:
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def _fitted(self, size: Size) -> Size:
        """The size the backbone sees: patches resize to the nearest multiple, padding goes up to it."""
        m = self.backbone.multiple
        if self.backbone.patch is not None:
            return max(round(size[0] / m), 1) * m, max(round(size[1] / m), 1) * m
        return -(-size[0] // m) * m, -(-size[1] // m) * m

    def _fit(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        height, width = image.shape[-2:]
        fitted = self._fitted((height, width))
        if fitted == (height, width):
            return image
        if self.backbone.patch is not None:
            return F.interpolate(image, size=fitted, mode="bilinear", align_corners=False, antialias=True)
        return F.pad(image, (0, fitted[1] - width, 0, fitted[0] - height), mode="replicate")

    def _measure(self) -> CellMap:
        if self.backbone.patch is not None:
            return self.backbone.cells[-1]
        whole = nn.Sequential(structure(self.backbone), structure(self.head))
        return level_cells(whole, [self.stride], max(self.backbone.strides))[0]


def _backbone(config: NetworkConfig) -> Backbone:
    if config.head == "pyramid":
        return make_backbone(config.backbone, levels=config.levels)
    return make_backbone(config.backbone, output_stride=config.stride or LINEAR_STRIDE)


def _head(config: NetworkConfig, backbone: Backbone) -> LinearHead | PyramidHead:
    if backbone.patch is not None and config.stride not in (None, backbone.patch):
        mend = f"leave the stride out or give {backbone.patch}"
        raise ModelError(f"backbone {backbone.name!r} has patches, not stride {config.stride}", mend=mend)
    if config.head == "linear":
        return LinearHead(backbone.channels[-1], config.dim)
    if backbone.patch is not None:
        raise ModelError(f"backbone {backbone.name!r} has one level only", mend="use head 'linear'")
    stride = config.stride or PYRAMID_STRIDE
    return PyramidHead(backbone.channels, backbone.cells, stride, config.width, config.dim)
