"""Makes samepoint-small, the network that a training starts from by default.

    python benchmarks/pretrain.py render DATA [--scenes 450]
    python benchmarks/pretrain.py train DATA RUN [--steps 20000] [--resume]
    python benchmarks/pretrain.py ship RUN

Rendered scenes of seven families in many shapes and prints; mugs and shoes are left out, to be tested on, and so is
every object, print and table that the demo and the other benchmarks show (they have other seeds). Two things are
learnt at once: pairs of views with true correspondences, within and across scenes, and two strongly augmented copies
of one image in any rotation. `ship` writes the weights, in half precision, into the package, and with them what its
confidence means, fitted on further scenes of the seven families.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from samepoint.bench.machine import commit
from samepoint.data.augmentation import Augmentation
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.sampling import PairSampling
from samepoint.data.store import FrameStore
from samepoint.inference.examples import calibrate
from samepoint.inference.settings import FinderSettings
from samepoint.models import NETWORKS, NetworkConfig
from samepoint.models.shipped import SMALL, ship
from samepoint.models.weights import load_network
from samepoint.recipes.don import Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.sim.families import FAMILIES
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.plan import Part, Stage
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.reporting import example_pair
from samepoint.workflows.training import train

LEFT_OUT = ("mug", "shoe")
SEED = 1000

RENDERED = RenderSettings(
    families=tuple(name for name in FAMILIES if name not in LEFT_OUT),
    views=14,
    objects_per_scene=(3, 6),
    max_yaw=90.0,
    sector=90.0,
    seed=SEED,
)
PAIRS = Augmentation(
    rotation=30.0,
    scale=(0.8, 1.25),
    translation=0.0,
    perspective=0.1,
    colour=0.3,
    grey=0.1,
    noise=0.02,
    background=0.2,
    view=(224, 224),
)
COPIES = Augmentation(
    rotation=180.0, scale=(0.6, 1.6), translation=0.2, perspective=0.3, background=0.0, view=(224, 224)
)


@dataclass(frozen=True)
class Pretraining:
    """Both sources in every step."""

    name: ClassVar[str] = "pretraining"

    network: NetworkConfig = field(default_factory=lambda: NETWORKS[SMALL])
    pairs: int = 6
    images: int = 3
    points: int = 128
    temperature: float = 0.05
    sigma: float = 2.5

    def with_batch(self, size: int) -> Pretraining:
        return replace(self, pairs=size)

    def stages(self, store: FrameStore, *, from_run: bool = False) -> tuple[Stage, ...]:
        shared = {"network": self.network, "temperature": self.temperature, "sigma": self.sigma}
        sampling = PairSampling(pairs=self.pairs, points=self.points)
        don = Don(sampling=sampling, augmentation=PAIRS, **shared)  # type: ignore[arg-type]
        copies = IdenticalView(augmentation=COPIES, images=self.images, points=self.points, **shared)  # type: ignore[arg-type]
        (pairs,) = don.stages(store)[0].parts
        (views,) = copies.stages(store)[0].parts
        return (Stage("both", (pairs, Part("copies", views.source, views.objective, 0.5))),)


def render(data: Path, scenes: int) -> None:
    settings = replace(RENDERED, instances=(max(2, scenes // 6), 1, 1), split_scenes=(scenes, 0, 0))
    render_dataset(data, settings, lambda done, of: print(f"{done} of {of} scenes", flush=True))


def put_into_the_package(run: Path) -> Path:
    """The run's weights and what of its configuration holds anywhere (not where its data lay)."""
    network, config = load_network(run)
    finder = FinderSettings(max_size=config["max_size"], temperature=config["recipe"]["temperature"])
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(RENDERED, split_scenes=(0, 0, 10), instances=(1, 1, 3), seed=SEED + 1)
        render_dataset(Path(folder) / "data", settings, lambda _done, _scenes: None)
        pairs = make_pairs(
            open_dataset(Path(folder) / "data").split("test"), number=60, cross_scene=True, seed=0
        )
        calibration = calibrate(network, [example_pair(pair) for pair in pairs], finder)
    finder = replace(finder, calibration=calibration)
    kept = {
        key: config[key]
        for key in ("method", "samepoint", "network", "recipe", "training", "init", "max_size")
    }
    command = f"python benchmarks/pretrain.py train DATA RUN --steps {config['training']['steps']}"
    return ship(network, {**kept, "finder": finder.to_json()}, {"command": command, "commit": commit()})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["render", "train", "ship"])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--scenes", type=int, default=450)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--backbone", default=NETWORKS[SMALL].backbone)
    parser.add_argument("--levels", type=int, default=NETWORKS[SMALL].levels)
    parser.add_argument("--width", type=int, default=NETWORKS[SMALL].width)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.what == "render":
        render(options.paths[0], options.scenes)
    elif options.what == "ship":
        print(put_into_the_package(options.paths[0]))
    else:
        network = NetworkConfig(backbone=options.backbone, levels=options.levels or None, width=options.width)
        settings = TrainingSettings(steps=options.steps, lr=options.lr, workers=options.workers)
        data, run = options.paths
        recipe = Pretraining(network=network)
        print(train(recipe, data, run, settings, init="random", resume=options.resume))


if __name__ == "__main__":
    main()
