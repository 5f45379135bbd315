"""What numbers were measured on, and of which commit. Imported by the benchmarks beside it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent


def machine() -> dict[str, Any]:
    """Processor, cores, load, GPU and torch, as plain values."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 1),
        "gpu": gpu,
        "torch": torch.__version__,
    }


def commit() -> str:
    """The commit measured; "+" if tracked files differ from it."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True)
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", HERE.parent / "src", HERE], cwd=HERE)
    return head.stdout.strip() + ("+" if changed.returncode else "")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
