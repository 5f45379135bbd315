from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.doctor.scene import write_scene

from samepoint.data.doctor.evidence import Case
from samepoint.data.doctor.footage import footage_of
from samepoint.data.open import open_dataset


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames folder of the scene of boxes. Copy it before you change it."""
    return write_scene(tmp_path_factory.mktemp("scene") / "boxes")


@pytest.fixture(scope="session")
def case(scene: Path) -> Case:
    (footage,) = footage_of(open_dataset(scene))
    return Case(footage)
