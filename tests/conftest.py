"""Shapes in annotations are checked while the tests run (jaxtyping + beartype), and nowhere else."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("MPLBACKEND", "agg")

from jaxtyping import install_import_hook

if not os.environ.get("SAMEPOINT_UNCHECKED"):
    hook = install_import_hook("samepoint", "beartype.beartype")

from pathlib import Path

import pytest
import torch

REALDATA = Path(os.environ.get("SAMEPOINT_REALDATA", Path(__file__).resolve().parents[2] / "shared" / "realdata"))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real recordings that lies beside the project; tests that need it skip without it."""
    if not REALDATA.is_dir():
        pytest.skip(f"real recordings are not present at {REALDATA}")
    return REALDATA
