"""A network in a run folder: `model.safetensors` and `config.json`, whole or not at all, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from samepoint.errors import DataError, ModelError, RunError
from samepoint.files import read_json, write_whole
from samepoint.models import shipped
from samepoint.models.config import NetworkConfig
from samepoint.models.keypoints import KeypointConfig, KeypointNetwork, MinedDescriptors
from samepoint.models.network import DescriptorNetwork
from samepoint.models.precision import bfloat16_pays
from samepoint.models.shipped import is_shipped, shipped_config
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.reading import explained

FORMAT, VERSION = "samepoint-run", 1
MODEL, CONFIG = "model.safetensors", "config.json"
DESCRIPTORS, KEYPOINTS = "descriptors", "keypoints"
"""A keypoint network's name of its descriptor network, and what stands before the names of all the rest in a file."""
HEATMAPS = "heatmaps"
"""Under which config.json lists the names that a heatmap network knows."""
LOOKED_FOR = "looked_for"
"""Under which config.json lists, by camera, the names that a heatmap network was taught to look for there."""


Network = DescriptorNetwork | KeypointNetwork | HeatmapNetwork
"""What a run can hold."""


def save_network(folder: str | Path, network: Network, extra: Mapping[str, Any] | None = None) -> None:
    """Write the weights and the configuration; `extra` are more plain values for config.json (method, ...).

    Both files are replaced atomically, the weights first. Of a keypoint network the descriptors' weights have the
    names that they have alone, so that whoever knows nothing of keypoints can read them.
    """
    config = _config_bytes(network, extra)  # fails before anything is written
    state = {name: value.detach().cpu().contiguous() for name, value in _state(network).items()}
    write_whole(Path(folder) / MODEL, safetensors.torch.save(state))
    write_whole(Path(folder) / CONFIG, config)


def write_config(folder: str | Path, network: Network, extra: Mapping[str, Any] | None = None) -> None:
    """Write config.json alone: a run that has begun. Until the weights follow, `load_network` refuses it."""
    config = _config_bytes(network, extra)
    write_whole(Path(folder) / CONFIG, config)


def _config_bytes(network: Network, extra: Mapping[str, Any] | None) -> bytes:
    config = {**(extra or {}), "format": FORMAT, "version": VERSION, "network": network.config.to_json()}
    if isinstance(network, KeypointNetwork):
        config["keypoints"] = network.keypoints.to_json()
    if isinstance(network, HeatmapNetwork):
        config[HEATMAPS] = list(network.keypoints)
    return (json.dumps(config, indent=2) + "\n").encode()


def _state(network: Network) -> dict[str, Tensor]:
    if not isinstance(network, KeypointNetwork):
        return network.state_dict()
    own, heads = f"{DESCRIPTORS}.", f"{KEYPOINTS}."
    return {
        name.removeprefix(own) if name.startswith(own) else heads + name: value
        for name, value in network.state_dict().items()
    }


def load_network(
    folder: str | Path, device: str | torch.device = "cpu"
) -> tuple[DescriptorNetwork | MinedDescriptors, dict[str, Any]]:
    """What gives the descriptors of a run folder, or samepoint-small, in evaluation mode, and the config.json.
    RunError if it is no whole run.

    It runs in bfloat16 where the device is faster in it.
    """
    network = load_whole(folder, device)
    if isinstance(network, HeatmapNetwork):
        mend = "give a run of another method; this one finds its own keypoints"
        raise RunError("this run has named keypoints and no descriptors", where=folder, mend=mend)
    if isinstance(network, KeypointNetwork):
        network = network.descriptors if network.orientation is None else MinedDescriptors(network)
    return network, read_config(folder)


def load_keypoints(
    folder: str | Path, device: str | torch.device = "cpu"
) -> tuple[KeypointNetwork, dict[str, Any]]:
    """The keypoint network of a run folder of `samepoint train mined`, like `load_network`."""
    network = load_whole(folder, device)
    if not isinstance(network, KeypointNetwork):
        mend = "give a run of samepoint train mined"
        raise RunError("this run has no keypoints of its own", where=folder, mend=mend)
    return network, read_config(folder)


def load_heatmaps(
    folder: str | Path, device: str | torch.device = "cpu"
) -> tuple[HeatmapNetwork, dict[str, Any]]:
    """The heatmap network of a run folder of `samepoint train s3k`, like `load_network`."""
    network = load_whole(folder, device)
    if not isinstance(network, HeatmapNetwork):
        mend = "give a run of samepoint train s3k"
        raise RunError("this run has no heatmaps of named keypoints", where=folder, mend=mend)
    return network, read_config(folder)


def has_heatmaps(folder: str | Path) -> bool:
    """Whether a run has named keypoints of its own (`load_heatmaps`). RunError if it is no run."""
    return HEATMAPS in read_config(folder)


def load_whole(folder: str | Path, device: str | torch.device = "cpu") -> Network:
    """All that was trained, in evaluation mode."""
    config = read_config(folder)
    path = shipped.WEIGHTS if is_shipped(folder) else Path(folder) / MODEL
    folder = path.parent
    if not path.is_file():
        line = f"half-written run: {CONFIG} without {MODEL}"
        raise RunError(line, where=folder, mend="train it to the end or go on with --resume")
    try:
        network = _made(config)
    except (ModelError, TypeError, ValueError) as error:
        raise RunError(str(error), where=folder / CONFIG) from error
    try:
        _load_state(network, safetensors.torch.load_file(path))
    except (SafetensorError, OSError) as error:
        refusal = RunError("is not a readable weights file", where=path, mend="train the run again")
        raise explained(refusal, path) from error
    except RuntimeError as error:
        line = f"weights do not fit the network of {CONFIG}"
        raise RunError(line, where=path, mend="take both files from one run") from error
    described = network.descriptors if isinstance(network, KeypointNetwork) else network
    described.half_precision = bfloat16_pays(device)
    return network.to(device).eval()


def _made(config: Mapping[str, Any]) -> Network:
    if HEATMAPS in config:
        return HeatmapNetwork(UNetConfig.from_json(config["network"]), tuple(config[HEATMAPS]))
    described = NetworkConfig.from_json(config["network"])
    if "keypoints" not in config:
        return DescriptorNetwork(described)
    return KeypointNetwork(described, KeypointConfig.from_json(config["keypoints"]))


def _load_state(network: Network, state: Mapping[str, Tensor]) -> None:
    """The inverse of `_state`."""
    if isinstance(network, KeypointNetwork):
        heads = f"{KEYPOINTS}."
        state = {
            name.removeprefix(heads) if name.startswith(heads) else f"{DESCRIPTORS}.{name}": value
            for name, value in state.items()
        }
    network.load_state_dict(state)


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
        config = read_json(path)
    except DataError as error:
        raise RunError(error.what, where=path, mend=error.mend or "restore it or train again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or "network" not in config:
        raise RunError(
            "is not the configuration of a run", where=path, mend="give the --out folder of a training"
        )
    if config.get("version") != VERSION:
        line = f"run has version {config.get('version')!r}, this samepoint reads {VERSION}"
        raise RunError(line, where=path, mend="load it with the samepoint that wrote it")
    return config
