"""What a finished `make demo` reached: results/demo.json, and the README's table on the terminal.
The row of the start is that of the network before any training.

make demo && python benchmarks/demo.py demo
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from samepoint.bench.machine import provenance

OUT = Path(__file__).parent / "results" / "demo.json"
NAMES = {
    "chance": "chance",
    "same_pixel": "the same pixel",
    "sift": "SIFT at its best (dense and oriented, two settings)",
    "start": "what it started from (samepoint-small), 0 minutes",
    "untrained": "untrained network",
}
KEPT = ("pck", "auc_1_50", "auc_1_100", "mean_pixel_error", "n_points", "n_pairs", "intervals")


def main(folder: Path) -> None:
    evaluation = json.loads((folder / "evaluation.json").read_text())
    training = json.loads((folder / "run" / "metrics.json").read_text())["training"]
    found = {name: row for name, row in evaluation["baselines"].items() if "pck" in row}
    rows = {"run": evaluation, **found}
    kept = {name: {key: row[key] for key in KEPT if key in row} for name, row in rows.items()}
    content = provenance("make demo", OUT, runs=[folder / "run"]) | {"metrics": training}
    OUT.write_text(json.dumps({**content, "evaluation": kept}, indent=1) + "\n")
    for name, row in rows.items():
        title = NAMES.get(name, "**Dense Object Nets, minutes of training**")
        pck = " | ".join(f"{row['pck'][k]:.3f}" for k in ("3", "5", "10", "25", "50"))
        print(f"| {title} | {pck} | {row['mean_pixel_error']:.0f} |")
    for k in ("5", "10"):
        ratio = evaluation["pck"][k] / found["sift"]["pck"][k]
        low, high = evaluation["intervals"]["pck"][k]
        print(f"PCK@{k}: {ratio:.1f} times SIFT, 95 % interval {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
