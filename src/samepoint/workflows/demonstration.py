"""`samepoint demo`: renders a table-top data set, trains on it, and shows how well the result finds points.

The protocol is fixed: Dense Object Nets on the training split; scored on cross-scene pairs of the test split,
whose objects, textures and tables were never seen, camera roll up to 45 degrees, seed 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from samepoint.data.augmentation import Augmentation
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.pairs import read_pairs, write_pairs
from samepoint.data.sampling import PairSampling
from samepoint.evaluation.evaluate import EvaluationSettings
from samepoint.evaluation.tables import evaluation_table
from samepoint.files import write_json
from samepoint.inference.examples import calibrate
from samepoint.inference.settings import FinderSettings, write_settings
from samepoint.models.weights import load_network
from samepoint.recipes.don import Don
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.evaluation import evaluate_run
from samepoint.workflows.reporting import example_pair, write_run_report
from samepoint.workflows.training import train

Say = Callable[[str], None]

TABLE_TOP = RenderSettings(
    views=18,
    split_scenes=(52, 4, 10),
    instances=(6, 2, 2),
    max_roll=45.0,
    max_yaw=60.0,
    sector=60.0,
)
"""Objects turned by up to 60 degrees from their usual direction, seen from up to 60 degrees to either side of the
front."""

SHORT_RUN = Don(
    sampling=PairSampling(pairs=8, points=128),
    augmentation=Augmentation(
        rotation=0.0,
        scale=(1.0, 1.0),
        translation=0.0,
        perspective=0.0,
        colour=0.1,
        grey=0.0,
        noise=0.01,
        background=0.0,
        view=(224, 224),
    ),
    sigma=2.5,
)
"""Views rather than whole images and hardly any augmentation: the rendered scenes vary by themselves, and a run of
minutes underfits. A ResNet learns more a minute than a MobileNet, though it takes a third of the steps."""


@dataclass(frozen=True)
class Demo:
    """The demo's protocol. `minutes` is training time; rendering and scoring come on top. `init` as in `train`."""

    minutes: float = 3.0
    init: str = "auto"
    seed: int = 0
    pairs: int = 50
    render: RenderSettings = field(default_factory=lambda: TABLE_TOP)
    recipe: Don = field(default_factory=lambda: SHORT_RUN)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(lr=3e-3, adapt_norm=True, precision="auto")
    )


def demo(out: Path, settings: Demo, say: Say = print) -> dict[str, Any]:
    """Writes `out`/data, /run, /evaluation.json and /report.html; returns the evaluation. Steps that a killed
    demo had finished are kept: run it again and it goes on."""
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    data, run, pairs = out / "data", out / "run", out / "pairs.json"
    _render(data, settings, say)
    if not pairs.is_file():
        test = open_dataset(data).split("test")
        write_pairs(pairs, make_pairs(test, number=settings.pairs, cross_scene=True, seed=settings.seed))
    say(f"training for {settings.minutes:g} minutes (stop it and run the demo again: it goes on)")
    _train(data, run, settings, say)
    say("evaluating on new objects, beside chance, SIFT, the start and the untrained network")
    file = read_pairs(pairs)
    _calibrate(run, data, settings)
    scoring = EvaluationSettings(closer=False)
    evaluation = evaluate_run(run, file, settings=scoring, progress=_scoring_progress(say)).to_json()
    write_json(out / "evaluation.json", evaluation, indent=1)
    write_run_report(out / "report.html", run, file, evaluation)
    say(evaluation_table(evaluation))
    say(f"done in {(time.monotonic() - began) / 60:.1f} minutes; open {out / 'report.html'} in a browser")
    return evaluation


def _render(data: Path, settings: Demo, say: Say) -> None:
    if data.is_dir():
        say(f"using the data set that is already at {data}")
        return
    splits = settings.render.scenes_of_splits()
    say(f"rendering {sum(splits) * settings.render.views} views of {len(settings.render.families)} families")
    began = time.monotonic()

    def progress(done: int, scenes: int) -> None:
        if done % 10 == 0 or done == scenes:
            spent = time.monotonic() - began
            say(f"  {done} of {scenes} scenes, {spent * (scenes - done) / done:.0f} s left")

    render_dataset(data, replace(settings.render, seed=settings.seed), progress)


def _train(data: Path, run: Path, settings: Demo, say: Say) -> None:
    """Train, or go on with a training that was stopped; a finished one is kept."""
    if (run / "metrics.json").is_file():
        return
    training = replace(settings.training, minutes=settings.minutes, steps=None, seed=settings.seed)
    if not torch.cuda.is_available():
        training = replace(training, workers=0)  # a loader would take its core from the training
    kept = train(settings.recipe, data, run, training, init=settings.init, resume=run.is_dir())["kept"]
    if kept:
        say(kept["line"])


def _calibrate(run: Path, data: Path, settings: Demo) -> None:
    """Confidence of the run's finder, fitted on the validation split."""
    network, config = load_network(run)
    validation = open_dataset(data).split("validation")
    pairs = make_pairs(validation, number=20, cross_scene=True, seed=settings.seed)
    finder = FinderSettings(max_size=config["max_size"], temperature=settings.recipe.temperature)
    calibration = calibrate(network, [example_pair(pair) for pair in pairs], finder)
    write_settings(run, replace(finder, calibration=calibration))


def _scoring_progress(say: Say) -> Callable[[str, int, int], None]:
    def progress(name: str, done: int, pairs: int) -> None:
        if done == pairs:
            say(f"  {name}: {pairs} pairs scored")

    return progress
