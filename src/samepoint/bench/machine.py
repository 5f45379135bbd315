"""What numbers were measured on, and of which version of the code."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from samepoint.errors import RunError
from samepoint.revision import commit

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
"""Published results, where the package runs from a checkout."""


def machine() -> dict[str, Any]:
    """Processor, cores, threads, load, GPU and torch, as plain values."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_at_start": round(os.getloadavg()[0], 1),
        "gpu": gpu,
        "torch": torch.__version__,
    }


def provenance(said: str, result: Path | None = None, *, runs: Iterable[Path] = ()) -> dict[str, Any]:
    """What stands at the head of a result: command, commit and machine, and the commit and command of every training
    among `runs` (run folders, or folders that hold some).

    RunError if `result` belongs to the published ones (`benchmarks/results`) and the code, or that of a training, is
    not what was committed.
    """
    found = trainings(runs)
    head: dict[str, Any] = {"command": said, "commit": commit(), "machine": machine()}
    if found:
        head["training"] = found
    loose = [head["commit"], *(str(one["commit"]) for one in found)]
    if result is not None and result.resolve().parent == RESULTS and any(c.endswith("+") for c in loose):
        raise RunError(
            "the code that made this result differs from its commit",
            where=result,
            mend="commit first, then run it again (trainings that were made with uncommitted code, too)",
        )
    return head


def trainings(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Commit and command of the runs in these folders, each once; null where a run does not say. Folders on the way
    are left out of the command."""
    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("config.json")):
            config = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(config, dict) or "training" not in config:
                continue
            said = config.get("command")
            one = {
                "commit": config.get("commit"),
                "command": None if said is None else _without_folders(said),
            }
            found[json.dumps(one)] = one
    return list(found.values())


def _without_folders(said: str) -> str:
    return shlex.join(Path(word).name if word.startswith("/") else word for word in shlex.split(said))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
