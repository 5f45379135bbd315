"""What a training starts from: `--init` settled, and whether those weights know the task already."""

from __future__ import annotations

from pathlib import Path

from samepoint.models.config import NetworkConfig
from samepoint.models.registry import NETWORKS
from samepoint.models.shipped import SMALL, fits_shipped
from samepoint.models.unet import UNetConfig
from samepoint.models.weights import read_config
from samepoint.training.start import Start


def initial(init: str, network: NetworkConfig | UNetConfig) -> str:
    """`init`, with "auto" settled."""
    if init != "auto":
        return init
    return "pretrained" if isinstance(network, NetworkConfig) and fits_shipped(network) else "random"


def start_of(init: str, network: NetworkConfig | UNetConfig) -> Start:
    """What the weights of `init` (settled) are to this network."""
    if init == "random":
        return "random"
    if isinstance(network, UNetConfig):
        return "trained"
    if init == "pretrained":
        whole = fits_shipped(network) and network.dim == NETWORKS[SMALL].dim
        return "trained" if whole else "backbone"
    if not Path(init).is_dir():
        return "backbone"
    return "trained" if read_config(init)["network"] == network.to_json() else "backbone"
