"""Seed 000's benchmark, measured: python benchmarks/mined.py PART DATA OUT [--minutes 6 | --steps N] [--seeds 0 1].

Five caps are rendered from the front (objects and cameras within 60 degrees, roll to 45), each alone on many tables.
Networks train on them from random weights (but for one row), one core each for the same minutes, and are asked on
pairs of views with 256 correspondences each: new views of the same caps on new tables (`new`), and views of three
other caps (`held`).
Every row: PCK and AUC of the distance in pixels, and the seed's own figure, the AUC of the cosine of coordinates
(`evaluation/coordinate_cosine.py`), which hides what it should show. Images are 256 x 192; networks see 160 x 120.

Parts, one result in benchmarks/results/mined-PART.json each: `baselines` (SIFT, untrained networks, samepoint-small,
chance); `dims` (Dense Object Nets with NT-Xent beside mined descriptors, D from 3 to 512, 128 and 16 keypoints);
`losses` (each of the five left out, the seed's weights, KeypointNet's form, single images: `losses DATA OUT --steps
1000 --seeds 0`); `long`, with the poses of the new views and OUT/mined.png (`long DATA OUT --minutes 20 --parallel 1
--seeds 0`); `resolution` (the expectation over the image or the cells, of the run that `long` left in OUT); `paper`,
the seed's own network and all its D, for a GPU (`paper DATA OUT --device cuda --minutes 10 --seeds 0 1 2 --parallel
4`). Runs that are in OUT already are not trained again: another budget, another OUT.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cv2
import numpy as np
import torch
from torch import Tensor

from samepoint.bench.machine import provenance
from samepoint.correspondence.heatmaps import Resolution, estimate_keypoints
from samepoint.data.augmentation import Augmentation
from samepoint.data.make_pairs import make_pairs
from samepoint.data.motion_sampling import PosedViews, Sight, own_mask, sights
from samepoint.data.object_views import Cutting
from samepoint.data.open import open_dataset
from samepoint.data.pairs import read_pairs, write_pairs
from samepoint.data.sampling import PairSampling
from samepoint.data.store import Frame, FrameStore
from samepoint.evaluation.coordinate_cosine import coordinate_cosine_auc
from samepoint.evaluation.metrics import summary
from samepoint.evaluation.network_predictor import NetworkPredictor, run_predictor
from samepoint.evaluation.predictions import predict_pairs
from samepoint.evaluation.predictors import ChancePredictor, Predictor
from samepoint.evaluation.scoring import score
from samepoint.evaluation.sift import sift_variants
from samepoint.files import write_json
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import transform
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.models.weights import load_keypoints
from samepoint.recipes.don import Don
from samepoint.recipes.mined import Mined, OtherLosses
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.poses import LIFTS, find_poses, load_pose_finder, score_poses
from samepoint.workflows.training import Recipe, train

RESULTS = Path(__file__).parent / "results"
CAPS = RenderSettings(
    families=("cap",), instances=(5, 1, 3), objects_per_scene=(1, 1), distractors=(0, 2), size=(192, 256),
    close_ups=1.0, views=12, max_yaw=60.0, sector=60.0,
)  # fmt: skip
SETS = {
    "train": replace(CAPS, split_scenes=(40, 0, 0), same_objects=True),
    "new": replace(CAPS, split_scenes=(0, 0, 10), same_objects=True),
    "held": replace(CAPS, split_scenes=(0, 0, 9)),
}
ASKED = ("new", "held")
PAIRS, POINTS = 40, 256
SIZE, VIEW = 160, (128, 128)
"""Long side of the images as networks see them, and of the views that they train on."""
CHANGES = Augmentation(colour=0.2, view=VIEW)


def network(dim: int) -> NetworkConfig:
    """As wide before the descriptor as the descriptor is long, so that its length is not a word."""
    return NetworkConfig(dim=dim, width=max(128, dim))


SEED = OtherLosses(margin=2.0)
"""Seed 000, section 4.1: variance 1e-3, our default too."""
SHARP = {"variance": 1e-2}
"""Of all rows but `long`. (Chosen before what `losses` shows was known: 1e-3 is better.)"""


def mined(dim: int = 128, **changes: Any) -> Mined:
    recipe = Mined(
        network=network(dim), cutting=Cutting(VIEW), augmentation=CHANGES, resolution="cells",
        weights=OtherLosses(**SHARP),
    )  # fmt: skip
    return replace(recipe, **changes)


def don(dim: int) -> Don:
    """Dense Object Nets with NT-Xent on 128 correspondences, as in seed 000, section 4.1."""
    return Don(
        loss="nt-xent", temperature=0.1, network=network(dim), augmentation=CHANGES,
        sampling=PairSampling(pairs=4, points=128),
    )  # fmt: skip


def without(name: str) -> Mined:
    return mined(weights=OtherLosses(**SHARP | {name: 0.0}))


DIMS = (3, 32, 128, 512)
TABLES: dict[str, dict[str, Recipe]] = {
    "dims": {
        **{f"don NT-Xent, D = {dim}": don(dim) for dim in DIMS},
        **{f"mined, D = {dim}": mined(dim) for dim in DIMS},
        "mined, D = 128, 16 keypoints": mined(keypoints=16),
    },
    "losses": {
        "mined, D = 128": mined(),
        **{
            f"without {name}": without(name)
            for name in ("consistency", "pose", "separation", "silhouette", "variance")
        },
        "the seed's weights (variance 1e-3, margin 2)": mined(weights=SEED),
        "raw descriptors, as the seed's": mined(network=replace(network(128), normalise=False)),
        "KeypointNet's losses and weights": mined(form="keypointnet", weights=OtherLosses()),
        "from samepoint-small, D = 32": mined(network=NetworkConfig()),
        "single images, not poses": mined(views="single"),
    },
    "resolution": {},
    "long": {"mined": mined(weights=OtherLosses())},
    "baselines": {},
}


PAPER_DIMS, PAPER_FEW = (3, 8, 16, 32, 64, 128, 256, 512), (64, 128, 256, 512)
RATES = {"mined": {"lr": 1e-3, "weight_decay": 0.0}, "don": {"lr": 3e-4, "weight_decay": 1e-4}}
"""Seed 000, section 4.1."""


def paper() -> dict[str, Recipe]:
    """The seed's tables 1 and 3 with its own network, raw descriptors, weights, expectation over the image and pairs;
    on our images, which are smaller, and for minutes, not 2500 epochs. For a GPU."""

    def own(recipe: Any, **changes: Any) -> Any:
        made = replace(recipe.network, backbone="resnet34", head="linear", stride=8, **changes)
        return replace(recipe, network=made)

    def keypoints(dim: int, **changes: Any) -> Mined:
        return own(mined(dim, resolution="image", group=2, weights=SEED, **changes), normalise=False)

    return {
        **{f"don NT-Xent, D = {dim}": own(don(dim)) for dim in PAPER_DIMS},
        **{f"mined, D = {dim}": keypoints(dim) for dim in PAPER_DIMS},
        **{f"mined, D = {dim}, 16 keypoints": keypoints(dim, keypoints=16) for dim in PAPER_FEW},
    }


TABLES["paper"] = paper()


@dataclass(frozen=True)
class Cell:
    title: str
    recipe: Recipe
    seed: int
    data: Path
    run: Path
    settings: dict[str, Any]
    threads: int
    device: Literal["cpu", "cuda"]


def train_cell(cell: Cell) -> dict[str, Any]:
    torch.set_num_threads(cell.threads)
    torch.set_flush_denormal(True)
    if not (cell.run / "metrics.json").is_file():
        settings = TrainingSettings(
            **cell.settings, seed=cell.seed, device=cell.device, workers=0, precision="auto"
        )
        train(cell.recipe, cell.data / "train", cell.run, settings, init="auto", size=SIZE,
              resume=cell.run.is_dir())  # fmt: skip
    row: dict[str, Any] = {"steps": json.loads((cell.run / "metrics.json").read_text())["training"]["steps"]}
    if isinstance(cell.recipe, Mined) and cell.recipe.views == "single":
        row["residual_mm"] = 1000 * mean_of_log(cell.run, "views/residual")
    return row | {name: row_of(run_predictor(cell.run), cell.data, name) for name in ASKED}


def mean_of_log(run: Path, column: str) -> float:
    with (run / "metrics.csv").open() as lines:
        values = [float(row[column]) for row in csv.DictReader(lines) if row[column]]
    return sum(values) / len(values)


def row_of(predictor: Predictor, data: Path, name: str) -> dict[str, Any]:
    """PCK and AUC in pixels, and the seed's figure."""
    file = read_pairs(data / f"{name}.json")
    found = predict_pairs(predictor, file)
    points = score(found, file)
    row: dict[str, Any] = summary(points.chosen(points.counted))
    uv = torch.cat([p.uv_b for p in found.pairs])
    truth = torch.cat([p.uv_b for p in file.pairs])
    counted = points.counted
    return {
        "pck": row["pck"], "auc_1_100": row["auc_1_100"], "auc_1_50": row["auc_1_50"],
        "cosine_of_coordinates": coordinate_cosine_auc(uv[counted], truth[counted]),
        "n_points": row["n_points"],
    }  # fmt: skip


def baselines(data: Path) -> dict[str, list[dict[str, Any]]]:
    torch.set_flush_denormal(True)
    rows: dict[str, list[dict[str, Any]]] = {}
    for dim in (3, 128):
        made = DescriptorNetwork(network(dim), "random", torch.Generator().manual_seed(0)).eval()
        predictor = NetworkPredictor(made, "untrained", max_size=SIZE)
        rows[f"untrained, D = {dim}"] = [{name: row_of(predictor, data, name) for name in ASKED}]
    rows["samepoint-small"] = [{name: row_of(run_predictor("samepoint-small"), data, name) for name in ASKED}]
    variants = [{name: row_of(variant, data, name) for name in ASKED} for variant in sift_variants()]
    rows["SIFT, the best of its variants"] = [max(variants, key=lambda row: row["new"]["auc_1_50"])]
    chance = ChancePredictor(torch.Generator().manual_seed(0))
    rows["chance"] = [{name: row_of(chance, data, name) for name in ASKED}]
    return rows


def prepare(data: Path) -> None:
    for name, settings in SETS.items():
        if not (data / name).is_dir():
            render_dataset(data / name, settings)
    for name in ASKED:
        if not (data / f"{name}.json").is_file():
            dataset = open_dataset(data / name)
            made = make_pairs(dataset, number=PAIRS, points=POINTS, cross_scene=True, seed=0)
            write_pairs(data / f"{name}.json", made)


def poses(run: Path, data: Path) -> dict[str, Any]:
    """Of the new views: the object looked for in the whole image, and on its mask."""
    finder = load_pose_finder(run, data / "train")
    dataset = open_dataset(data / "new")
    return {
        where: score_poses(find_poses(finder, dataset, LIFTS, masked=masked), dataset)
        for where, masked in (("whole image", False), ("mask given", True))
    }


@torch.no_grad()
def resolutions(run: Path, data: Path) -> dict[str, dict[str, float]]:
    """With the expectation of eq. 4 over the image and over the cells: how far a keypoint of one new view, moved as
    the object, is from that of another (pixels of a view), and how far the two expectations are apart."""
    network, _ = load_keypoints(run)
    source = PosedViews(FrameStore(open_dataset(data / "new"), max_size=SIZE), Cutting(VIEW), 128, 4)
    batch = source.sample(torch.Generator().manual_seed(0))
    maps, _ = network(batch.image)
    found = {name: estimate_keypoints(maps, resolution=name) for name in get_args(Resolution)}
    a, b = batch.pairs.unbind(1)
    rows = {}
    for name, keypoints in found.items():
        moved = transform(batch.b_from_a, keypoints.xyz(batch.intrinsics)[a])
        off = (project(batch.intrinsics[b], moved)[0] - keypoints.uv[b]).norm(dim=-1)
        apart = (keypoints.uv - found["image"].uv).norm(dim=-1)
        rows[name] = {
            "median_error_px": float(off.median()), "nine_tenths_error_px": float(off.quantile(0.9)),
            "median_apart_px": float(apart.median()),
        }  # fmt: skip
    return rows


def descriptors_as_colours(run: Path, shown: Sequence[tuple[Frame, Tensor]]) -> list[np.ndarray]:
    """The three principal components of the descriptors on the masks of all frames, on the darkened images."""
    predictor = run_predictor(run)
    sampled = []
    for frame, mask in shown:
        map = predictor.embed(frame.image.float() / 255).map
        size = (mask.shape[0], mask.shape[1])
        values = torch.nn.functional.interpolate(map.values, size=size, mode="bilinear")[0]
        sampled.append(values[:, mask].T)
    joined = torch.cat(sampled)
    torch.manual_seed(0)
    _, _, basis = torch.pca_lowrank(joined, q=3)
    projected = [(values - joined.mean(0)) @ basis for values in sampled]
    low, high = (torch.cat(projected).quantile(q, dim=0) for q in (0.02, 0.98))
    tiles = []
    for (frame, mask), values in zip(shown, projected, strict=True):
        tile = frame.image.permute(1, 2, 0).numpy() // 3
        tile[mask.numpy()] = (255 * ((values - low) / (high - low)).clamp(0, 1)).byte().numpy()
        tiles.append(tile)
    return tiles


def keypoints_on_images(run: Path, shown: Sequence[tuple[Frame, Tensor]]) -> list[np.ndarray]:
    """The network's keypoints, each in a colour of its own."""
    finder = load_pose_finder(run)
    tiles = []
    for frame, _ in shown:
        assert frame.intrinsics is not None
        seen = finder.see(frame.image.float() / 255, frame.intrinsics)
        tile = np.ascontiguousarray(frame.image.permute(1, 2, 0).numpy())
        hues = np.linspace(0, 179, len(seen.uv), dtype=np.uint8)
        colours = cv2.cvtColor(np.stack([hues, *[np.full_like(hues, 255)] * 2], -1)[None], cv2.COLOR_HSV2RGB)
        for (u, v), colour in zip(seen.uv.round().int().tolist(), colours[0].tolist(), strict=True):
            cv2.circle(tile, (u, v), 2, colour, -1, cv2.LINE_AA)
        tiles.append(tile)
    return tiles


def write_sheet(path: Path, rows: Sequence[Sequence[np.ndarray]], side: int = 256) -> None:
    """Rows of pictures in tiles of one size."""

    def tile(image: np.ndarray) -> np.ndarray:
        scale = side / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        framed = np.full((side, side, 3), 255, np.uint8)
        top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
        framed[top : top + small.shape[0], left : left + small.shape[1]] = small
        return framed

    sheet = np.vstack([np.hstack([tile(image) for image in row]) for row in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(sheet[..., ::-1]))


def picture(run: Path, data: Path, out: Path) -> None:
    """New views of two of the caps: keypoints, and descriptors as colours."""
    store = FrameStore(open_dataset(data / "new"), max_size=None, budget_bytes=0)
    of: dict[int, list[Sight]] = {}
    for sight in sights(store):
        number = store.view(sight.frame).placements[sight.placement].object_id
        of.setdefault(number, []).append(sight)
    chosen = [of[number][k * len(of[number]) // 3] for number in sorted(of)[:2] for k in range(3)]
    shown = [(store[sight.frame], own_mask(store[sight.frame], sight)) for sight in chosen]
    write_sheet(out, [keypoints_on_images(run, shown), descriptors_as_colours(run, shown)])


def table(results: dict[str, list[dict[str, Any]]]) -> None:
    """PCK@5, @10, @25, AUC and the seed's figure, on new views and on other caps; means over the seeds."""

    def mean(values: list[float]) -> str:
        return f"{sum(values) / len(values):.3f}"

    for title, rows in results.items():
        cells = []
        for name in ASKED:
            cells += [mean([row[name]["pck"][k] for row in rows]) for k in ("5", "10", "25")]
            cells += [
                mean([row[name][key] for row in rows]) for key in ("auc_1_100", "cosine_of_coordinates")
            ]
        print(f"| {title} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=sorted(TABLES))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--steps", type=int, help="in place of minutes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", default="", help="rows that begin so; the other rows of the result stay")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    prepare(options.data)
    budget = {"steps": options.steps} if options.steps else {"minutes": options.minutes}
    threads = max(1, (os.cpu_count() or 1) // options.parallel)
    cells = [
        Cell(title, recipe, seed, options.data, options.out / f"{title} {seed}".replace(" ", "-"),
             budget | (RATES[recipe.name] if options.part == "paper" else {"lr": 2e-3}), threads, options.device)
        for seed in options.seeds
        for title, recipe in TABLES[options.part].items()
        if title.startswith(options.only)
    ]  # fmt: skip
    results: dict[str, list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(
        options.parallel, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for cell, row in zip(cells, pool.map(train_cell, cells), strict=True):
            results.setdefault(cell.title, []).append(row)
            print(cell.title, cell.seed, flush=True)
    command = f"python benchmarks/mined.py {options.part} DATA OUT"
    if options.part == "baselines":
        results = baselines(options.data)
    elif options.part == "resolution":
        content = provenance(command, RESULTS / "mined-resolution.json", runs=[options.out / "mined-0"])
        rows = resolutions(options.out / "mined-0", options.data)
        print(rows)
        write_json(RESULTS / "mined-resolution.json", {**content, "rows": rows}, indent=1)
        return
    else:
        seeds = " ".join(map(str, options.seeds))
        command += "".join(f" --{name} {value:g}" for name, value in budget.items())
        command += f" --seeds {seeds} --parallel {options.parallel} --device {options.device}"
    path = RESULTS / f"mined-{options.part}.json"
    if options.only:
        before = json.loads(path.read_text())
        command, results = f"{before['command']}; {command} --only '{options.only}'", before["rows"] | results
    content = provenance(command, path, runs=[options.out])
    if options.part == "long":
        content["poses"] = poses(cells[0].run, options.data)
        picture(cells[0].run, options.data, options.out / "mined.png")
    table(results)
    write_json(path, {**content, "rows": results}, indent=1)


if __name__ == "__main__":
    main()
