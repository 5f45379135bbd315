"""samepoint-small: the network that comes with the package, trained on rendered objects (benchmarks/pretrain.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import safe_open

from samepoint.files import write_whole
from samepoint.models.config import NetworkConfig
from samepoint.models.registry import NETWORKS

if TYPE_CHECKING:
    from samepoint.models.network import DescriptorNetwork

SMALL = "samepoint-small"
WEIGHTS = Path(__file__).parent / f"{SMALL}.safetensors"
LIMIT = 10_000_000
"""Bytes that the file may have."""


def fits_shipped(config: NetworkConfig) -> bool:
    """Whether the shipped weights are those of such a network (the length of descriptors and what is trained may
    differ; a head of another length begins with random weights)."""
    shipped = NETWORKS[SMALL]
    alike = replace(config, dim=shipped.dim, trainable_backbone=True, normalise=shipped.normalise)
    return alike == shipped and WEIGHTS.is_file()


def is_shipped(run: str | Path) -> bool:
    """Whether `run` names the shipped network rather than a folder."""
    return str(run) == SMALL and not Path(run).is_dir() and WEIGHTS.is_file()


def shipped_config() -> dict[str, Any]:
    """What would be in the config.json of the shipped network if it had a run folder."""
    with safe_open(WEIGHTS, "pt") as file:
        return json.loads(file.metadata()["config"])


def ship(network: DescriptorNetwork, config: Mapping[str, Any], made: Mapping[str, str]) -> Path:
    """Writes the network's weights into the package, with its run's configuration; `made` says how they came about.
    Kernels in half precision, the rest (statistics among it, whose range half precision does not have) as it is."""
    state = {
        name: (value.half() if value.ndim > 1 else value).contiguous()
        for name, value in network.state_dict().items()
    }
    content = safetensors.torch.save(state, {**made, "config": json.dumps(config)})
    if len(content) > LIMIT:
        raise ValueError(f"{len(content)} bytes are more than {LIMIT}")
    write_whole(WEIGHTS, content)
    return WEIGHTS
