"""A network whose answer is known: an image that encodes places in its colours, and descriptors that decode
them.

`scene(size, corner, scale)` paints a window of an unbounded scene: red and green encode where in the scene
a pixel lies. `ColourNetwork` turns the mean colour of each cell into angles, so the descriptor of a scene
point is the same in every image of it, whatever the image's size.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samepoint.inference.database import KeypointDatabase
from samepoint.inference.finder import Finder
from samepoint.inference.matcher import DescriptorMatcher, network_fingerprint
from samepoint.inference.settings import FinderSettings
from samepoint.types import CellMap, DescriptorMap

EXTENT = 700.0


class ColourNetwork(nn.Module):
    """Mean colour of each `stride` x `stride` block; cosine and sine of red, green and blue at two
    frequencies."""

    def __init__(self, stride: int = 4, metric: str = "cosine", low: float = 3.0) -> None:
        super().__init__()
        self.stride, self.metric, self.calls = stride, metric, 0
        self.weight = nn.Parameter(torch.tensor([low, 16.0]))

    def forward(self, image: Tensor) -> DescriptorMap:
        self.calls += 1
        mean = F.avg_pool2d(image, self.stride)
        angle = torch.cat([mean * weight for weight in self.weight], dim=1)
        values = torch.cat((angle.cos(), angle.sin()), dim=1)
        offset = (self.stride - 1) / 2
        cells = CellMap((float(self.stride), float(self.stride)), (offset, offset))
        if self.metric == "cosine":
            values = F.normalize(values, dim=1)
        return DescriptorMap(values, cells, (image.shape[2], image.shape[3]), self.metric)


def paint(
    size: tuple[int, int], corner: tuple[float, float] = (0.0, 0.0), scale: float = 1.0, blue: float = 0.0
) -> np.ndarray:
    """float h x w x 3: pixel (u, v) shows the scene at corner + scale * (u, v)."""
    u, v = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    x, y = corner[0] + scale * u, corner[1] + scale * v
    return np.stack((x / EXTENT, y / EXTENT, np.full(x.shape, blue)), axis=-1).clip(0, 1)


@pytest.fixture
def scene() -> Callable[..., np.ndarray]:
    return paint


@pytest.fixture
def make_network() -> Callable[..., ColourNetwork]:
    return ColourNetwork


@pytest.fixture
def make_finder(tmp_path: Path) -> Callable[..., Finder]:
    def make(network: ColourNetwork | None = None, **changes: object) -> Finder:
        network = network or ColourNetwork()
        settings = FinderSettings(**changes)  # type: ignore[arg-type]
        database = KeypointDatabase(tmp_path / "keypoints.sqlite")
        matcher = DescriptorMatcher(network, database, network_fingerprint(network), settings)
        return Finder(matcher, settings.max_size, settings.threshold)

    return make
