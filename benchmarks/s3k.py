"""S3K's studies (seed 003, section 4), on rendered cells and on the fly: python benchmarks/s3k.py PART DATA OUT.

Parts, one result in benchmarks/results/s3k-PART.json each:
`render`: renders what the others need into DATA (three minutes).
`labels`: one box, three of its corners, four cameras anywhere: labelled times unlabelled moments (section 4.1).
`plain`: the same without augmentation, of which the text says nothing.
`weight`: weights of the self-supervised part (appendix C).
`weighting`: how a view's say falls with the width of its heatmap (section 3.2).
`shift`: other things around the box change over time; labels from the start only, or from all along (section 4.2).
`shoes`: 1 to 12 training shapes, four held out, 120 labelled moments in any case (section 4.3, table 1).
`soft`: a plush toy and a cable with plug and socket (sections 5 and 6).
`network`: the network's width, what it finds and how fast it is.
`fly`: seven real cameras, 15 instants (SAMEPOINT_REALDATA or ../shared/realdata): labelled instants.
`paper`: the first study at the text's 150,000 batches, for a GPU.

A cell is trained for --steps steps (not minutes: two run side by side, one core each) and asked on moments it has not
seen. Runs that are in OUT already are not trained again: other steps, another OUT.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from fly import write_fly

from samepoint.bench.machine import provenance
from samepoint.data.augmentation import Augmentation
from samepoint.data.rig.tables import LABELS, read_table, write_table
from samepoint.files import write_json
from samepoint.inference.points import PointSettings
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.recipes.s3k import S3k, SelfSupervision
from samepoint.sim.cell import CellSettings, render_cell
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.rig_evaluation import evaluate_rig
from samepoint.workflows.training import train

RESULTS = Path(__file__).parent / "results"
SIZE = 128
CELLS = {
    "box": CellSettings(kind="box", moments=1100, test_moments=100, seed=1),
    "shift": CellSettings(
        kind="box", moments=500, test_moments=100, distractors=3, distractor_sets=10, seed=3
    ),
    "shoe": CellSettings(
        kind="shoe", moments=1440, test_moments=120, train_objects=12, test_objects=4, seed=2
    ),
    "plush": CellSettings(kind="plush", moments=330, test_moments=60, distractors=2, seed=4),
    "cable": CellSettings(kind="cable", moments=330, test_moments=60, seed=5),
}
READOUTS = {
    "mean": {"readout": "mean", "refine": 0},
    "mode": {"readout": "mode", "refine": 0},
    "mode, refined": {"readout": "mode", "refine": 5},
}
"""The text's reading is the first."""


@dataclass(frozen=True)
class Chosen:
    """Which moments of a recording are trained on, with and without their labels."""

    recording: str
    labelled: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One run: `data` is the folder whose moments are `chosen`, `values` what the row says of it."""

    name: str
    data: Path
    chosen: tuple[Chosen, ...]
    seed: int
    recipe: S3k = field(default_factory=S3k)
    values: dict[str, Any] = field(default_factory=dict)
    size: int = SIZE
    asked: tuple[str, ...] = ("test",)


@dataclass(frozen=True)
class Machine:
    steps: int
    threads: int
    device: Literal["cpu", "cuda"]


def moments_of(recording: Path) -> list[str]:
    return sorted(path.stem for path in next(recording.glob("cam*/")).iterdir())


def shuffled(recording: Path, seed: int) -> list[str]:
    order = moments_of(recording)
    random.Random(seed).shuffle(order)
    return order


def write_chosen(source: Path, out: Path, chosen: Chosen) -> None:
    """A recording with the chosen moments (links) and the labels of those that are labelled."""
    recording, target = source / chosen.recording, out / chosen.recording
    kept = sorted({*chosen.labelled, *chosen.unlabelled})
    for camera in sorted(recording.glob("cam*/")):
        (target / camera.name).mkdir(parents=True)
        files = {path.stem: path for path in camera.iterdir()}
        for moment in kept:
            if moment in files:
                os.symlink(files[moment].resolve(), target / camera.name / files[moment].name)
    if (recording / "calibration.toml").is_file():
        os.symlink((recording / "calibration.toml").resolve(), target / "calibration.toml")
    else:
        (target / "calibration").mkdir()
        for moment in kept:
            name = f"{moment}.toml"
            os.symlink((recording / "calibration" / name).resolve(), target / "calibration" / name)
    rows = [row for _, row in read_table(recording / "labels.csv", LABELS)]
    labelled = set(chosen.labelled)
    write_table(
        target / "labels.csv", LABELS, [tuple(row.values()) for row in rows if row["moment"] in labelled]
    )


def train_cell(cell: Cell, out: Path, how: Machine) -> dict[str, Any]:
    """Trains and asks; the row of the table."""
    torch.set_num_threads(how.threads)
    torch.set_flush_denormal(True)
    run, data, start = out / "runs" / cell.name, out / "data" / cell.name, perf_counter()
    if not data.is_dir():
        draft = data.with_name(f"{data.name}.draft")
        for chosen in cell.chosen:
            write_chosen(cell.data, draft, chosen)
        draft.rename(data)
    if not (run / "metrics.json").is_file():
        settings = TrainingSettings(steps=how.steps, seed=cell.seed, device=how.device, workers=0)
        train(cell.recipe, data, run, settings, init="random", size=cell.size, resume=run.is_dir())
    row: dict[str, Any] = {"cell": cell.name, "seed": cell.seed, **cell.values, "steps": how.steps}
    for split in cell.asked:
        row[split] = {name: asked(run, cell, split, reading) for name, reading in READOUTS.items()}
    return row | {"seconds": round(perf_counter() - start)}


def asked(run: Path, cell: Cell, split: str, reading: dict[str, Any]) -> dict[str, Any]:
    """What the run finds in the moments of a split, to four digits."""
    settings = PointSettings(cell.recipe.sigma, **reading)
    found = evaluate_rig(run, cell.data, split=split, settings=settings)  # type: ignore[arg-type]
    kept = {key: value for key, value in found.items() if key != "keypoints"}
    kept["keypoints_mm"] = {name: value["median_mm"] for name, value in found["keypoints"].items()}
    return json.loads(json.dumps(kept), parse_float=lambda text: float(f"{float(text):.4g}"))


def labels_cells(data: Path, seeds: Sequence[int], recipe: S3k | None = None) -> list[Cell]:
    cells = []
    for seed in seeds:
        order = shuffled(data / "box" / "train_00", seed)
        table = [(n, u) for u in (0, 300) for n in (3, 10, 30)] + [(300, 0)]
        for labelled, unlabelled in table:
            chosen = Chosen("train_00", tuple(order[:labelled]), tuple(order[len(order) - unlabelled :]))
            cells.append(
                Cell(
                    f"labels-{labelled}-{unlabelled}-{seed}",
                    data / "box",
                    (chosen,),
                    seed,
                    recipe or S3k(),
                    {"labelled": labelled, "unlabelled": unlabelled},
                )
            )
    return cells


PLAIN = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def plain_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    cells = []
    for cell in labels_cells(data, seeds, S3k(augmentation=PLAIN)):
        if cell.values["labelled"] in (3, 10):
            cells.append(replace(cell, name=cell.name.replace("labels", "plain")))
    return cells


def weight_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    cells = []
    for weight in (0.1, 10.0):
        for cell in labels_cells(data, seeds):
            if cell.values["unlabelled"] == 300 and cell.values["labelled"] in (3, 10):
                recipe = replace(cell.recipe, self_supervision=SelfSupervision(weight))
                name = cell.name.replace("labels", f"weight-{weight:g}")
                cells.append(
                    replace(cell, name=name, recipe=recipe, values={**cell.values, "weight": weight})
                )
    return cells


def weighting_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    """Ten labelled and 300 unlabelled moments; how a view's say falls with the width of its heatmap."""
    cells = []
    for cell in labels_cells(data, seeds):
        for form in ("rational", "exponential"):
            if (cell.values["labelled"], cell.values["unlabelled"]) == (10, 300):
                recipe = replace(cell.recipe, self_supervision=SelfSupervision(weighting=form))
                name = cell.name.replace("labels", f"weighting-{form}")
                values = {**cell.values, "weighting": form}
                cells.append(replace(cell, name=name, recipe=recipe, values=values))
    return cells


def shift_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    """30 labelled moments of the first recording, or three of each of the ten; unlabelled ones of all."""
    cells = []
    folder = data / "shift"
    recordings = sorted(path.name for path in folder.glob("train_*"))
    for seed in seeds:
        orders = {name: shuffled(folder / name, seed) for name in recordings}
        for unlabelled in (0, 400):
            for mode in ("start", "full"):
                chosen = []
                for k, name in enumerate(recordings):
                    number = 30 * (k == 0) if mode == "start" else 3
                    rest = orders[name][len(orders[name]) - unlabelled // len(recordings) :]
                    rest = rest if unlabelled else []
                    chosen.append(Chosen(name, tuple(orders[name][:number]), tuple(rest)))
                kept = tuple(c for c in chosen if c.labelled or c.unlabelled)
                values = {"labels": mode, "labelled": 30, "unlabelled": unlabelled}
                cells.append(Cell(f"shift-{mode}-{unlabelled}-{seed}", folder, kept, seed, S3k(), values))
    return cells


def shoes_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    cells = []
    folder = data / "shoe"
    recordings = sorted(path.name for path in folder.glob("train_*"))
    for seed in seeds:
        mixed = list(recordings)
        random.Random(seed).shuffle(mixed)
        for shapes in (1, 2, 3, 6, 8, 12):
            chosen = tuple(
                Chosen(name, tuple(shuffled(folder / name, seed)[: 120 // shapes])) for name in mixed[:shapes]
            )
            values = {"shapes": shapes}
            cells.append(Cell(f"shoes-{shapes}-{seed}", folder, chosen, seed, S3k(), values))
    return cells


def soft_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    cells = []
    for kind in ("plush", "cable"):
        for seed in seeds:
            order = shuffled(data / kind / "train_00", seed)
            for labelled, unlabelled in ((30, 0), (30, 300)):
                chosen = Chosen("train_00", tuple(order[:labelled]), tuple(order[len(order) - unlabelled :]))
                chosen = chosen if unlabelled else replace(chosen, unlabelled=())
                values = {"kind": kind, "labelled": labelled, "unlabelled": unlabelled}
                name = f"soft-{kind}-{labelled}-{unlabelled}-{seed}"
                cells.append(Cell(name, data / kind, (chosen,), seed, S3k(), values))
    return cells


WIDTHS = ((8, 16, 32, 48), (16, 32, 64, 96), (24, 48, 96, 128))


def network_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    cells = []
    for channels in WIDTHS:
        for cell in labels_cells(data, seeds):
            if (cell.values["labelled"], cell.values["unlabelled"]) == (10, 300):
                recipe = replace(cell.recipe, network=UNetConfig(channels))
                name = cell.name.replace("labels", f"network-{channels[0]}")
                values = {**cell.values, "channels": list(channels), "moments_a_second": speed(channels)}
                cells.append(replace(cell, name=name, recipe=recipe, values=values))
    return cells


def speed(channels: tuple[int, ...]) -> float:
    """Moments of four views of 256 x 256 a second through the network alone, all threads, median of 20."""
    network = HeatmapNetwork(UNetConfig(channels), ("a", "b", "c")).eval()
    network.half_precision = torch.cpu._is_avx512_bf16_supported()  # type: ignore[attr-defined]
    images, times = torch.rand(4, 3, 256, 256), []
    with torch.inference_mode():
        for _ in range(23):
            start = perf_counter()
            network(images)
            times.append(perf_counter() - start)
    return round(1 / statistics.median(times[3:]), 1)


def fly_cells(data: Path, seeds: Sequence[int]) -> list[Cell]:
    """The same five instants are asked in every row; `sigma` is two pixels of images of half the recorded size."""
    cells = []
    folder = data / "fly"
    for seed in seeds:
        order = shuffled(folder / "train", seed)
        for labelled in (1, 3, 5, 10):
            chosen = Chosen("train", tuple(order[:labelled]), tuple(order[labelled:]))
            recipe = S3k(look_for="labelled", labelled=1, unlabelled=1)
            values = {"labelled": labelled, "unlabelled": len(order) - labelled}
            cells.append(Cell(f"fly-{labelled}-{seed}", folder, (chosen,), seed, recipe, values, size=480))
    return cells


PARTS = {
    "labels": labels_cells, "plain": plain_cells, "weight": weight_cells, "weighting": weighting_cells,
    "shift": shift_cells, "shoes": shoes_cells,
    "soft": soft_cells, "network": network_cells, "fly": fly_cells, "paper": labels_cells,
}  # fmt: skip


ASKED_INSTANTS = (2, 5, 8, 11, 14)
"""Of the fly's fifteen."""


def link_fly(data: Path) -> None:
    """The real recording, all labelled, split into ten instants and five."""
    source = Path(os.environ.get("SAMEPOINT_REALDATA", "../shared/realdata")) / "multicam_fly"
    if not source.is_dir():
        print(f"{source} is not there: no fly")
        return
    rest = [t for t in range(15) if t not in ASKED_INSTANTS]
    write_fly(source, data / "fly", {"train": rest, "test": ASKED_INSTANTS}, range(15))


def render(data: Path, kinds: Sequence[str]) -> None:
    if not (data / "fly").is_dir():
        link_fly(data)
    for name in kinds:
        if not (data / name).is_dir():
            start = perf_counter()
            render_cell(data / name, CELLS[name])
            print(f"{name}: {perf_counter() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["render", *PARTS])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--kinds", nargs="+", default=list(CELLS))
    given = parser.parse_args()
    if given.part == "render":
        return render(given.data, given.kinds)
    how = Machine(given.steps, given.threads, given.device)
    cells = PARTS[given.part](given.data, given.seeds)
    seeds = " ".join(map(str, given.seeds))
    command = f"python benchmarks/s3k.py {given.part} DATA OUT --steps {given.steps} --seeds {seeds}"
    path = RESULTS / f"s3k-{given.part}.json"
    result: dict[str, Any] = {**provenance(command, path), "rows": []}
    with ProcessPoolExecutor(
        given.parallel, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as executor:
        for future in [executor.submit(train_cell, cell, given.out, how) for cell in cells]:
            result["rows"].append(future.result())
            print(json.dumps(result["rows"][-1]), flush=True)
            write_json(path, result | provenance(command, path, runs=[given.out]), indent=1)


if __name__ == "__main__":
    main()
