"""`samepoint train METHOD`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from samepoint.recipes.don import Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.recipes.session import Recipe, train
from samepoint.training.settings import TrainingSettings


@dataclass(frozen=True)
class Training:
    """What every `samepoint train METHOD` takes.

    `data`: a data set (BOP, frames, photos, video). `out`: the run folder. `init`: random, pretrained (the
    backbone's weights from its hub), or a weights file or run folder. `size`: long side of the training images.
    """

    data: Path
    out: Path
    init: str = "random"
    size: int = 320
    resume: bool = False
    training: Annotated[TrainingSettings, tyro.conf.arg(name="")] = field(default_factory=TrainingSettings)


@dataclass(frozen=True)
class TrainDon(Training):
    """Dense Object Nets: pairs of views with true correspondences (needs depth and poses)."""

    method: Annotated[Don, tyro.conf.arg(name="")] = field(default_factory=Don)


@dataclass(frozen=True)
class TrainIdenticalView(Training):
    """Identical view: two augmented copies of one image; plain photos will do."""

    method: Annotated[IdenticalView, tyro.conf.arg(name="")] = field(default_factory=IdenticalView)


def run(options: TrainDon | TrainIdenticalView) -> None:
    recipe: Recipe = options.method
    metrics = train(
        recipe,
        options.data,
        options.out,
        options.training,
        init=options.init,
        size=options.size,
        resume=options.resume,
    )
    print(
        f"trained {metrics['steps']} steps in {metrics['seconds'] / 60:.1f} min, loss {metrics['loss']:.3f},"
        f" waiting for data {100 * metrics['data_wait']:.1f} % of the time: {options.out}"
    )
