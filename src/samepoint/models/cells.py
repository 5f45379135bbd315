"""Where the cells of a feature map lie in the image, measured on the network itself.

Padding, strides, pooling and resizing each shift a map by up to half a cell, so nothing is assumed. A
*structure twin* of the network has every convolution replaced by the mean over its window and channels,
pooling by averaging, and all that moves nothing (normalisation, activations, gates) by the identity; it pads
by repeating the border. The twin is linear and its weights are positive, so the ratio of its answers to the
image x = u and to the image x = 1 is the centroid, in pixels, of what each cell sees. A straight line through
the centroids of the inner cells is the map.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn

from samepoint.errors import ModelError
from samepoint.types import CellMap

GATES = ("SqueezeExcite", "SEModule", "EffectiveSEModule", "EcaModule", "Attention", "Attn", "GlobalContext")
"""Parts of class names of modules that scale or mix what a map holds without moving it."""

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)

INNER = (0.42, 0.58)
"""The part of a strip whose cells see no border."""


class WindowMean(nn.Module):
    """The mean over a convolution's window and over all channels, as each of its output channels."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv, self.same = conv, isinstance(conv, Conv2dSame)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Tensor:
        conv = self.conv
        pads = [self._padding(x.shape[axis], axis) for axis in (-1, -2)]
        x = F.pad(x.mean(1, keepdim=True), [*pads[0], *pads[1]], mode="replicate")
        weight = x.new_full((1, 1, *conv.kernel_size), 1.0 / (conv.kernel_size[0] * conv.kernel_size[1]))
        out = F.conv2d(x, weight, None, conv.stride, 0, conv.dilation)
        return out.repeat(1, conv.out_channels, 1, 1)  # a copy: blocks add in place

    def _padding(self, size: int, axis: int) -> tuple[int, int]:
        conv = self.conv
        if self.same:
            total = get_same_padding(size, conv.kernel_size[axis], conv.stride[axis], conv.dilation[axis])
            return int(total) // 2, int(total) - int(total) // 2
        if isinstance(conv.padding, str):
            total = conv.dilation[axis] * (conv.kernel_size[axis] - 1) if conv.padding == "same" else 0
            return total // 2, total - total // 2
        return conv.padding[axis], conv.padding[axis]


def structure(module: nn.Module) -> nn.Module:
    """The structure twin of a network of convolutions (see the module's text). Shares no weights with it."""
    if isinstance(module, nn.Conv2d):
        return WindowMean(module)
    if isinstance(module, nn.MaxPool2d):
        return nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode, False)
    if isinstance(module, nn.AvgPool2d):
        return module
    kept = bool(module._modules) or getattr(module, "moves_cells", False)
    if not kept or isinstance(module, NORMS) or any(part in type(module).__name__ for part in GATES):
        return nn.Identity()
    twin = copy.copy(module)
    twin._modules = {name: child and structure(child) for name, child in module._modules.items()}
    return twin


def _strip(twin: nn.Module, length: int, width: int, axis: int) -> list[Tensor]:
    """Centroids along one axis (0: u, 1: v) of the cells of each level, in pixels."""
    ramp = torch.arange(length, dtype=torch.float64).expand(1, 3, width, length)
    images = [image.mT if axis else image for image in (ramp, torch.ones_like(ramp))]
    with torch.no_grad():
        levels = [out if isinstance(out, list | tuple) else [out] for out in map(twin, images)]
    centroids = [(moment.mean(1) / mass.mean(1)).squeeze(0) for moment, mass in zip(*levels)]
    return [c[:, c.shape[1] // 2] if axis else c[c.shape[0] // 2] for c in centroids]


def _line(centroids: Float[Tensor, " n"], stride: float) -> tuple[float, float]:
    """Least squares (stride, offset) through the inner cells; ModelError if they do not lie on a line."""
    n = len(centroids)
    cell = torch.arange(n, dtype=torch.float64)[int(INNER[0] * n) : int(INNER[1] * n) + 1]
    uv = centroids[int(INNER[0] * n) : int(INNER[1] * n) + 1]
    design = torch.stack([cell, torch.ones_like(cell)], -1)
    slope, offset = torch.linalg.lstsq(design, uv[:, None]).solution.flatten().tolist()
    if not abs(slope - stride) < 0.05 * stride:
        line = (
            f"its cells cannot be located: measured {slope:.3g} pixels a cell where {stride:g} are declared"
        )
        raise ModelError(line, mend="choose another backbone")
    return round(slope, 4), round(offset, 4) + 0.0  # no minus zero


def level_cells(twin: nn.Module, strides: list[int], multiple: int) -> list[CellMap]:
    """The cell map of each level a structure twin returns, for sizes that are multiples of `multiple`."""
    length = multiple * max(1536 // multiple, 8)
    width = multiple * max(64 // multiple, 1)
    across, down = (_strip(twin, length, width, axis) for axis in (0, 1))
    maps = []
    for u, v, stride in zip(across, down, strides, strict=True):
        (su, ou), (sv, ov) = _line(u, float(stride)), _line(v, float(stride))
        maps.append(CellMap((su, sv), (ou, ov)))
    return maps
