"""What numbers were measured on, and of which version of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parents[1]


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


def commit() -> str:
    """The commit measured, with "+" if tracked files differ from it; outside a checkout the package's version."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ":/src", ":/benchmarks"], cwd=HERE)
    except (OSError, subprocess.CalledProcessError):
        return f"version {version('samepoint')}"
    return head.stdout.strip() + ("+" if changed.returncode else "")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
