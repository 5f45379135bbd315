"""Seed 004's claim as a table: python benchmarks/seed004.py DATA OUT [--minutes 5] [--seeds 0 1] [--parallel 2].

Three mugs and three shoes. A network that was trained on views of several of them side by side, from close-ups to
overviews, finds points at other scales, beside objects of the same family, and half hidden; one that was trained on
one object at a time, from one distance, should not. Rows differ in their training scans alone (and one in its
augmentation); all are scored on the same points: pairs of views from two new scenes of five or six of the objects,
by how much larger or smaller the point is in the other image (1, 2, 4: nearest power of two), by how much of its
object is hidden there by others, and by how often the answer lies on another object of the same family.

Every row trains from random weights on one core for the same minutes. Result: benchmarks/results/seed004.json.
"""

from __future__ import annotations

import argparse
import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor

from samepoint.bench.machine import provenance
from samepoint.correspondence.depth import depth_at
from samepoint.data.augmentation import Augmentation
from samepoint.data.mesh import load_mesh
from samepoint.data.open import open_dataset
from samepoint.data.partners import PairMixture
from samepoint.data.recording import Dataset, Placement
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import Frame, FrameStore
from samepoint.evaluation.network_predictor import run_predictor
from samepoint.evaluation.predictors import Predictor
from samepoint.evaluation.sift import sift_variants
from samepoint.files import write_json
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import Surface
from samepoint.geometry.motions import transform
from samepoint.geometry.pixels import nearest_pixel
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.demonstration import SHORT_RUN
from samepoint.workflows.training import train

RESULT = Path(__file__).parent / "results" / "seed004.json"
OBJECTS = RenderSettings(
    families=("mug", "shoe"),
    instances=(3, 1, 1),
    same_objects=True,
    views=18,
    max_yaw=60.0,
    sector=60.0,
)
SCANS = {
    "alone": replace(OBJECTS, split_scenes=(30, 0, 0), objects_per_scene=(1, 1), close_ups=0.0),
    "overviews": replace(OBJECTS, split_scenes=(30, 0, 0), objects_per_scene=(4, 6), close_ups=0.0),
    "all": replace(OBJECTS, split_scenes=(30, 0, 0), objects_per_scene=(4, 6), close_ups=0.5),
    "test": replace(OBJECTS, split_scenes=(0, 0, 12), objects_per_scene=(5, 6), close_ups=0.5),
}
SCALED = replace(SHORT_RUN.augmentation, scale=(0.35, 2.8))


@dataclass(frozen=True)
class Row:
    title: str
    data: str
    augmentation: Augmentation = SHORT_RUN.augmentation


ROWS = (
    Row("one object at a time, one distance", "alone"),
    Row("the same, images scaled by .35 to 2.8", "alone", SCALED),
    Row("several objects, overviews", "overviews"),
    Row("several objects, close-ups to overviews", "all"),
)
RATIOS = (1, 2, 4)
HIDDEN = {"hidden under 10 %": (0.0, 0.1), "10 to 40 %": (0.1, 0.4), "40 % and more": (0.4, 1.0)}
PAIRS, POINTS = 50, 48
"""Pairs whose points' median ratio is nearest to each of the ratios, and points of each."""
PIXELS = 10


@dataclass(frozen=True)
class Question:
    """Two frames and true matches; per point the scale ratio (1 or more), the hidden share of its object in B, and
    which labels of B are other objects of its family (`n labels`)."""

    a: Frame
    b: Frame
    uv_a: Tensor
    uv_b: Tensor
    ratio: Tensor
    hidden: Tensor
    siblings: Tensor


def questions(dataset: Dataset) -> list[Question]:
    store = FrameStore(dataset, max_size=None, budget_bytes=0)
    sampling = PairSampling(points=4 * POINTS, mixture=PairMixture(within=0.0, across=1.0), min_overlap=0.2)
    source = PairSource(store, sampling)
    generator = torch.Generator().manual_seed(0)
    found: dict[int, list[Question]] = {ratio: [] for ratio in RATIOS}
    for _ in range(20000):
        a, b, matches = source.draw(generator)
        rows = matches.found.visible.nonzero()[:, 0]
        if len(rows) < POINTS or a.depth is None or a.intrinsics is None or b.intrinsics is None:
            continue
        rows = rows[torch.randperm(len(rows), generator=generator)[:POINTS]]
        uv_a, uv_b = matches.found.uv_a[rows], matches.found.uv_b[rows]
        size_a = a.intrinsics[0, 0] / depth_at(a.depth, uv_a)
        ratio = torch.exp((b.intrinsics[0, 0] / matches.found.depth_b[rows] / size_a).log().abs())
        kept = found.get(2 ** round(math.log2(float(ratio.median()))), [])
        if len(kept) < PAIRS:
            kept.append(_question(dataset, a, b, uv_a, uv_b, ratio))
        if all(len(of) == PAIRS for of in found.values()):
            break
    return [question for of in found.values() for question in of]


def _question(dataset: Dataset, a: Frame, b: Frame, uv_a: Tensor, uv_b: Tensor, ratio: Tensor) -> Question:
    assert b.labels is not None
    row, column = nearest_pixel(uv_b, (b.labels.shape[0], b.labels.shape[1]))
    label = b.labels[row, column].long()
    hidden = torch.tensor([0.0] + [_hidden(dataset, b, k, p) for k, p in enumerate(b.view.placements)])
    families = ["", *(dataset.objects[p.object_id].family for p in b.view.placements)]
    same = torch.tensor([[f == g and i != j for j, g in enumerate(families)] for i, f in enumerate(families)])
    return Question(a, b, uv_a, uv_b, ratio, hidden[label], same[label])


def _hidden(dataset: Dataset, frame: Frame, k: int, placement: Placement) -> float:
    """The share of the pixels that the object would cover alone which others cover."""
    assert placement.camera_from_object is not None
    assert frame.intrinsics is not None
    assert frame.labels is not None
    mesh = load_mesh(dataset.objects[placement.object_id])
    vertices = transform(placement.camera_from_object, mesh.vertices).numpy().astype(np.float32)
    surface = Surface(vertices, mesh.faces.numpy().astype(np.int32), np.zeros_like(vertices))
    alone = MeshViews(surface, np.zeros(len(surface.triangles), dtype=np.int64))
    size = (frame.image.shape[1], frame.image.shape[2])
    _, shown = alone.render(frame.intrinsics.double().numpy(), np.eye(4), size)
    whole = torch.from_numpy(shown) == 0
    return 1 - float((whole & (frame.labels == k + 1)).sum()) / max(1, int(whole.sum()))


def score(predictor: Predictor, asked: list[Question]) -> dict[str, Any]:
    errors, siblings = [], []
    for q in asked:
        answer = predictor.predict(q.a.image.float() / 255, q.uv_a, q.b.image.float() / 255).uv_b
        errors.append((answer - q.uv_b).norm(dim=-1))
        assert q.b.labels is not None
        row, column = nearest_pixel(answer, (q.b.labels.shape[0], q.b.labels.shape[1]))
        siblings.append(q.siblings[torch.arange(len(answer)), q.b.labels[row, column].long()])
    error, sibling = torch.cat(errors), torch.cat(siblings)
    ratio = torch.cat([q.ratio for q in asked]).log2().round().exp2()
    hidden = torch.cat([q.hidden for q in asked])
    same_scale = ratio == 1
    groups = {"all": ratio > 0} | {f"scale {r}": ratio == r for r in RATIOS}
    groups |= {
        f"{name}, scale 1 and 2": (hidden >= low) & (hidden < high) & (ratio <= 2)
        for name, (low, high) in HIDDEN.items()
    }
    found: dict[str, Any] = {
        name: {
            "pck": {str(k): float((error[rows] <= k).float().mean()) for k in (5, 10, 25)},
            "points": int(rows.sum()),
        }
        for name, rows in groups.items()
    }
    found["on a sibling"] = {
        "all": float(sibling.float().mean()),
        "scale 1": float(sibling[same_scale].float().mean()),
    }
    return found


@dataclass(frozen=True)
class Cell:
    row: Row
    seed: int
    data: Path
    run: Path
    minutes: float


def train_cell(cell: Cell) -> Path:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if not (cell.run / "metrics.json").is_file():
        recipe = replace(
            SHORT_RUN, augmentation=cell.row.augmentation, sampling=replace(SHORT_RUN.sampling, pairs=4)
        )
        settings = TrainingSettings(
            minutes=cell.minutes, seed=cell.seed, device="cpu", workers=0, lr=3e-3, precision="auto"
        )
        train(recipe, cell.data, cell.run, settings, init="random", resume=cell.run.is_dir())
    return cell.run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--parallel", type=int, default=2)
    options = parser.parse_args()
    for name, settings in SCANS.items():
        if not (options.data / name).is_dir():
            render_dataset(options.data / name, settings)
    cells = [
        Cell(row, seed, options.data / row.data, options.out / f"{row.title} {seed}", options.minutes)
        for seed in options.seeds
        for row in ROWS
    ]
    with ProcessPoolExecutor(
        options.parallel, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        runs = list(pool.map(train_cell, cells))
    torch.set_flush_denormal(True)
    asked = questions(open_dataset(options.data / "test"))
    results: dict[str, Any] = {"SIFT": [best_sift(asked)]}
    for cell, run in zip(cells, runs, strict=True):
        results.setdefault(cell.row.title, []).append(score(run_predictor(run), asked))
    groups: list[str] = []
    for title, of in results.items():
        groups = [name for name in of[0] if name != "on a sibling"]
        cells_of_table = [np.mean([seed[name]["pck"][str(PIXELS)] for seed in of]) for name in groups]
        cells_of_table.append(np.mean([seed["on a sibling"]["all"] for seed in of]))
        print(f"| {title} | " + " | ".join(f"{v:.3f}" for v in cells_of_table) + " |")
    print({name: results["SIFT"][0][name]["points"] for name in groups})
    command = f"python benchmarks/seed004.py DATA OUT --minutes {options.minutes:g} --seeds " + " ".join(
        map(str, options.seeds)
    )
    write_json(RESULT, {**provenance(command, RESULT, runs=[options.out]), "rows": results}, indent=1)


def best_sift(asked: list[Question]) -> dict[str, Any]:
    """SIFT in the variant that finds most."""
    return max(
        (score(variant, asked) for variant in sift_variants()),
        key=lambda found: found["all"]["pck"][str(PIXELS)],
    )


if __name__ == "__main__":
    main()
