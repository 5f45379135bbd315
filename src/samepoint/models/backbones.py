"""Backbones by their name in timm, as modules that return a list of feature levels, finest first."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from jaxtyping import Float
from timm.layers import AvgPool2dSame, Conv2dSame
from torch import Tensor, nn

from samepoint.errors import ModelError
from samepoint.models.cells import level_cells, structure
from samepoint.types import CellMap


class Backbone(nn.Module):
    """A timm network that returns feature levels, finest first.

    `channels` and `strides` are per level, `cells` where each level's cells lie in the image (measured).
    `multiple`: sizes of the input must be multiples of it. `patch`: the patch size of a vision transformer,
    None for a convolutional network. `mean` and `std` normalise RGB images in [0, 1].
    """

    def __init__(self, name: str, net: nn.Module, channels: list[int], strides: list[int]) -> None:
        super().__init__()
        self.name, self.net, self.channels, self.strides = name, net, channels, strides
        self.patch: int | None = None
        self.multiple = 1
        self.cells: list[CellMap] = []
        settings = timm.get_pretrained_cfg(name)
        self.mean: tuple[float, ...] = tuple(settings.mean) if settings else (0.485, 0.456, 0.406)
        self.std: tuple[float, ...] = tuple(settings.std) if settings else (0.229, 0.224, 0.225)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        return list(self.net(image))


class TransformerBackbone(Backbone):
    """A vision transformer: one level, the normalised tokens of its last block on the patch grid."""

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        return self.net.forward_intermediates(  # type: ignore[operator]
            image, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )


def make_backbone(name: str, *, output_stride: int | None = None, levels: int | None = None) -> Backbone:
    """A backbone with random weights. `name` is timm's.

    With `output_stride` the network is dilated to that stride and gives its last level only (Dense Object
    Nets); without, it gives every level it has, or the finest `levels` of them. A vision transformer always
    gives its patch grid.
    Raises ModelError for a name that timm does not know or a network that gives no such features.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=4, cutoff=0.5)
        mend = f"did you mean one of: {', '.join(near)}" if near else "see timm.list_models()"
        raise ModelError(f"backbone {name!r} is not known to timm", mend=mend)
    return _transformer(name) if _is_transformer(name) else _convolutional(name, output_stride, levels)


def _is_transformer(name: str) -> bool:
    with torch.device("meta"):
        net = timm.create_model(name)
    return hasattr(net, "patch_embed") and hasattr(net, "forward_intermediates") and hasattr(net, "pos_embed")


def _transformer(name: str) -> Backbone:
    try:
        net: Any = timm.create_model(name, num_classes=0, dynamic_img_size=True)
    except TypeError as error:
        line = f"backbone {name!r} takes images of one size only"
        raise ModelError(line, mend="choose another backbone") from error
    patch = int(net.patch_embed.patch_size[0])
    backbone = TransformerBackbone(name, net, [int(net.num_features)], [patch])
    backbone.patch = backbone.multiple = patch
    backbone.cells = level_cells(structure(net.patch_embed.proj), [patch], patch)
    return backbone


def _convolutional(name: str, output_stride: int | None, levels: int | None) -> Backbone:
    try:
        if output_stride is None:
            taken: Any = {} if levels is None else {"out_indices": tuple(range(levels))}
            net = timm.create_model(name, features_only=True, **taken)
        else:
            net = timm.create_model(name, features_only=True, output_stride=output_stride, out_indices=(-1,))
    except (
        RuntimeError,
        TypeError,
        NotImplementedError,
        AssertionError,
        AttributeError,
        LookupError,
    ) as error:
        wanted = (
            f"{levels or ''} feature levels".strip()
            if output_stride is None
            else f"features at stride {output_stride}"
        )
        line = (
            f"backbone {name!r} gives no {wanted} ({str(error).splitlines()[0] if str(error) else 'refused'})"
        )
        raise ModelError(line, mend="choose another backbone, head or stride") from error
    _still_short_cuts(net)
    info: Any = net.feature_info
    backbone = Backbone(name, net, list(info.channels()), list(info.reduction()))
    if output_stride not in (None, backbone.strides[-1]):
        line = (
            f"backbone {name!r} cannot be dilated to stride {output_stride}, only to {backbone.strides[-1]}"
        )
        raise ModelError(line, mend="choose another backbone, head or stride")
    same = any(isinstance(module, Conv2dSame) for module in net.modules())
    try:
        twin = structure(net)
        backbone.multiple = 1 if not same and _rounds_up(twin, backbone) else max(backbone.strides)
        backbone.cells = level_cells(twin, backbone.strides, max(backbone.strides))
    except (RuntimeError, AttributeError, AssertionError, ModelError) as error:
        line = f"backbone {name!r} is no plain convolutional network: its cells cannot be located"
        raise ModelError(line, mend="choose another backbone") from error
    return backbone


def _still_short_cuts(net: nn.Module) -> None:
    """Drop the 2x2 averages of stride 1 in the short cuts of dilated ResNets of kind "d" and "t".

    They move the short cut by half a cell against the main path, so that no cell map is right for both.
    """
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, AvgPool2dSame) and child.stride == (1, 1):
                setattr(module, name, nn.Identity())


def _rounds_up(twin: nn.Module, backbone: Backbone) -> bool:
    """Whether every level of an image of any size n has ceil(n / stride) cells."""
    for size in (65, 79, 98):
        with torch.no_grad():
            levels = twin(torch.ones(1, 3, size, 64, dtype=torch.float64))
        if any(level.shape[-2] != -(-size // stride) for level, stride in zip(levels, backbone.strides)):
            return False
    return True
