"""Initial weights: random, the shipped ones, timm's pretrained ones, a weights file, or another run's network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from samepoint.errors import ModelError
from samepoint.models import shipped
from samepoint.reading import explained

if TYPE_CHECKING:
    from samepoint.models.network import DescriptorNetwork


def initialise(network: DescriptorNetwork, init: str | Path) -> None:
    """Set the weights as `init` says: "random" leaves them, see DescriptorNetwork for the others."""
    if init == "random":
        return
    if init == "pretrained":
        _load_pretrained(network)
        return
    path = Path(init)
    if not path.exists():
        mend = "give 'random', 'pretrained', a weights file or a run folder"
        raise ModelError("no weights there", where=init, mend=mend)
    if path.is_dir():
        _copy(network, read_weights(path / "model.safetensors"), path, share=0.5)
    else:
        _copy(network.backbone.net, _bare(read_weights(path)), path, share=1.0)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a .pth/.pt/.bin file (no pickled objects are loaded)."""
    if not path.is_file():
        raise ModelError("no weights file there", where=path, mend="give a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        refusal = ModelError("is not a readable weights file", where=path, mend="download or save it again")
        raise explained(refusal, path) from error
    except Exception as error:  # pickle.UnpicklingError has no narrower public base
        line = "holds more than tensors and is not loaded"
        refusal = ModelError(line, where=path, mend="save its state_dict as .safetensors")
        raise explained(refusal, path) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ModelError("holds no dictionary of tensors", where=path, mend="save a state_dict")
    return dict(loaded)


def _bare(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the prefixes that training wrappers put in front."""
    for prefix in ("module.", "backbone.net.", "backbone.", "model."):
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return dict(weights)


def _copy(target: nn.Module, weights: Mapping[str, Tensor], where: object, *, share: float) -> None:
    """Copy every tensor that fits by name and shape; ModelError if that is less than `share` of the target.

    timm flattens some names (`stages.0` to `stages_0`): dots and underscores are equal here.
    """
    own = {name: value for name, value in target.state_dict().items() if not name.endswith("batches_tracked")}
    given = {name.replace("_", "."): value for name, value in weights.items()}
    pairs = {name: given.get(name.replace("_", ".")) for name in own}
    fitting = {name: v for name, v in pairs.items() if v is not None and v.shape == own[name].shape}
    covered = sum(value.numel() for value in fitting.values())
    if covered < share * sum(value.numel() for value in own.values()):
        line = f"holds {len(fitting)} of the {len(own)} tensors that the network needs"
        raise ModelError(line, where=where, mend="give weights of the same backbone")
    target.load_state_dict(fitting, strict=False)


def _load_pretrained(network: DescriptorNetwork) -> None:
    """samepoint-small, if the network is one; else timm's weights of the backbone, from its cache or the hub.
    Reaches for the network; nothing else here does."""
    if shipped.fits_shipped(network.config):
        _copy(network, read_weights(shipped.WEIGHTS), shipped.WEIGHTS, share=0.5)
        return
    name = network.backbone.name
    try:
        net = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client raises many kinds
        mend = "download them elsewhere and give the file as init"
        raise ModelError(f"pretrained weights of {name!r} cannot be fetched", mend=mend) from error
    _copy(network.backbone.net, net.state_dict(), name, share=1.0)
