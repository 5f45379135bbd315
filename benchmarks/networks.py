"""Speed of the descriptor networks on the CPU: a forward pass at 480x640 and a training step on 8 x 240x320.

    python benchmarks/networks.py [--threads 1] [--repeats 7] [--seconds 12] [--only NAME ...]

Writes benchmarks/results/networks.json. A time is the median of the process's own CPU seconds, divided by the
number of threads: on a machine with other work it is near what the wall clock shows on a quiet one, where the
wall clock itself is off by factors. `ratio` is to the first row, the default network. A training step is the
forward pass, a loss that touches every descriptor, the backward pass and AdamW; channels last, no denormals.
Accuracy is not measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch

from samepoint.bench.machine import provenance
from samepoint.models import DescriptorNetwork, network_config

RESULTS = Path(__file__).parent / "results" / "networks.json"

CASES: dict[str, dict[str, Any]] = {
    "samepoint-small": {},
    "mobilenet-small": {},
    "mobilenet-small width 32": {"name": "mobilenet-small", "width": 32},
    "mobilenet-small width 128": {"name": "mobilenet-small", "width": 128},
    "mobilenet-small stride 2": {"name": "mobilenet-small", "stride": 2},
    "mobilenet-small stride 8": {"name": "mobilenet-small", "stride": 8},
    "mobilenet-large": {},
    "mobilenet4-small": {},
    "lcnet_050": {},
    "lcnet_100": {},
    "tinynet_e": {},
    "semnasnet_050": {},
    "ghostnet_100": {},
    "repghostnet_100": {},
    "resnet10t": {},
    "resnet18-pyramid": {},
    "resnet10t-8s": {"name": "resnet10t", "head": "linear", "stride": 8},
    "resnet14t-8s": {"name": "resnet14t", "head": "linear", "stride": 8},
    "resnet18-8s": {},
    "resnet34-8s": {},
    "dinov2-small": {},
    "dinov3-small": {},
}
"""Row to the name and changes of its configuration. Each is also timed under autocast to bfloat16."""


def cpu_time(run: Callable[[], None], threads: int, repeats: int, seconds: float) -> float:
    """Median CPU seconds a call, per thread; a first call does not count."""
    run()
    times: list[float] = []
    while len(times) < repeats and (len(times) < 2 or sum(times) < seconds):
        start = time.process_time()
        run()
        times.append((time.process_time() - start) / threads)
    return statistics.median(times)


def measure(case: dict[str, Any], bf16: bool, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a forward pass and of a training step."""
    changes = dict(case)
    torch.manual_seed(0)
    network = DescriptorNetwork(network_config(changes.pop("name"), **changes))
    large, batch = (
        torch.rand(shape).contiguous(memory_format=torch.channels_last)
        for shape in ((1, 3, 480, 640), (8, 3, 240, 320))
    )
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)

    def forward() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network(large)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            values = network(batch).values
        loss = (values - values.detach().roll(1, -1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    limits = (options.threads, options.repeats, options.seconds)
    trained = cpu_time(step, *limits)  # first, so that evaluation sees settled statistics
    network.eval()
    return {
        "forward_ms": round(cpu_time(forward, *limits) * 1e3, 1),
        "step_ms": round(trained * 1e3, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--seconds", type=float, default=12.0, help="at most about this long a case, after two runs"
    )
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    # the commit that runs, not one made meanwhile
    where = provenance("python benchmarks/networks.py", options.out) | {"timm": timm.__version__}
    rows: list[dict[str, Any]] = []
    for name in options.only:
        for bf16 in (False, True):
            row = {"network": name, "bf16": bf16, **measure({"name": name, **CASES[name]}, bf16, options)}
            first = rows[0] if rows else row
            row["forward_ratio"] = round(row["forward_ms"] / first["forward_ms"], 2)
            row["step_ratio"] = round(row["step_ms"] / first["step_ms"], 2)
            rows.append(row)
            print(*(f"{value:<28}" if key == "network" else f"{value!s:<10}" for key, value in row.items()))
    result = {**where, "threads": options.threads, "timer": "process CPU time", "rows": rows}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    part = options.out.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(part, options.out)


if __name__ == "__main__":
    main()
