import pytest

pytest.importorskip("open3d", reason="fusion needs Open3D")

from tests.fusion.tabletop import Box


@pytest.fixture(scope="session")
def apart():
    """Two boxes 3 cm apart."""
    return (Box((-0.1, -0.04, 0.0), (-0.015, 0.05, 0.08)), Box((0.015, -0.05, 0.0), (0.07, 0.03, 0.05)))


@pytest.fixture(scope="session")
def together():
    """A tall box and a low one that touch."""
    return (Box((-0.06, -0.07, 0.0), (0.0, 0.07, 0.12)), Box((0.0, -0.025, 0.0), (0.08, 0.025, 0.04)))
