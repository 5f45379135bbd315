"""Runs on the real recordings beside the project: python benchmarks/real_recordings.py REALDATA OUT.json RUN...

Scores each run, its untrained network and chance on every fourth pair of the amazon box and of the lighting pairs and
on all pairs of graffiti. --sift adds SIFT (minutes).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from samepoint.bench.machine import provenance
from samepoint.data.pairs import PairsFile, read_pairs
from samepoint.evaluation.evaluate import EvaluationSettings, evaluate
from samepoint.evaluation.network_predictor import run_predictor, untrained_predictor
from samepoint.evaluation.predictors import ChancePredictor
from samepoint.evaluation.sift import sift_variants
from samepoint.models.weights import read_config

EVERY = {"rgbd_amazon_box": 4, "homography_graffiti": 1, "lighting_hope": 4}


def main(realdata: Path, out: Path, runs: list[Path], sift: bool) -> None:
    torch.set_flush_denormal(True)
    results: dict[str, dict[str, object]] = {}
    for name, step in EVERY.items():
        whole = read_pairs(realdata / name / "pairs.json")
        file = PairsFile(whole.root, whole.pairs[::step])
        for number, run in enumerate(runs):
            seed = torch.Generator().manual_seed(0)
            baselines: dict = {}
            if number == 0:
                baselines = {
                    "untrained": untrained_predictor(read_config(run), seed),
                    "chance": ChancePredictor(seed),
                } | ({"sift": sift_variants()} if sift else {})
            found = evaluate(run_predictor(run), file, baselines, EvaluationSettings(closer=False)).to_json()
            rows = {run.name: found} | found["baselines"]
            for row_name, row in rows.items():
                results.setdefault(name, {})[row_name] = {
                    key: row[key] for key in ("pck", "auc_1_100", "mean_pixel_error", "n_points", "n_pairs")
                }
                print(name, row_name, {k: round(v, 3) for k, v in row["pck"].items()}, flush=True)
    said = "python benchmarks/real_recordings.py REALDATA OUT.json RUN..."
    content = {**provenance(said, out, runs=runs), "results": results}
    out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--sift"]
    main(Path(arguments[0]), Path(arguments[1]), [Path(a) for a in arguments[2:]], "--sift" in sys.argv)
