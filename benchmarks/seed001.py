"""Seed 001's experiments on rendered data: table I, figure 4, and the ingredients of Dense Object Nets.

    python benchmarks/seed001.py data DATA
    python benchmarks/seed001.py table-1 DATA OUT [--minutes 5] [--seeds 0 1 2] [--parallel 2]
    python benchmarks/seed001.py pretrained DATA OUT
    python benchmarks/seed001.py figure-4 DATA OUT
    python benchmarks/seed001.py ingredients DATA OUT
    python benchmarks/seed001.py classes DATA OUT

`data` renders the same eight objects twice, as each method may see them: scans with depth and poses for the rows
with geometry, and shuffled recordings under a fixed camera for the rows that get RGB alone. The test pairs are from
new scenes of those objects on other tables: half of them seen as in the scans, half from above. Every row trains
the same network on one core for the same minutes; rows that begin with identical view share its first stage (60 %
of the minutes, counted in) and go on from it. All are scored on the same pairs. OUT keeps a run folder a cell;
cells that are there are not trained again. Results: benchmarks/results/seed001-NAME.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from samepoint.bench.machine import provenance
from samepoint.data.augmentation import Augmentation
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.pairs import read_pairs, write_pairs
from samepoint.data.partners import PairMixture
from samepoint.data.sampling import PairSampling
from samepoint.evaluation.evaluate import EvaluationSettings, evaluate
from samepoint.evaluation.network_predictor import untrained_predictor
from samepoint.evaluation.sift import sift_variants
from samepoint.files import write_json
from samepoint.models.config import NetworkConfig
from samepoint.models.weights import read_config
from samepoint.objectives import CycleWeights
from samepoint.recipes.ccl import Ccl
from samepoint.recipes.don import Contrast, Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.demonstration import SHORT_RUN
from samepoint.workflows.evaluation import evaluate_run
from samepoint.workflows.training import Recipe, train

RESULTS = Path(__file__).parent / "results"

OBJECTS = RenderSettings(
    families=("box", "drill", "mug", "shoe"),
    instances=(2, 1, 1),
    max_yaw=60.0,
    sector=60.0,
    same_objects=True,
)
SCANS = replace(OBJECTS, views=18, split_scenes=(20, 0, 12), objects_per_scene=(3, 5))
OTHERS = replace(
    OBJECTS,
    families=("bottle", "cap", "plug", "socket", "toy"),
    instances=(6, 1, 1),
    views=18,
    split_scenes=(40, 0, 1),
    objects_per_scene=(3, 5),
    seed=1,
)
"""What a network can be pre-trained on: no object, family, texture or table of the others."""
SHUFFLES = replace(OBJECTS, mode="shuffle", views=120, split_scenes=(3, 0, 3), objects_per_scene=(8, 8))
TESTS = {"table-1": ("scans", "shuffles"), "classes": ("classes", "classes-other-instances")}
"""The data whose test split a table is scored on."""

VIEWS = Augmentation(
    rotation=90.0,
    scale=(0.7, 1.4),
    translation=0.25,
    perspective=0.2,
    colour=0.4,
    grey=0.1,
    noise=0.03,
    background=0.0,
    view=(200, 200),
)
"""The paper's augmentations (affine, perspective, brightness and contrast). Strong, for all that identical view knows
of other places, sides and light comes from them."""

PAIRS = replace(SHORT_RUN.augmentation, grey=0.1, noise=0.02)
"""Weak: two views that are really different need minutes of training, not more differences."""

SAMPLING = PairSampling(pairs=4, points=128)
MASKLESS = replace(SAMPLING, mixture=PairMixture(within=1.0, across=0.0), masks=False)
COLLAGE = replace(SAMPLING, mixture=PairMixture(within=0.0, across=0.0, collage=1.0))
NETWORK = NetworkConfig(backbone="resnet10t", levels=None)
IDENTICAL = IdenticalView(network=NETWORK, augmentation=VIEWS, images=5, points=128)
CYCLE = Ccl(network=NETWORK, augmentation=VIEWS, images=5, points=128, identical_weight=0.0, temperature=0.03)
DON = Don(network=NETWORK, augmentation=PAIRS)


@dataclass(frozen=True)
class Row:
    """A row of a table: what is trained, on which data, for which share of a cell's minutes.

    `after` names the row whose weights it goes on from; the two shares then make up one cell.
    """

    data: str
    recipe: Recipe
    share: float = 1.0
    after: str = ""
    lr: float = 3e-3
    freeze_norm: bool = False


FIRST, FIRST_ON_SCANS = "identical view, first stage", "identical view on the scans, first stage"
PRETRAINED = "pre-trained on other objects"


def second(recipe: Recipe, data: str = "shuffles") -> Row:
    """What follows the first stage of identical view."""
    return Row(data, recipe, 0.4, FIRST if data == "shuffles" else FIRST_ON_SCANS, lr=1e-3)


def tuned(recipe: Recipe, data: str = "shuffles") -> Row:
    """What follows pre-training. Statistics of five views from three tables in place of the network's own cost
    every row more than training gave (docs/results.md)."""
    return Row(data, recipe, 0.5, PRETRAINED, lr=2e-4, freeze_norm=True)


STARTS = {
    FIRST: Row("shuffles", IDENTICAL, 0.6),
    FIRST_ON_SCANS: Row("scans", IDENTICAL, 0.6),
    PRETRAINED: Row("others", replace(DON, sampling=replace(SAMPLING, pairs=8), sigma=2.5)),
}
"""Trained once a seed for all rows that begin so."""

TABLE_1 = {
    "identical view": Row("shuffles", IDENTICAL),
    "CCL": second(CYCLE),
    "CCL + identical view": second(replace(CYCLE, identical_weight=0.1)),
    "PWarpC": second(replace(CYCLE, loss="pwarpc", temperature=0.05)),
    "WarpC": second(replace(CYCLE, loss="warpc"), "scans"),
    "DON, multi-object, maskless": Row("scans", replace(DON, sampling=MASKLESS)),
    "DON, collage": Row("scans", replace(DON, sampling=COLLAGE)),
}
"""WarpC trains on the scans, as in the paper, without their geometry."""

FROM_PRETRAINED = {
    "identical view": tuned(IDENTICAL),
    "CCL": tuned(CYCLE),
    "CCL + identical view": tuned(replace(CYCLE, identical_weight=0.1)),
    "PWarpC": tuned(replace(CYCLE, loss="pwarpc", temperature=0.05)),
    "WarpC": tuned(replace(CYCLE, loss="warpc"), "scans"),
    "DON, multi-object, maskless": tuned(replace(DON, sampling=MASKLESS), "scans"),
}
"""The paper begins with a ResNet pre-trained on photographs. Here: with one pre-trained on other rendered objects."""

FIGURE_4 = {
    f"q {quantile}, {'scaled' if scaled else 'not scaled'}": tuned(
        replace(CYCLE, weights=CycleWeights(quantile, scaled))
    )
    for quantile in (0.2, 0.35, 0.5, 0.8, 1.0)
    for scaled in (True, False)
}

CONTRASTIVE = replace(DON, loss="contrastive", sampling=SAMPLING, augmentation=replace(PAIRS, background=0.5))
INGREDIENTS = {
    "all": Row("scans", CONTRASTIVE),
    "no mask sampling": Row("scans", replace(CONTRASTIVE, sampling=MASKLESS)),
    "no background randomisation": Row("scans", replace(CONTRASTIVE, augmentation=PAIRS)),
    "no hard-negative scaling": Row(
        "scans", replace(CONTRASTIVE, contrast=Contrast(scale_by_hard_negatives=False))
    ),
    "no cross-object loss": Row("scans", replace(CONTRASTIVE, contrast=Contrast(cross_object=0))),
    "KL in place of the contrastive loss": Row("scans", replace(CONTRASTIVE, loss="kl")),
    "NT-Xent": Row("scans", replace(CONTRASTIVE, loss="nt-xent")),
    "triplet": Row("scans", replace(CONTRASTIVE, loss="triplet")),
}

CLASSES = {
    f"{level} level": Row("classes", replace(DON, sampling=replace(SAMPLING, identity=identity)))
    for level, identity in (("instance", "instance"), ("class", "family"))
}
"""Shoes and mugs: the same point of the same instance, or of any, as the match. Scored on instances that were
never seen: the point of the same one in another scene, and of another one of the family."""

TABLES: Mapping[str, dict[str, Row]] = {
    "table-1": TABLE_1,
    "pretrained": FROM_PRETRAINED,
    "figure-4": FIGURE_4,
    "ingredients": INGREDIENTS,
    "classes": CLASSES,
}


CLASS_SCANS = replace(
    SCANS, families=("mug", "shoe"), instances=(8, 1, 3), same_objects=False, split_scenes=(24, 0, 10)
)


def render(data: Path) -> None:
    """The recordings, and test pairs of each."""
    if not (data / "others").is_dir():
        render_dataset(data / "others", OTHERS)
    for name, settings in (("scans", SCANS), ("shuffles", SHUFFLES), ("classes", CLASS_SCANS)):
        if not (data / name).is_dir():
            render_dataset(data / name, settings)
        test = open_dataset(data / name).split("test")
        write_pairs(data / f"pairs-{name}.json", make_pairs(test, number=60, cross_scene=True))
    others = make_pairs(
        open_dataset(data / "classes").split("test"), number=60, cross_scene=True, cross_instance=True
    )
    write_pairs(data / "pairs-classes-other-instances.json", others)


@dataclass(frozen=True)
class Cell:
    """One training: row, seed, and where things are."""

    name: str
    row: Row
    seed: int
    data: Path
    run: Path
    init: str
    minutes: float
    tests: tuple[Path, ...]


def cells_of(
    rows: Mapping[str, Row], tests: tuple[Path, ...], folder: str, options: argparse.Namespace
) -> list[Cell]:
    """Each row at each seed."""
    return [
        Cell(
            name,
            row,
            seed,
            options.data / row.data,
            options.out / folder / f"{name} {seed}",
            os.fspath(options.out / "starts" / f"{row.after} {seed}") if row.after else "random",
            row.share * options.minutes,
            tests,
        )
        for seed in options.seeds
        for name, row in rows.items()
    ]


def run_cell(cell: Cell) -> dict[str, Any]:
    """Trains the cell if it is not there, and scores it."""
    torch.set_num_threads(1)
    if not (cell.run / "metrics.json").is_file():
        settings = TrainingSettings(
            minutes=cell.minutes,
            seed=cell.seed,
            device="cpu",
            workers=0,
            lr=cell.row.lr,
            precision="auto",
            freeze_norm=cell.row.freeze_norm,
        )
        train(cell.row.recipe, cell.data, cell.run, settings, init=cell.init, resume=cell.run.is_dir())
    scores = cell.run / "scores.json"
    if not scores.is_file():
        metrics = json.loads((cell.run / "metrics.json").read_text())["training"]
        found: dict[str, Any] = {
            "row": cell.name,
            "seed": cell.seed,
            "minutes": cell.minutes,
            "after": cell.row.after,
        }
        found |= {key: metrics[key] for key in ("steps", "loss")}
        for test in cell.tests:
            settings = EvaluationSettings(closer=False)
            scored = evaluate_run(cell.run, read_pairs(test), baselines=False, settings=settings).to_json()
            found[test.stem] = numbers(scored)
        write_json(scores, found)
        print(found, flush=True)
    return json.loads(scores.read_text())


def numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("pck", "auc_1_50", "normalized_mean_pixel_error")}


def baselines(cell: Cell, kept: Path) -> list[dict[str, Any]]:
    """The untrained network and SIFT on the same pairs; `kept` holds what was scored before."""
    if not kept.is_file():
        untrained = untrained_predictor(read_config(cell.run), torch.Generator().manual_seed(0))
        rows: dict[str, dict[str, Any]] = {"untrained": {}, "SIFT": {}}
        for test in cell.tests:
            settings = EvaluationSettings(closer=False)
            found = evaluate(untrained, read_pairs(test), {"SIFT": sift_variants()}, settings).to_json()
            rows["untrained"][test.stem] = numbers(found)
            rows["SIFT"][test.stem] = numbers(found["baselines"]["SIFT"])
        write_json(kept, [{"row": name, "seed": 0, "steps": 0, **found} for name, found in rows.items()])
    return json.loads(kept.read_text())


def print_table(rows: list[dict[str, Any]], test: str) -> None:
    """Means over seeds, in Markdown; at 10 pixels with the lowest and the highest seed."""
    print(
        f"\n| {test} | steps | PCK@3 | @5 | @10 | @25 | @50 | AUC | error |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name in dict.fromkeys(row["row"] for row in rows):
        of = [row for row in rows if row["row"] == name]
        found = [row[test] for row in of]
        pck = {k: [f["pck"][k] for f in found] for k in found[0]["pck"]}
        cells = {k: f"{statistics.mean(values):.3f}" for k, values in pck.items()}
        if len(of) > 1:
            cells["10"] += f" ({min(pck['10']):.3f} to {max(pck['10']):.3f})"
        steps = "" if not of[0]["steps"] else f"{statistics.median(row['steps'] for row in of):.0f}"
        rest = (statistics.mean(f[key] for f in found) for key in ("auc_1_50", "normalized_mean_pixel_error"))
        print(
            f"| {name} | {steps} |",
            " | ".join(cells.values()),
            "|",
            " | ".join(f"{v:.3f}" for v in rest),
            "|",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["data", *TABLES])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--rows", nargs="+", help="only rows that contain one of these words")
    options = parser.parse_args()
    if options.what == "data":
        return render(options.data)
    tests = tuple(options.data / f"pairs-{name}.json" for name in TESTS.get(options.what, TESTS["table-1"]))
    wanted = {
        name: row
        for name, row in TABLES[options.what].items()
        if not options.rows or any(word in name for word in options.rows)
    }
    starts = {row.after: STARTS[row.after] for row in wanted.values() if row.after}
    first, cells = cells_of(starts, tests, "starts", options), cells_of(wanted, tests, options.what, options)
    with ProcessPoolExecutor(options.parallel, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(run_cell, first))
        rows += pool.map(run_cell, cells)
    kept = options.out / f"baselines-{'-'.join(test.stem for test in tests)}.json"
    rows += baselines(cells[0], kept)
    for test in tests:
        print_table(rows, test.stem)
    command = f"python benchmarks/seed001.py {options.what} DATA OUT --minutes {options.minutes:g} --seeds"
    result = RESULTS / f"seed001-{options.what}.json"
    command = " ".join([command, *map(str, options.seeds), "--parallel", str(options.parallel)])
    content = {**provenance(command, result, runs=[options.out]), "rows": rows}
    result.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
