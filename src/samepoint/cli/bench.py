"""`samepoint bench QUESTION`: measure speed and memory on this machine (docs/benchmarks.md)."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from samepoint.bench.batch import batch_size
from samepoint.bench.finding import finding
from samepoint.bench.machine import commit, machine
from samepoint.bench.matching import matching
from samepoint.bench.memory import DIMS, training_memory
from samepoint.bench.rig import rig_finding
from samepoint.bench.scaling import scaling
from samepoint.bench.steps import METHODS, StepCase
from samepoint.bench.throughput import training_throughput
from samepoint.data.decode import decode_image
from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset
from samepoint.data.store import FrameStore
from samepoint.errors import DataError, one_of
from samepoint.files import write_json
from samepoint.inference.finder import Finder
from samepoint.inference.loading import choose_device, load
from samepoint.recipes.ccl import Ccl
from samepoint.recipes.don import Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.settings import TrainingSettings
from samepoint.types import Size
from samepoint.workflows.training import Recipe, training_split


@dataclass(frozen=True)
class Question:
    """`out`: also write the numbers there, as JSON. `threads`: of the CPU (default: torch's choice)."""

    out: Path | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int | None = None

    def run(self) -> None:
        choose_device(self.device)
        torch.set_flush_denormal(True)
        if self.threads is not None:
            os.environ["OMP_NUM_THREADS"] = str(self.threads)  # for the processes it starts
            torch.set_num_threads(self.threads)
        where = {"command": " ".join(["samepoint", *sys.argv[1:]]), "commit": commit(), "machine": machine()}
        found = where | self.measure()
        if self.out is not None:
            write_json(self.out, found, indent=1)
            print(f"written to {self.out}")

    def measure(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Memory(Question):
    """Memory of a training step against the length of a descriptor, for every method and for the plain ways."""

    dims: tuple[int, ...] = DIMS
    methods: tuple[str, ...] = tuple(METHODS)
    backbone: str = "resnet34"
    size: Size = (480, 640)
    images: int = 1
    points: int = 128

    def measure(self) -> dict[str, Any]:
        for name in self.methods:
            if name not in METHODS:
                raise DataError(one_of("method", name, METHODS))
        case = StepCase("", 0, self.size, self.images, self.points, self.backbone)
        return training_memory(device=self.device, dims=self.dims, methods=self.methods, case=case)


@dataclass(frozen=True)
class Scaling(Question):
    """Time and memory of matching in training against D, points, image size and batch."""

    def measure(self) -> dict[str, Any]:
        return scaling(device=self.device)


@dataclass(frozen=True)
class Matching(Question):
    """Soft and hard matching beside their plain twins."""

    repeats: int = 7

    def measure(self) -> dict[str, Any]:
        return matching(device=self.device, repeats=self.repeats)


@dataclass(frozen=True)
class Training(Question):
    """Images a second in training, and where the time goes. `data`: a posed data set (default: renders some)."""

    data: Path | None = None
    steps: int = 20

    def measure(self) -> dict[str, Any]:
        settings = TrainingSettings(device=self.device, precision="auto")
        recipes: tuple[Recipe, ...] = (Don(), IdenticalView(), Ccl())
        with data_or_rendered(self.data) as dataset:
            store = FrameStore(dataset)
            rows = [training_throughput(recipe, store, settings, steps=self.steps) for recipe in recipes]
        return {"question": "training", "device": self.device, "rows": rows}


@dataclass(frozen=True)
class Finding(Question):
    """How fast a run finds keypoints in frames of 640x480. `data`: frames (default: renders some)."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")] = Path("demo/run")
    data: Path | None = None
    max_size: int | None = None

    def measure(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder, data_or_rendered(self.data, (480, 640)) as dataset:
            finder = load(self.run_folder, keypoints=Path(folder) / "keypoints.sqlite", device=self.device)
            finder = Finder(finder.matcher, self.max_size or finder.max_size, finder.threshold)
            return finding(finder, [decode_image(view.image) for view in dataset.views()[:8]])


@dataclass(frozen=True)
class Rig(Question):
    """How many moments a second keypoints are found in space, in the images of several cameras."""

    views: int = 4
    size: Size = (256, 256)
    keypoints: int = 8
    repeats: int = 20

    def measure(self) -> dict[str, Any]:
        if self.views < 2 or self.keypoints < 1 or self.repeats < 1 or min(self.size) < 16:
            line = f"{self.views} views of {self.size[1]}x{self.size[0]}, {self.keypoints} keypoints"
            raise DataError(line, mend="give two views or more, one keypoint or more, and 16 pixels or more")
        return rig_finding(
            device=self.device,
            views=self.views,
            size=self.size,
            keypoints=self.keypoints,
            repeats=self.repeats,
        )


@dataclass(frozen=True)
class Batch(Question):
    """How many pairs or images a step fit into the memory that is free now. Does not run out of it."""

    data: Path = Path("demo/data")
    recipe: (
        Annotated[Don, tyro.conf.subcommand("don", prefix_name=False)]
        | Annotated[IdenticalView, tyro.conf.subcommand("identical-view", prefix_name=False)]
        | Annotated[Ccl, tyro.conf.subcommand("ccl", prefix_name=False)]
    ) = field(default_factory=Don)

    def measure(self) -> dict[str, Any]:
        return batch_size(
            self.recipe, FrameStore(training_split(open_dataset(self.data))), device=self.device
        )


@contextmanager
def data_or_rendered(data: Path | None, size: Size = (240, 320)) -> Iterator[Dataset]:
    """The data set at `data`, or a few rendered scenes for as long as they are needed."""
    if data is not None:
        yield open_dataset(data)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "data"
        render_dataset(made, RenderSettings(split_scenes=(4, 0, 0), views=8, size=size))
        yield open_dataset(made)


Bench = (
    Annotated[Memory, tyro.conf.subcommand("memory")]
    | Annotated[Scaling, tyro.conf.subcommand("scaling")]
    | Annotated[Matching, tyro.conf.subcommand("matching")]
    | Annotated[Training, tyro.conf.subcommand("training")]
    | Annotated[Finding, tyro.conf.subcommand("finding")]
    | Annotated[Rig, tyro.conf.subcommand("rig")]
    | Annotated[Batch, tyro.conf.subcommand("batch")]
)
