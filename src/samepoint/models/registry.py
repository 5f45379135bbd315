"""Short names of ready networks. Any other timm name works as a backbone as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from samepoint.models.config import NetworkConfig

NETWORKS: dict[str, NetworkConfig] = {
    "samepoint-small": NetworkConfig(),
    "mobilenet-small": NetworkConfig("mobilenetv3_small_100", "pyramid", levels=None),
    "mobilenet-large": NetworkConfig("mobilenetv3_large_100", "pyramid", levels=None),
    "mobilenet4-small": NetworkConfig("mobilenetv4_conv_small", "pyramid", levels=None),
    "resnet18-8s": NetworkConfig("resnet18", "linear", stride=8),
    "resnet34-8s": NetworkConfig("resnet34", "linear", stride=8),
    "resnet50-8s": NetworkConfig("resnet50", "linear", stride=8),
    "resnet101-8s": NetworkConfig("resnet101", "linear", stride=8),
    "resnet18-pyramid": NetworkConfig("resnet18", "pyramid", levels=None),
    "dinov2-small": NetworkConfig("vit_small_patch14_dinov2", "linear", trainable_backbone=False),
    "dinov2-base": NetworkConfig("vit_base_patch14_dinov2", "linear", trainable_backbone=False),
    "dinov3-small": NetworkConfig("vit_small_patch16_dinov3", "linear", trainable_backbone=False),
    "dinov3-base": NetworkConfig("vit_base_patch16_dinov3", "linear", trainable_backbone=False),
}
"""Name to configuration; frozen transformers learn the 1x1 head only."""


def network_config(name: str, **changes: Any) -> NetworkConfig:
    """A short name's configuration, or a pyramid on the timm backbone of that name, with fields changed."""
    return replace(NETWORKS.get(name, NetworkConfig(backbone=name, levels=None)), **changes)
