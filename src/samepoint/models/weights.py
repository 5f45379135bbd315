"""A network in a run folder: `model.safetensors` and `config.json`, whole or not at all, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from samepoint.errors import ModelError, RunError
from samepoint.files import write_whole
from samepoint.models import shipped
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.models.precision import bfloat16_pays
from samepoint.models.shipped import is_shipped, shipped_config

FORMAT, VERSION = "samepoint-run", 1
MODEL, CONFIG = "model.safetensors", "config.json"


def save_network(
    folder: str | Path, network: DescriptorNetwork, extra: Mapping[str, Any] | None = None
) -> None:
    """Write the weights and the configuration; `extra` are more plain values for config.json (method, ...).

    Both files are replaced atomically, the weights first.
    """
    config = _config_bytes(network.config, extra)  # fails before anything is written
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_whole(Path(folder) / MODEL, safetensors.torch.save(state))
    write_whole(Path(folder) / CONFIG, config)


def write_config(folder: str | Path, network: NetworkConfig, extra: Mapping[str, Any] | None = None) -> None:
    """Write config.json alone: a run that has begun. Until the weights follow, `load_network` refuses it."""
    config = _config_bytes(network, extra)
    write_whole(Path(folder) / CONFIG, config)


def _config_bytes(network: NetworkConfig, extra: Mapping[str, Any] | None) -> bytes:
    config = {**(extra or {}), "format": FORMAT, "version": VERSION, "network": network.to_json()}
    return (json.dumps(config, indent=2) + "\n").encode()


def load_network(
    folder: str | Path, device: str | torch.device = "cpu"
) -> tuple[DescriptorNetwork, dict[str, Any]]:
    """The network of a run folder, or samepoint-small, in evaluation mode, and its config.json. RunError if it is no
    whole run.

    It runs in bfloat16 where the device is faster in it.
    """
    config = read_config(folder)
    path = shipped.WEIGHTS if is_shipped(folder) else Path(folder) / MODEL
    folder = path.parent
    if not path.is_file():
        line = f"half-written run: {CONFIG} without {MODEL}"
        raise RunError(line, where=folder, mend="train it to the end or go on with --resume")
    try:
        network = DescriptorNetwork(NetworkConfig.from_json(config["network"]))
    except (ModelError, TypeError, ValueError) as error:
        raise RunError(str(error), where=folder / CONFIG) from error
    try:
        network.load_state_dict(safetensors.torch.load_file(path))
    except SafetensorError as error:
        raise RunError("is not a readable weights file", where=path, mend="train the run again") from error
    except RuntimeError as error:
        line = f"weights do not fit the network of {CONFIG}"
        raise RunError(line, where=path, mend="take both files from one run") from error
    network.half_precision = bfloat16_pays(device)
    return network.to(device).eval(), config


def read_config(folder: str | Path) -> dict[str, Any]:
    """config.json of a run folder, checked for its format and version, or what samepoint-small has in its place."""
    if is_shipped(folder):
        return shipped_config()
    folder = Path(folder)
    path = folder / CONFIG
    if not folder.is_dir():
        raise RunError("no such run folder", where=folder, mend="give the --out folder of a training")
    if not path.is_file():
        raise RunError(
            f"not a run: it has no {CONFIG}", where=folder, mend="give the --out folder of a training"
        )
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise RunError("is not valid JSON", where=path, mend="restore it or train again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or "network" not in config:
        raise RunError(
            "is not the configuration of a run", where=path, mend="give the --out folder of a training"
        )
    if config.get("version") != VERSION:
        line = f"run has version {config.get('version')!r}, this samepoint reads {VERSION}"
        raise RunError(line, where=path, mend="load it with the samepoint that wrote it")
    return config
