"""Training from samepoint-small never ends below its start: python benchmarks/starts.py REALDATA OUT.

Methods with their defaults, on the CPU, one thread each: 60 steps and ten minutes, on recordings whose own pairs of
held-out images say what the start, the end and what was kept find. The choice is made on other images (validation
split, or images held out of the training split). Cells that are in OUT already are kept: it may be stopped; the
result is OUT/starts.json. `--only` takes the cells whose name contains it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samepoint.bench.machine import commit, machine

METHODS = ("don", "identical-view", "ccl")
GEOMETRY = ("box", "table", "scans")
PHOTOS = ("photos",)
"""All seven photo subjects at once, with the pairs of all."""
BUDGETS = {"60 steps": ("--steps", "60"), "10 minutes": ("--minutes", "10")}
THRESHOLDS = ("5", "10", "25")
MOST_PAIRS = 30


@dataclass(frozen=True)
class Cell:
    """One training. `recording`: a rendered table-top, renderings of scanned objects, the amazon box, or photos."""

    method: str
    recording: str
    budget: str

    @property
    def name(self) -> str:
        return f"{self.method}-{self.recording}-{self.budget.replace(' ', '')}"


def cells() -> list[Cell]:
    """All, those with geometry first."""
    wanted = [(m, r) for r in GEOMETRY for m in METHODS] + [(m, r) for r in PHOTOS for m in METHODS[1:]]
    return [Cell(m, r, budget) for budget in BUDGETS for m, r in wanted]


def data_of(recording: str, realdata: Path, out: Path) -> tuple[Path, Path]:
    """The data set and its pairs of held-out images."""
    if recording == "box":
        return realdata / "rgbd_amazon_box", realdata / "rgbd_amazon_box" / "pairs.json"
    if recording in PHOTOS:
        return realdata / "photos_dreambooth", out / "data" / f"{recording}.json"
    return out / "data" / recording, out / "data" / f"{recording}.json"


def render(realdata: Path, out: Path) -> None:
    """The two rendered recordings, and 60 pairs across scenes of their test splits."""
    common = "--views 12 --workers 1"
    options = {
        "table": f"{common} --split-scenes 16 3 6 --instances 4 1 2 --max-yaw 60 --sector 60 --seed 11",
        "scans": f"{common} --meshes {realdata / 'meshes_household'} --split-scenes 8 2 4 --size 640x480"
        " --objects-per-scene 2 3 --distractors 1 3 --noise --seed 12",
    }
    for name, given in options.items():
        folder, pairs = data_of(name, realdata, out)
        if not folder.is_dir():
            samepoint(f"data render --out {folder} {given}")
        if not pairs.is_file():
            samepoint(f"data pairs {folder} --out {pairs} --split test --number 60 --cross-scene --seed 5")


def join_photo_pairs(realdata: Path, out: Path) -> None:
    """The pairs of all photo subjects in one file."""
    joined = []
    for path in sorted((realdata / "photos_dreambooth").glob("*/pairs.json")):
        for pair in json.loads(path.read_text())["pairs"]:
            images = {key: str(path.parent.resolve() / pair[key]) for key in ("image_a", "image_b")}
            joined.append(pair | images)
    data_of("photos", realdata, out)[1].write_text(json.dumps({"pairs": joined}))


def samepoint(command: str) -> None:
    subprocess.run([sys.executable, "-m", "samepoint", *command.split()], check=True)


def run_cell(cell: Cell, realdata: Path, out: Path) -> None:
    """Train, and score the start, the end and what was kept on the recording's own pairs."""
    data, pairs = data_of(cell.recording, realdata, out)
    run, kind = out / "runs" / cell.name, BUDGETS[cell.budget]
    resume = ["--resume"] if run.is_dir() else []
    command = [
        "train", cell.method, "--data", str(data), "--out", str(run), "--device", "cpu", "--workers", "0",
        *kind, *resume,
    ]  # fmt: skip
    if not (run / "metrics.json").is_file():
        subprocess.run([sys.executable, "-m", "samepoint", *command], check=True)
    metrics = json.loads((run / "metrics.json").read_text())
    training = json.loads((run / "config.json").read_text())["training"]
    row = {
        "cell": asdict(cell),
        "command": "samepoint "
        + " ".join(command).replace(str(realdata), "REALDATA").replace(str(out), "OUT"),
        "settings": {key: training[key] for key in ("lr", "freeze_norm")},
        "training": metrics["training"],
        "kept": metrics["kept"],
        "pck": scores(run, pairs),
    }
    (out / "cells").mkdir(exist_ok=True)
    (out / "cells" / f"{cell.name}.json").write_text(json.dumps(row, indent=1) + "\n")


def scores(run: Path, pairs: Path) -> dict[str, dict[str, Any]]:
    """PCK of start, end and kept weights, on at most `MOST_PAIRS` pairs, evenly chosen, or on all of the photos."""
    import torch

    from samepoint.data.pairs import PairsFile, read_pairs
    from samepoint.evaluation.evaluate import EvaluationSettings, evaluate
    from samepoint.evaluation.network_predictor import NetworkPredictor
    from samepoint.models.shipped import SMALL
    from samepoint.models.weights import load_network
    from samepoint.training.checkpoint import read_checkpoint

    torch.set_flush_denormal(True)
    whole = read_pairs(pairs)
    number = len(whole.pairs)
    wanted = number if pairs.stem in PHOTOS else min(number, MOST_PAIRS)  # few points a pair
    chosen = [i * number // wanted for i in range(wanted)]
    file = PairsFile(whole.root, tuple(whole.pairs[i] for i in chosen))
    kept, end = load_network(run)[0], load_network(run)[0]
    end.load_state_dict(read_checkpoint(run)["network"])
    found = {}
    for name, network in {"start": load_network(SMALL)[0], "end": end, "kept": kept}.items():
        predictor = NetworkPredictor(network.eval(), name, max_size=320)
        row = evaluate(predictor, file, settings=EvaluationSettings(closer=False)).to_json()
        found[name] = {k: row["pck"][k] for k in THRESHOLDS} | {
            "interval of 10": row["intervals"]["pck"]["10"]
        }
    return found


def table(out: Path) -> None:
    """OUT/starts.json, and its table on the terminal."""
    rows = [json.loads(path.read_text()) for path in sorted((out / "cells").glob("*.json"))]
    order = [cell.name for cell in cells()]
    rows.sort(key=lambda row: order.index(Cell(**row["cell"]).name))
    for row in rows:
        cell, pck = row["cell"], row["pck"]
        kept = row["kept"]["kept"] + (f" {row['kept']['step']}" if row["kept"]["kept"] != "start" else "")
        steps = row["training"]["steps"]
        values = [f"{pck[name][k]:.3f}" for k in ("10", "25") for name in ("start", "end", "kept")]
        print(
            f"| {cell['recording']} | {cell['method']} | {cell['budget']} | {steps} | {kept} | "
            + " | ".join(values)
            + " |"
        )
    said = "python benchmarks/starts.py REALDATA OUT"
    content = {"command": said, "commit": commit(), "machine": machine(), "cells": rows}
    (out / "starts.json").write_text(json.dumps(content, indent=1) + "\n")


def main(realdata: Path, out: Path, only: str, parallel: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    render(realdata, out)
    join_photo_pairs(realdata, out)
    waiting = [c for c in cells() if only in c.name and not (out / "cells" / f"{c.name}.json").is_file()]
    running: list[subprocess.Popen[bytes]] = []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    while waiting or running:
        running = [process for process in running if process.poll() is None]
        while waiting and len(running) < parallel:
            command = [sys.executable, __file__, str(realdata), str(out), "--cell", waiting.pop(0).name]
            running.append(subprocess.Popen(command, env=environment))
        time.sleep(1)
    table(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("realdata", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--cell", default="")
    options = parser.parse_args()
    if options.cell:
        run_cell(next(c for c in cells() if c.name == options.cell), options.realdata, options.out)
    else:
        main(options.realdata, options.out, options.only, options.parallel)
