"""Random weights against samepoint-small as starts: python benchmarks/real_starts.py REALDATA OUT [--seeds 0 1].

The ways of training that see RGB alone, on the amazon box, five minutes on one core each; the two starts of a cell
train side by side, so that both have the same machine. Scored as in real_recordings.py, on all three recordings. Runs
that are there already in OUT are kept; the result is OUT/real-starts.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from samepoint.bench.machine import provenance

TURNED = "--augmentation.rotation 45 --augmentation.translation 0.25"
WAYS = {
    "identical-view": f"identical-view {TURNED}",
    "ccl": f"ccl {TURNED}",
    "pwarpc": f"ccl {TURNED} --loss pwarpc --temperature 0.05",
}
STARTS = {"random": "--init random", "samepoint-small": "--init auto"}
COMMON = "--workers 0 --device cpu --precision auto --sigma 2.5 --lr 3e-3"


def main(realdata: Path, out: Path, seeds: list[int], minutes: float) -> None:
    runs: dict[str, tuple[str, str]] = {}
    for seed in seeds:
        for way, options in WAYS.items():
            running = []
            for start, init in STARTS.items():
                run = out / f"{way}-{start}-{seed}"
                runs[run.name] = (way, start)
                if (run / "metrics.json").is_file():
                    continue
                data = (
                    f"--data {realdata / 'rgbd_amazon_box'} --out {run} --seed {seed} --minutes {minutes:g}"
                )
                command = f"-m samepoint train {options} {COMMON} {init} {data}".split()
                one_core = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
                running.append(subprocess.Popen([sys.executable, *command], env=one_core))
            if any(process.wait() for process in running):
                raise SystemExit(f"A training of {way}, seed {seed}, failed: see above.")
    scored = out / "scored.json"
    script = Path(__file__).with_name("real_recordings.py")
    subprocess.run([sys.executable, script, realdata, scored, *(out / name for name in runs)], check=True)
    results = json.loads(scored.read_text())["results"]
    table: dict[str, dict[str, dict[str, float]]] = {}
    for recording, rows in results.items():
        for way in WAYS:
            for start in STARTS:
                of_seeds = [rows[name]["pck"] for name, cell in runs.items() if cell == (way, start)]
                row = {pixels: fmean(pck[pixels] for pck in of_seeds) for pixels in of_seeds[0]}
                table.setdefault(recording, {})[f"{way}, {start}"] = row
                print(
                    f"| {recording} | {way}, {start} | " + " | ".join(f"{v:.3f}" for v in row.values()) + " |"
                )
    said = f"python benchmarks/real_starts.py REALDATA OUT --minutes {minutes:g} --seeds " + " ".join(
        map(str, seeds)
    )
    content = {**provenance(said, runs=[out]), "means": table, "runs": results}
    (out / "real-starts.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("realdata", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    main(options.realdata, options.out, options.seeds, options.minutes)
