"""`samepoint train METHOD`: from a data set and a recipe to a finished run folder."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from lightning.fabric import Fabric

from samepoint.data.held_out import TRAINED_ON, HeldOut, hold_out
from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset
from samepoint.data.store import FrameStore
from samepoint.data.store_files import fingerprint
from samepoint.errors import DataError, RunError
from samepoint.files import write_json
from samepoint.models.config import NetworkConfig
from samepoint.models.unet import UNetConfig
from samepoint.models.weights import Network, read_config, save_network, write_config
from samepoint.recipes.probe import DescriptorProbe
from samepoint.revision import command, commit
from samepoint.training.checkpoint import check_identity, checkpoint_path, read_checkpoint
from samepoint.training.engine import Trainer
from samepoint.training.keeping import Measure
from samepoint.training.nodes import node_rank
from samepoint.training.plan import Probe, Stage
from samepoint.training.precision import settled
from samepoint.training.processes import on_devices
from samepoint.training.settings import Precision, TrainingSettings
from samepoint.training.start import Start, settled_for
from samepoint.workflows.data_use import data_use
from samepoint.workflows.starting import initial, start_of

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
class Judged(Protocol):
    """A method whose networks can be measured: how, on the images of `held`, which are none of `trained_on` where
    that is possible. `verdict` says a score in words (`Measure.form`)."""

    verdict: ClassVar[str]

    def probe(self, held: FrameStore, trained_on: FrameStore) -> Probe: ...


@runtime_checkable
class HoldsOut(Protocol):
    """A method that says itself which images are held out to measure on."""

    def hold_out(self, dataset: Dataset) -> HeldOut: ...


@runtime_checkable
class Starts(Protocol):
    """A method of which more than rate and statistics follows from the start."""

    def starting_from(self, start: Start) -> Recipe: ...


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
    say: Callable[[str], None] = log.info,
) -> dict[str, Any]:
    """Train `recipe` on the training split of `data` into the run folder `out`; returns metrics.json.

    `init`: "auto" (the shipped weights if the network is samepoint-small, else random ones), "random",
    "pretrained", or a weights file or run folder (`DescriptorNetwork`). `size` is the long side of the images it
    trains on, in pixels. The run holds the best of its start, checkpoints and end (`Measure`). `say` is told in two
    lines what is used of the data and what is not (`data_use`). Raises DataError or RunError with one line.
    """
    first = node_rank(settings.nodes) == 0  # the others' processes take part and write nothing
    if first and out.exists() and any(out.iterdir()) and not resume:
        raise RunError("the run folder is not empty", where=out, mend="give another --out, or --resume")
    init = initial(init, recipe.network)
    settings = dataclasses.replace(settings, precision=_precision(out, settings, resume))
    start = start_of(init, recipe.network)
    recipe = recipe.starting_from(start) if isinstance(recipe, Starts) else recipe
    dataset = open_dataset(data)
    mark = fingerprint(training_split(dataset), size)
    parts = recipe.hold_out(dataset) if isinstance(recipe, HoldsOut) else hold_out(dataset)
    store = FrameStore(parts.training, max_size=size)
    measure = measure_of(recipe, parts, store, known_start=start == "trained")
    verified = measure is not None and measure.verified
    if measure is not None and verified and start == "trained" and settings.lr is None:
        measure = dataclasses.replace(measure, retreats=True)
    settings = settled_for(settings, start, verified=verified)
    torch.manual_seed(settings.seed)
    stages = recipe.stages(store, from_run=init not in ("random", "pretrained"))
    use = data_use(recipe, store, dataset)
    for line in use.lines:
        say(line)
    network = recipe.build(store, init, torch.Generator().manual_seed(settings.seed))
    if first:
        out.mkdir(parents=True, exist_ok=True)
    identity = {
        "method": recipe.name,
        "recipe": json.dumps(plain(recipe), sort_keys=True),
        "data": mark,
        "seed": settings.seed,
        "steps": settings.steps,
        "devices": settings.devices * settings.nodes,
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
        "commit": commit(),
        "command": command(),
        "recipe": plain(recipe),
        "training": dataclasses.asdict(settings),
        "data": {"path": os.fspath(data), "fingerprint": mark, "images": len(store), **use.to_json()},
        "init": init,
        "max_size": size,
        **(recipe.notes(store) if isinstance(recipe, Notes) else {}),
    }
    if first:
        write_config(out, network, config)
    metrics = on_devices(settings, _fit, network, stages, settings, out, identity, measure, goes_on)
    if not first:
        return {**metrics, "kept": None}
    ended = read_checkpoint(out)
    network.load_state_dict(ended["kept"] or ended["network"])
    save_network(out, network, config)
    kept = metrics.pop("kept", None)
    written: dict[str, Any] = {"training": metrics, **({"kept": kept} if kept else {})}
    if isinstance(recipe, Examines):
        written["examined"] = recipe.examine(network.eval(), store)
        for line in written["examined"]["warnings"]:
            log.warning("%s", line)
    write_json(out / "metrics.json", written, indent=2)
    return {**metrics, "kept": kept}


def measure_of(recipe: Recipe, parts: HeldOut, store: FrameStore, *, known_start: bool) -> Measure | None:
    """By what the run is judged. None where the method cannot be measured."""
    if not isinstance(recipe, Judged):
        return None
    words = {"known_start": known_start, "form": recipe.verdict}
    if parts.held_out is not None:
        held = FrameStore(parts.held_out, max_size=store.max_size)
        try:
            probe = recipe.probe(held, store)
            truth = not isinstance(probe, DescriptorProbe) or probe.true
            return Measure(probe, parts.said, verified=truth, **words)
        except DataError as error:  # not what this method learns from
            log.info("what is held out cannot be measured on: %s", error)
    said = parts.said if parts.held_out is None else TRAINED_ON
    return Measure(recipe.probe(store, store), said, held_out=False, **words)


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
    measure: Measure | None,
    resume: bool,
) -> dict[str, Any]:
    """In each process; the trained weights are in the last checkpoint."""
    torch.set_flush_denormal(True)  # subnormal numbers make convolutions on a CPU ten times slower
    return Trainer(fabric, network, stages, settings, out, identity, measure).fit(resume=resume)


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
