"""`samepoint train METHOD`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from samepoint.recipes.ccl import Ccl
from samepoint.recipes.don import Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.recipes.mined import Mined
from samepoint.recipes.s3k import S3k
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.training import Recipe, train


@dataclass(frozen=True)
class Common:
    """What every method takes.

    `data`: a data set (BOP, frames, photos, video). `out`: the run folder. `init`: auto (the weights that come with
    samepoint where the network is samepoint-small, else random), random, pretrained (for other networks: the
    backbone's weights from its hub), or a weights file or run folder. `size`: long side of the training images.
    `resume`: go on with a training that was stopped.
    """

    data: Path
    out: Path
    init: str = "auto"
    size: int = 320
    resume: bool = False
    training: Annotated[TrainingSettings, tyro.conf.arg(name="")] = field(default_factory=TrainingSettings)

    def train_with(self, recipe: Recipe) -> None:
        settings = {"init": self.init, "size": self.size, "resume": self.resume}
        metrics = train(recipe, self.data, self.out, self.training, **settings, say=_say)
        wait = 100 * (metrics["data_wait"] or 0.0)
        print(
            f"trained {metrics['steps']} steps in {metrics['seconds'] / 60:.1f} min, {_loss(metrics)},"
            f" waiting for data {wait:.1f} % of the time: {self.out}"
        )
        if metrics["kept"]:
            print(metrics["kept"]["line"])


def _loss(metrics: Mapping[str, Any]) -> str:
    return "no loss" if metrics["loss"] is None else f"loss {metrics['loss']:.3f}"


def _say(line: str) -> None:
    print(line, flush=True)


@dataclass(frozen=True)
class TrainDon(Common):
    """Dense Object Nets: pairs of views with true correspondences (needs depth and poses)."""

    method: Annotated[Don, tyro.conf.arg(name="")] = field(default_factory=Don)

    def run(self) -> None:
        self.train_with(self.method)


@dataclass(frozen=True)
class TrainIdenticalView(Common):
    """Identical view: two augmented copies of one image; plain photos will do."""

    method: Annotated[IdenticalView, tyro.conf.arg(name="")] = field(default_factory=IdenticalView)

    def run(self) -> None:
        self.train_with(self.method)


@dataclass(frozen=True)
class TrainCcl(Common):
    """Cycle correspondence: by way of any other image and back; plain photos of the objects in new arrangements."""

    method: Annotated[Ccl, tyro.conf.arg(name="")] = field(default_factory=Ccl)

    def run(self) -> None:
        self.train_with(self.method)


@dataclass(frozen=True)
class TrainMined(Common):
    """Descriptors mined from keypoints that nobody named: rendered or scanned objects with poses, or one photo with a
    mask (samepoint data photo)."""

    method: Annotated[Mined, tyro.conf.arg(name="")] = field(default_factory=Mined)

    def run(self) -> None:
        self.train_with(self.method)


@dataclass(frozen=True)
class TrainS3k(Common):
    """S3K: named 3-D keypoints from calibrated cameras, about ten labelled moments and many unlabelled ones
    (docs/multi-camera.md)."""

    method: Annotated[S3k, tyro.conf.arg(name="")] = field(default_factory=S3k)

    def run(self) -> None:
        self.train_with(self.method)


Train = (
    Annotated[TrainDon, tyro.conf.subcommand("don")]
    | Annotated[TrainIdenticalView, tyro.conf.subcommand("identical-view")]
    | Annotated[TrainCcl, tyro.conf.subcommand("ccl")]
    | Annotated[TrainMined, tyro.conf.subcommand("mined")]
    | Annotated[TrainS3k, tyro.conf.subcommand("s3k")]
)
