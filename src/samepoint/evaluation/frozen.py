"""Frozen, pretrained backbones as baselines: their last feature level, unit length, cosine.

Weights are looked for in the given files and in the local caches of timm's hubs; nothing is downloaded. A
backbone without weights is reported as unavailable, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.errors import ModelError
from samepoint.evaluation.network_predictor import NetworkPredictor
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork

FROZEN = {"dinov2": "vit_small_patch14_dinov2", "dinov3": "vit_small_patch16_dinov3"}
"""Name in the table to timm's name."""

FILES = ("model.safetensors", "pytorch_model.bin")


def frozen_backbones(
    names: Mapping[str, str] = FROZEN,
    *,
    weights: Mapping[str, str | Path] | None = None,
    max_size: int | None = 480,
    device: torch.device | str = "cpu",
) -> dict[str, NetworkPredictor | str]:
    """A predictor for every backbone, or the reason why there is none ("unavailable: ...").

    `names`: name in the table to timm's name. `weights`: name in the table to a weights file or run folder.
    """
    return {
        name: _frozen(name, backbone, (weights or {}).get(name), max_size, device)
        for name, backbone in names.items()
    }


def _frozen(
    name: str, backbone: str, weights: str | Path | None, max_size: int | None, device: torch.device | str
) -> NetworkPredictor | str:
    if weights is None and not cached_locally(backbone):
        return f"unavailable: weights of {backbone} are not on this machine (nothing is downloaded)"
    try:
        config = NetworkConfig(backbone, "linear", trainable_backbone=False)
        network = DescriptorNetwork(config, "pretrained" if weights is None else weights)
    except ModelError as error:
        return f"unavailable: {error}"
    network.add_module("head", LastLevel())
    described = {"backbone": backbone, "weights": "cached" if weights is None else Path(weights).name}
    return NetworkPredictor(
        network.to(device).eval(), name, max_size=max_size, device=device, config=described
    )


def cached_locally(backbone: str) -> bool:
    """Whether timm would find the pretrained weights of this backbone without the network."""
    config = timm.get_pretrained_cfg(backbone)
    if config is None:
        return False
    if config.hf_hub_id and any(
        isinstance(try_to_load_from_cache(config.hf_hub_id, file), str) for file in FILES
    ):
        return True
    checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
    return bool(config.url) and (checkpoints / str(config.url).rsplit("/", 1)[-1]).is_file()


class LastLevel(nn.Module):
    """Takes the place of a head: the backbone's last level as it is."""

    def forward(self, levels: list[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b d h w"]:
        return levels[-1]
