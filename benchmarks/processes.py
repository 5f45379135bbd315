"""Training on the cores of a CPU: one process with several threads or a process a core; how long threads spin.

    samepoint data render --out DATA
    python benchmarks/processes.py DATA [--steps 40] [--repeats 3] [--out benchmarks/results/processes.json]

Each case is `samepoint train don` on the demo's small views, in turn and `--repeats` times over. The number is the
median of the log's steps a second over the second half of the run, times the pairs of all processes; `ratio` is
to the first case of the same surroundings. "busy" runs the same beside one process that never rests.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from samepoint.bench.machine import provenance
from samepoint.training.log import read_log

PAIRS = 8
CASES: dict[str, tuple[dict[str, str], int]] = {
    "threads sleep at once": ({"GOMP_SPINCOUNT": "0"}, 1),
    "threads spin 1000 turns": ({"GOMP_SPINCOUNT": "1000"}, 1),
    "threads spin 100000 turns": ({"GOMP_SPINCOUNT": "100000"}, 1),
    "two processes": ({}, 2),
}


def pairs_per_second(data: Path, environment: dict[str, str], devices: int, steps: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = f"train don --data {data} --out {run} --steps {steps} --log-every 5"
        views = f"--sampling.pairs {PAIRS} --sampling.points 128 --augmentation.view 160 160"
        processes = f"--device cpu --devices {devices} --workers {2 - devices}"
        arguments = [sys.executable, "-m", "samepoint", *command.split(), *views.split(), *processes.split()]
        subprocess.run(arguments, env={**os.environ, **environment}, check=True, capture_output=True)
        rates = [float(row["steps_per_second"]) for row in read_log(run)]
    return PAIRS * devices * statistics.median(rates[len(rates) // 2 :])


@contextmanager
def surroundings(busy: bool):
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        yield
    finally:
        if neighbour:
            neighbour.kill()
            neighbour.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "processes.json")
    options = parser.parse_args()
    result = {
        **provenance("python benchmarks/processes.py", options.out),
        "rows": [],
    }
    for name in ("idle", "busy"):
        found: dict[str, list[float]] = {case: [] for case in CASES}
        with surroundings(name == "busy"):
            for _ in range(options.repeats):
                for case, (environment, devices) in CASES.items():
                    found[case].append(pairs_per_second(options.data, environment, devices, options.steps))
        first = statistics.median(next(iter(found.values())))
        for case, rates in found.items():
            row = {"surroundings": name, "case": case, "pairs_per_second": [round(r, 1) for r in rates]}
            row["ratio"] = round(statistics.median(rates) / first, 2)
            result["rows"].append(row)
            print(row, flush=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
