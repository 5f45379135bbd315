"""`samepoint train METHOD`: from a data set and a recipe to a finished run folder."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from lightning.fabric import Fabric

from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset
from samepoint.data.store import FrameStore
from samepoint.errors import DataError, RunError
from samepoint.files import write_json
from samepoint.models.config import NetworkConfig
from samepoint.models.shipped import fits_shipped
from samepoint.models.unet import UNetConfig
from samepoint.models.weights import Network, read_config, save_network, write_config
from samepoint.training.checkpoint import check_identity, checkpoint_path, read_checkpoint
from samepoint.training.engine import Trainer
from samepoint.training.plan import Stage
from samepoint.training.precision import settled
from samepoint.training.processes import on_devices
from samepoint.training.settings import Precision, TrainingSettings

log = logging.getLogger(__name__)


@runtime_checkable
class Examines(Protocol):
    """A method that looks at what it has trained, and says in `warnings` what is wrong with it."""

    def examine(self, network: Any, store: FrameStore) -> dict[str, Any]: ...


@runtime_checkable
class Fingerprinted(Protocol):
    """A method that learns from more than the images: what a resumed run must find unchanged, as one word."""

    def fingerprint(self, store: FrameStore) -> str: ...


@runtime_checkable
class Notes(Protocol):
    """A method whose runs must know something of their training data: more plain values for config.json."""

    def notes(self, store: FrameStore) -> dict[str, Any]: ...


@runtime_checkable
class Recipe(Protocol):
    """A method: its name, the descriptor network (or U-Net) it trains, what it trains on a store of frames (that
    network, or one with more on top), its stages (`from_run`: going on from the weights of another run, as against
    random or pre-trained ones), and itself with another size of its batches."""

    name: ClassVar[str]

    @property
    def network(self) -> NetworkConfig | UNetConfig: ...

    def build(self, store: FrameStore, init: str | Path, generator: torch.Generator) -> Network: ...

    def stages(self, store: FrameStore, *, from_run: bool = False) -> tuple[Stage, ...]: ...

    def with_batch(self, size: int) -> Recipe: ...


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    settings: TrainingSettings,
    *,
    init: str = "auto",
    size: int = 320,
    resume: bool = False,
) -> dict[str, Any]:
    """Train `recipe` on the training split of `data` into the run folder `out`; returns metrics.json.

    `init`: "auto" (the shipped weights if the network is samepoint-small, else random ones), "random",
    "pretrained", or a weights file or run folder (`DescriptorNetwork`). `size` is the long side of the images it
    trains on, in pixels. Raises DataError or RunError with one line.
    """
    if out.exists() and any(out.iterdir()) and not resume:
        raise RunError("the run folder is not empty", where=out, mend="give another --out, or --resume")
    init = initial(init, recipe.network)
    if settings.freeze_norm and init == "random":
        raise RunError(
            "--freeze-norm keeps the statistics of trained weights; random weights have none",
            mend="leave it out, or give --init pretrained or a run",
        )
    settings = dataclasses.replace(settings, precision=_precision(out, settings, resume))
    store = FrameStore(training_split(open_dataset(data)), max_size=size)
    torch.manual_seed(settings.seed)
    stages = recipe.stages(store, from_run=init not in ("random", "pretrained"))
    network = recipe.build(store, init, torch.Generator().manual_seed(settings.seed))
    out.mkdir(parents=True, exist_ok=True)
    identity = {
        "method": recipe.name,
        "recipe": json.dumps(plain(recipe), sort_keys=True),
        "data": store.fingerprint,
        "seed": settings.seed,
        "steps": settings.steps,
        "devices": settings.devices,
        "init": init,
        "optimizer": settings.optimizer,
        **({"labels": recipe.fingerprint(store)} if isinstance(recipe, Fingerprinted) else {}),
    }
    goes_on = resume and checkpoint_path(out).is_file()
    if goes_on:  # before anything of the run is written
        check_identity(read_checkpoint(out), identity, out)
    config = {
        "method": recipe.name,
        "samepoint": version("samepoint"),
        "recipe": plain(recipe),
        "training": dataclasses.asdict(settings),
        "data": {"path": os.fspath(data), "fingerprint": store.fingerprint, "images": len(store)},
        "init": init,
        "max_size": size,
        **(recipe.notes(store) if isinstance(recipe, Notes) else {}),
    }
    write_config(out, network, config)
    metrics = on_devices(settings, _fit, network, stages, settings, out, identity, goes_on)
    network.load_state_dict(read_checkpoint(out)["network"])
    save_network(out, network, config)
    written: dict[str, Any] = {"training": metrics}
    if isinstance(recipe, Examines):
        written["examined"] = recipe.examine(network.eval(), store)
        for line in written["examined"]["warnings"]:
            log.warning("%s", line)
    write_json(out / "metrics.json", written, indent=2)
    return metrics


def initial(init: str, network: NetworkConfig | UNetConfig) -> str:
    """`init`, with "auto" settled."""
    if init != "auto":
        return init
    return "pretrained" if isinstance(network, NetworkConfig) and fits_shipped(network) else "random"


def _precision(out: Path, settings: TrainingSettings, resume: bool) -> Precision:
    """What is asked for; a run that goes on keeps what it was started with where that was left open."""
    if resume and settings.precision == "auto" and checkpoint_path(out).is_file():
        return read_config(out)["training"]["precision"]
    return settled(settings)


def _fit(
    fabric: Fabric,
    network: Network,
    stages: tuple[Stage, ...],
    settings: TrainingSettings,
    out: Path,
    identity: dict[str, Any],
    resume: bool,
) -> dict[str, Any]:
    """In each process; the trained weights are in the last checkpoint."""
    torch.set_flush_denormal(True)  # subnormal numbers make convolutions on a CPU ten times slower
    return Trainer(fabric, network, stages, settings, out, identity).fit(resume=resume)


def training_split(dataset: Dataset) -> Dataset:
    """The recordings to train on. DataError if there is none."""
    split = dataset.split("train")
    if not split.recordings:
        mend = (
            "recordings with a calibration.toml are split by their names:"
            " call those to train on train, train_1, ... (docs/multi-camera.md)"
        )
        raise DataError("no recording belongs to the training split", where=dataset.root, mend=mend)
    return split


def plain(value: Any) -> Any:
    """Nested dataclasses as plain values for JSON."""
    return json.loads(json.dumps(dataclasses.asdict(value)))
