"""What samepoint-small is worth on families that it never saw: python benchmarks/held_out.py OUT [--seed 0].

The demo's protocol with mugs and shoes alone, which the pre-training leaves out: the same pairs for random weights
after 3 and 9 minutes of training and for samepoint-small after 0 and 3, beside chance, SIFT and the untrained
network. What is there already in OUT is kept; the result is OUT/held-out.json.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from samepoint.bench.machine import provenance
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.pairs import PairsFile
from samepoint.evaluation.evaluate import EvaluationSettings, evaluate
from samepoint.evaluation.network_predictor import run_predictor, untrained_predictor
from samepoint.evaluation.predictors import ChancePredictor
from samepoint.evaluation.sift import sift_variants
from samepoint.models.shipped import SMALL
from samepoint.models.weights import read_config
from samepoint.sim.render import render_dataset
from samepoint.workflows.demonstration import TABLE_TOP, Demo
from samepoint.workflows.training import train

FAMILIES = ("mug", "shoe")
CELLS = (("random", 3.0), ("random", 9.0), ("pretrained", 3.0))
KEPT = ("pck", "auc_1_100", "mean_pixel_error", "n_points", "n_pairs", "intervals")


def main(out: Path, seed: int, rate: float) -> None:
    torch.set_flush_denormal(True)
    data = out / "data"
    if not data.is_dir():
        render_dataset(data, replace(TABLE_TOP, families=FAMILIES, seed=seed), lambda _done, _scenes: None)
    demo = Demo()
    runs = {f"{SMALL}, 0 minutes": Path(SMALL)}
    for init, minutes in CELLS:
        name = f"{SMALL if init == 'pretrained' else init}, {minutes:g} minutes"
        run = runs[name] = out / name.replace(", ", "-").replace(" ", "-")
        if not (run / "metrics.json").is_file():
            chosen = replace(demo.training, minutes=minutes, workers=0, seed=seed)
            if init == "pretrained":
                chosen = replace(chosen, lr=rate)
            print(name, train(demo.recipe, data, run, chosen, init=init, resume=run.is_dir()), flush=True)
    test = open_dataset(data).split("test")
    file = PairsFile(data, tuple(make_pairs(test, number=demo.pairs, cross_scene=True, seed=seed)))
    rows: dict[str, dict[str, object]] = {}
    for number, (name, run) in enumerate(runs.items()):
        drawn = torch.Generator().manual_seed(seed)
        baselines = {
            "untrained": untrained_predictor(read_config(run), drawn),
            "chance": ChancePredictor(drawn),
            "sift": sift_variants(),
        }
        settings = EvaluationSettings(closer=False)
        found = evaluate(run_predictor(run), file, baselines if number == 0 else {}, settings).to_json()
        for row_name, row in ({name: found} | found["baselines"]).items():
            rows[row_name] = {key: row[key] for key in KEPT}
            pck = " | ".join(f"{row['pck'][k]:.3f}" for k in ("3", "5", "10", "25", "50"))
            print(f"| {row_name} | {pck} | {row['mean_pixel_error']:.0f} |", flush=True)
    command = f"python benchmarks/held_out.py OUT --seed {seed} --lr {rate:g}"
    content = {**provenance(command, runs=[out]), "rows": rows}
    (out / "held-out.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, default=3e-3, help="of the run from samepoint-small")
    options = parser.parse_args()
    main(options.out, options.seed, options.lr)
