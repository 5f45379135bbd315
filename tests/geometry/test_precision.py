"""No double precision on devices that have none. "meta" stands for one: every operation on it is watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import score_maps, scores_at
from samepoint.correspondence.upsampling import places_of_pixels
from samepoint.evaluation.network_predictor import closer_fractions
from samepoint.geometry import precision
from samepoint.geometry.cameras import focal_length, project, unproject
from samepoint.geometry.pixels import resize_intrinsics
from samepoint.geometry.precision import double_of, doubled
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.training.engine import to_device

META = torch.device("meta")


class Watched(TorchDispatchMode):
    """As torch does on MPS: TypeError where an operation makes a float64 tensor on the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, Tensor) and value.device == META and value.dtype == torch.float64:
                raise TypeError(f"{func}: the device has no float64")
        return out


class NoAutocast(torch.autocast):
    """The meta device has none."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        pass


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    monkeypatch.setattr(precision, "WITHOUT_DOUBLE", frozenset({"meta"}))
    monkeypatch.setattr(torch, "autocast", NoAutocast)
    return META


def test_doubled() -> None:
    assert doubled(torch.ones(2)).dtype == torch.float64
    assert [double_of(torch.device(kind)) for kind in ("cpu", "cuda", "mps")] == [
        torch.float64,
        torch.float64,
        torch.float32,
    ]


def test_the_watch_sees_double_precision() -> None:
    with Watched(), pytest.raises(TypeError, match="no float64"):
        torch.ones(2, device=META).double()


def test_a_network_and_its_scores(device: torch.device) -> None:
    network = DescriptorNetwork(NetworkConfig(dim=8), generator=torch.Generator().manual_seed(0)).eval()
    uv = torch.zeros(1, 5, 2, device=device)
    with Watched():
        found = network.to(device)(torch.zeros(1, 3, 64, 96, device=device))
        queries = sample_descriptors(found, uv)
        rows, columns = places_of_pixels(found, (64, 96))
        shapes = score_maps(queries, found).shape, scores_at(queries, found, uv[:, :, None]).shape
        closer = closer_fractions(queries, found, uv)
    assert rows.dtype == columns.dtype == closer.dtype == torch.float32
    assert shapes == ((1, 5, 64, 96), (1, 5, 1))


def test_cameras(device: torch.device) -> None:
    k = torch.eye(3, device=device).expand(2, 3, 3)
    with Watched():
        xyz = unproject(k, torch.zeros(2, 4, 2, device=device), torch.ones(2, 4, device=device))
        uv, depth = project(k, xyz)
        focal = focal_length(resize_intrinsics(k, (64, 96), (32, 48)))
    assert {value.dtype for value in (xyz, uv, depth, focal)} == {torch.float32}


def test_focal_length_is_that_of_the_determinant() -> None:
    k = torch.tensor([[700.0, 3.0, 320.0], [0.5, 650.0, 240.0], [0.0, 0.0, 1.0]])
    expected = torch.linalg.det(k[:2, :2].double()).abs().sqrt()
    torch.testing.assert_close(focal_length(k).double(), expected, rtol=1e-7, atol=0)


def test_batches_reach_the_device_in_single_precision(device: torch.device) -> None:
    @dataclass(frozen=True)
    class Batch:
        exact: Tensor
        number: Tensor
        name: str

    with Watched():
        moved = to_device(Batch(torch.zeros(3, dtype=torch.float64), torch.zeros(3).long(), "a"), device)
    assert (moved.exact.dtype, moved.number.dtype, moved.name) == (torch.float32, torch.int64, "a")
    assert to_device(torch.zeros(1, dtype=torch.float64), torch.device("cpu")).dtype == torch.float64
