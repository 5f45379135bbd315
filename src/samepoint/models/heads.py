"""From feature levels to a descriptor map: a 1x1 convolution, or a light feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.errors import ModelError, one_of
from samepoint.types import CellMap, Size


class LinearHead(nn.Module):
    """A 1x1 convolution on the last level (the fully convolutional form of Dense Object Nets)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(channels, dim, 1)

    def forward(self, levels: list[Tensor]) -> Float[Tensor, "b d h w"]:
        return self.out(levels[-1])


class Double(nn.Module):
    """A map at twice the resolution (bilinear), cropped to `size`, laid over the finer level.

    `phase` p: finer cell j lies at coarser cell (j - p) / 2. Padded odd strided convolutions have p = 0,
    patches and even windows 1/2 (what align_corners=False assumes of all), TensorFlow's "same" padding 1.
    """

    moves_cells = True

    def __init__(self, phase: float) -> None:
        super().__init__()
        self.phase = min(max(phase, 0.0), 1.0)

    def forward(self, x: Float[Tensor, "b c h w"], size: Size) -> Float[Tensor, "b c h2 w2"]:
        height, width = x.shape[-2:]
        if self.phase == 0.5:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            return x[..., : size[0], : size[1]]
        x = F.pad(x, (0, 1, 0, 1), mode="replicate")
        x = F.interpolate(x, size=(2 * height + 1, 2 * width + 1), mode="bilinear", align_corners=True)
        if self.phase > 0:  # a shift by part of a cell, as a mean of neighbours
            x = F.pad(x, (1, 0, 1, 0), mode="replicate")
            x = torch.lerp(x[..., 1:, :], x[..., :-1, :], self.phase)
            x = torch.lerp(x[..., 1:], x[..., :-1], self.phase)
        return x[..., : size[0], : size[1]]


def _smooth(width: int) -> nn.Sequential:
    """Depthwise 3x3 and pointwise 1x1, with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


class PyramidHead(nn.Module):
    """A feature pyramid (Lin et al. 2017) made light: lateral 1x1, top-down sums, smoothing.

    The output has the cells of the level at `stride`. One finer level, if the backbone has it, comes in
    through a depthwise convolution of stride 2: small backbones lose position early.
    """

    def __init__(self, channels: Sequence[int], cells: Sequence[CellMap], stride: int, width: int, dim: int):
        super().__init__()
        strides = [round(level.stride[0]) for level in cells]
        if stride not in strides:
            raise ModelError(one_of("stride of a pyramid on this backbone", stride, strides))
        base = strides.index(stride)
        self.used = list(range(base, len(strides)))
        self.lateral = nn.ModuleList(nn.Conv2d(channels[i], width, 1) for i in self.used)
        self.upsample = nn.ModuleList(Double(_phase(cells[i], cells[i + 1])) for i in self.used[:-1])
        self.smooth = nn.ModuleList(_smooth(width) for _ in self.used)
        self.finer: nn.Sequential | None = None
        if base > 0 and strides[base - 1] * 2 == stride and _phase(cells[base - 1], cells[base]) == 0:
            fine = channels[base - 1]
            depthwise = nn.Conv2d(fine, fine, 3, stride=2, padding=1, groups=fine, bias=False)
            self.finer = nn.Sequential(depthwise, nn.Conv2d(fine, width, 1))
        self.out = nn.Conv2d(width, dim, 1)

    def forward(self, levels: list[Tensor]) -> Float[Tensor, "b d h w"]:
        x = self.smooth[-1](self.lateral[-1](levels[self.used[-1]]))
        for k in range(len(self.used) - 2, -1, -1):
            level = levels[self.used[k]]
            x = self.upsample[k](x, (level.shape[-2], level.shape[-1])) + self.lateral[k](level)
            if k == 0 and self.finer is not None:
                x = x + self.finer(levels[self.used[0] - 1])
            x = self.smooth[k](x)
        return self.out(x)


def _phase(fine: CellMap, coarse: CellMap) -> float:
    """How many fine cells the first cell of the coarser level lies right of the first finer one."""
    return round((coarse.offset[0] - fine.offset[0]) / fine.stride[0], 4)
