"""Which version of the code runs: what runs and results are stamped with."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent


def commit() -> str:
    """The commit that runs, with "+" if tracked files differ from it; outside a checkout the package's version."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
        )
        owned = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name], cwd=HERE, capture_output=True
        )
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ":/src", ":/benchmarks"], cwd=HERE)
    except (OSError, subprocess.CalledProcessError):
        return f"version {version('samepoint')}"
    if owned.returncode:  # installed into an environment that lies in another project's checkout
        return f"version {version('samepoint')}"
    return head.stdout.strip() + ("+" if changed.returncode else "")


def command() -> str:
    """The command line of this process, the program by its name alone."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
