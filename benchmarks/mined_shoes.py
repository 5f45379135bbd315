"""Seed 000's experiment with real caps, with shoes: python benchmarks/mined_shoes.py PHOTOS DATA OUT [--minutes 6].

PHOTOS is the folder of the DreamBooth photos (colorful_sneaker and shiny_sneaker). One network is mined from photos
of these two shoes, each photo alone, with a mask that GrabCut makes of a box; one from rendered shoes with poses.
Both are asked on both: photos of the two shoes that were not trained on, turned and scaled in two ways (the true
correspondences are those of the change), and new views of the rendered shoes. The seed reports that what was trained
on rendered caps was of no use on real ones.

Result: benchmarks/results/mined-shoes.json, and OUT/shoes.png: descriptors as colours (three principal components,
fitted to all pictures of a row's network).
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cv2
import numpy as np
import torch
from mined import SIZE, descriptors_as_colours, mined, network, write_sheet
from torch import Tensor

from samepoint.bench.machine import provenance
from samepoint.data.make_pairs import make_pairs
from samepoint.data.motion_sampling import own_mask, sights
from samepoint.data.object_views import Cutting, draw_cut
from samepoint.data.open import open_dataset
from samepoint.data.pairs import Pair, PairsFile, read_pairs, write_pairs
from samepoint.data.recording import Dataset
from samepoint.data.store import Frame, FrameStore
from samepoint.evaluation.metrics import summary
from samepoint.evaluation.network_predictor import NetworkPredictor, run_predictor
from samepoint.evaluation.predictions import predict_pairs
from samepoint.evaluation.predictors import ChancePredictor, Predictor
from samepoint.evaluation.scoring import score
from samepoint.evaluation.sift import sift_variants
from samepoint.files import write_json
from samepoint.geometry.pixels import in_frame, pixels_of
from samepoint.geometry.warps import warp_points
from samepoint.models.network import DescriptorNetwork
from samepoint.recipes.mined import Mined, OtherLosses
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.settings import TrainingSettings
from samepoint.types import PixelBox
from samepoint.workflows.photographed import PhotoOptions, make_photo_dataset
from samepoint.workflows.training import train

RESULT = Path(__file__).parent / "results" / "mined-shoes.json"
BOXES: dict[str, dict[str, PixelBox]] = {
    "colorful_sneaker": {
        "00": (92, 328, 512, 556), "02": (84, 258, 702, 568), "03": (248, 326, 544, 618),
        "04": (134, 324, 620, 598),
    },
    "shiny_sneaker": {
        "00": (229, 223, 564, 462), "01": (168, 184, 602, 574), "02": (176, 164, 666, 468),
        "03": (156, 218, 606, 530), "05": (128, 256, 668, 600),
    },
}  # fmt: skip
"""Of each photo: around the shoe. (01 and 04 of the two need another setting of GrabCut.)"""
TESTED = ("04", "05")
"""The last photo of each shoe is not trained on."""
SHOES = RenderSettings(
    families=("shoe",), instances=(5, 1, 3), objects_per_scene=(1, 1), distractors=(0, 2), size=(192, 256),
    close_ups=1.0, views=12, max_yaw=60.0, sector=60.0,
)  # fmt: skip
WARPED, POINTS = 5, 256


@dataclass(frozen=True)
class Cell:
    title: str
    recipe: Mined
    data: Path
    run: Path
    minutes: float


def train_cell(cell: Cell) -> Path:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if not (cell.run / "metrics.json").is_file():
        settings = TrainingSettings(minutes=cell.minutes, device="cpu", workers=0, lr=2e-3, precision="auto")
        train(cell.recipe, cell.data, cell.run, settings, init="random", size=SIZE,
              resume=cell.run.is_dir())  # fmt: skip
    return cell.run


def prepare(photos: Path, data: Path) -> None:
    for name, tested in (("photos", False), ("photos-test", True)):
        if not (data / name).is_dir():
            images, boxes = [], []
            for shoe, of in BOXES.items():
                for number, box in of.items():
                    if (number in TESTED) == tested:
                        images.append(photos / shoe / f"{number}.jpg")
                        boxes.append(box)
            make_photo_dataset(images, data / name, PhotoOptions(box=tuple(boxes), different_objects=True))
    if not (data / "photos.json").is_file():
        write_pairs(data / "photos.json", warped_pairs(open_dataset(data / "photos-test"), data / "warped"))
    for name, settings in (
        ("rendered", replace(SHOES, split_scenes=(40, 0, 0), same_objects=True)),
        ("rendered-test", replace(SHOES, split_scenes=(0, 0, 10), same_objects=True)),
    ):
        if not (data / name).is_dir():
            render_dataset(data / name, settings)
    if not (data / "rendered.json").is_file():
        made = make_pairs(open_dataset(data / "rendered-test"), number=10, points=POINTS, cross_scene=True)
        write_pairs(data / "rendered.json", made)


def warped_pairs(dataset: Dataset, folder: Path) -> list[Pair]:
    """Two cuts of each photo, within 45 degrees, the shoe between a half and nine tenths of the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    store = FrameStore(dataset, max_size=512)
    generator, cutting = torch.Generator().manual_seed(0), Cutting((192, 256))
    pairs = []
    for k in range(WARPED):
        for sight in sights(store):
            frame = store[sight.frame]
            mask = own_mask(frame, sight)
            cuts = [draw_cut(mask, cutting, generator) for _ in range(2)]
            paths = [folder / f"{sight.frame}-{k}-{side}.png" for side in "ab"]
            for cut, path in zip(cuts, paths, strict=True):
                _write(path, cut.image(frame.image.float() / 255, cutting.size))
            uv = pixels_of(mask)
            uv = uv[torch.randperm(len(uv), generator=generator)[:POINTS]]
            uv_a, uv_b = (warp_points(cut.view_from_image, uv) for cut in cuts)
            kept = in_frame(uv_a, cutting.size) & in_frame(uv_b, cutting.size)
            pairs.append(Pair(paths[0], paths[1], uv_a[kept], uv_b[kept]))
    return pairs


def row_of(predictor: Predictor, file: PairsFile) -> dict[str, Any]:
    points = score(predict_pairs(predictor, file), file)
    row: dict[str, Any] = summary(points.chosen(points.counted))
    return {name: row[name] for name in ("pck", "auc_1_100", "auc_1_50", "n_points")}


def picture(runs: dict[str, Path], data: Path, out: Path) -> None:
    """Rows: the images, then each network's descriptors; columns: two training photos, the two tested ones, two
    rendered views."""
    shown: list[tuple[Frame, Tensor]] = []
    for name, frames in (("photos", (0, 4)), ("photos-test", (0, 1)), ("rendered-test", (2, 40))):
        store = FrameStore(open_dataset(data / name), max_size=256)
        for number in frames:
            sight = next(s for s in sights(store) if s.frame >= number)
            shown.append((store[sight.frame], own_mask(store[sight.frame], sight)))
    rows = [[frame.image.permute(1, 2, 0).numpy() for frame, _ in shown]]
    rows += [descriptors_as_colours(run, shown) for run in runs.values()]
    write_sheet(out, rows)


def _write(path: Path, image: Tensor) -> None:
    pixels = (255 * image.permute(1, 2, 0)).round().byte().numpy()
    cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--parallel", type=int, default=2)
    options = parser.parse_args()
    prepare(options.photos, options.data)
    base = mined(weights=OtherLosses())
    cells = [
        Cell("mined from photos", replace(base, views="single"), options.data / "photos",
             options.out / "photos", options.minutes),
        Cell("mined from rendered shoes", replace(base, views="posed"), options.data / "rendered",
             options.out / "rendered", options.minutes),
    ]  # fmt: skip
    with ProcessPoolExecutor(
        options.parallel, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        runs = dict(zip((cell.title for cell in cells), pool.map(train_cell, cells), strict=True))
    torch.set_flush_denormal(True)
    made = DescriptorNetwork(network(128), "random", torch.Generator().manual_seed(0)).eval()
    predictors: dict[str, list[Predictor]] = {title: [run_predictor(run)] for title, run in runs.items()}
    predictors["untrained"] = [NetworkPredictor(made, "untrained", max_size=SIZE)]
    predictors["SIFT, the best of its variants"] = [*sift_variants()]
    predictors["chance"] = [ChancePredictor(torch.Generator().manual_seed(0))]
    rows: dict[str, Any] = {}
    for title, variants in predictors.items():
        rows[title] = {}
        for asked in ("photos", "rendered"):
            file = read_pairs(options.data / f"{asked}.json")
            rows[title][asked] = max(
                (row_of(variant, file) for variant in variants), key=lambda row: row["auc_1_50"]
            )
        cells_of_table = [f"{rows[title][a]['pck'][k]:.3f}" for a in rows[title] for k in ("5", "10", "25")]
        print(f"| {title} | " + " | ".join(cells_of_table) + " |", flush=True)
    picture(runs, options.data, options.out / "shoes.png")
    command = f"python benchmarks/mined_shoes.py PHOTOS DATA OUT --minutes {options.minutes:g}"
    command += f" --parallel {options.parallel}"
    write_json(RESULT, {**provenance(command, RESULT, runs=[options.out]), "rows": rows}, indent=1)


if __name__ == "__main__":
    main()
