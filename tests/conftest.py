"""Shapes in annotations are checked while the tests run (jaxtyping + beartype), and nowhere else."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("MPLBACKEND", "agg")

from jaxtyping import install_import_hook

if not os.environ.get("SAMEPOINT_UNCHECKED"):
    hook = install_import_hook("samepoint", "beartype.beartype")

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.rights import bound_by_rights

# as in training and evaluation: convolutions of an untrained network take ten times as long without
torch.set_flush_denormal(True)

REALDATA = Path(
    os.environ.get("SAMEPOINT_REALDATA", Path(__file__).resolve().parents[2] / "shared" / "realdata")
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real recordings that lies beside the project; tests that need it skip without it."""
    if not REALDATA.is_dir():
        pytest.skip(f"real recordings are not present at {REALDATA}")
    return REALDATA


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small rendered data set: scans of three families; two test scenes share every object."""
    from samepoint.sim.render import render_dataset
    from samepoint.sim.settings import RenderSettings

    settings = RenderSettings(
        families=("mug", "box", "toy"),
        views=6,
        size=(96, 128),
        split_scenes=(4, 2, 2),
        instances=(2, 1, 1),
        objects_per_scene=(3, 3),
        distractors=(0, 1),
        max_roll=20.0,
        workers=1,
    )
    return render_dataset(tmp_path_factory.mktemp("rendered") / "data", settings)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded frames go to a folder of the test run, not to the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def rights_bind() -> Iterator[None]:
    """Files without the right to read them cannot be read, by root either. Take rights away with `chmod(0)`."""
    with bound_by_rights():
        yield
