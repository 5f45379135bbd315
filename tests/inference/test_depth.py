import numpy as np
import pytest
import torch

from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.inference.depth import camera_matrix, depth_at, depth_tensor

K = [[300.0, 0.0, 79.3], [0.0, 310.0, 61.1], [0.0, 0.0, 1.0]]


def plane(size: tuple[int, int]) -> np.ndarray:
    """Depth of the plane n . x = 1 metre, seen by K: z = 1 / (n . ray)."""
    u, v = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    rays = np.stack(((u - K[0][2]) / K[0][0], (v - K[1][2]) / K[1][1], np.ones(size)), axis=-1)
    return (1 / (rays @ np.array([0.3, -0.2, 1.1]))).astype(np.float32)


def test_points_on_a_plane_are_found_in_metres(make_finder, scene) -> None:
    finder, image, depth = make_finder(max_size=80), scene((120, 160)), plane((120, 160))
    finder.remember("a", image, (40.0, 60.0))
    finder.remember("b", image, (120.0, 33.0))
    points = finder.find_3d(image, depth, K)
    hits = finder.find(image)
    for name, point in points.items():
        xyz = torch.tensor([point], dtype=torch.float64)
        assert float(xyz[0] @ torch.tensor([0.3, -0.2, 1.1], dtype=torch.float64)) == pytest.approx(
            1, abs=2e-3
        )
        uv, _ = project(torch.tensor(K, dtype=torch.float64), xyz)
        assert np.allclose(uv[0].numpy(), hits[name].uv, atol=1e-3)
    assert list(finder.find_3d(image, torch.from_numpy(depth), np.array(K), ["b"])) == ["b"]


def test_points_without_depth_or_not_visible_are_none(make_finder, scene) -> None:
    finder, image = make_finder(), scene((120, 160))
    finder.remember("a", image, (40.0, 60.0))
    depth = plane((120, 160))
    for unknown in (0.0, np.nan, -1.0, np.inf):
        hole = depth.copy()
        hole[50:71, 30:51] = unknown
        assert finder.find_3d(image, hole, K) == {"a": None}
    assert finder.find_3d(scene((120, 160), blue=1.0), depth, K) == {"a": None}


def test_the_nearest_valid_depth_is_taken_and_never_a_mixture() -> None:
    depth = torch.zeros(20, 20)
    depth[10, 12], depth[10, 7] = 1.0, 3.0
    assert depth_at(depth, (10.0, 10.0)) == 1.0
    assert depth_at(depth, (9.0, 10.0)) == 3.0
    assert depth_at(depth, (3.9, 10.0)) is None
    assert depth_at(depth, (4.1, 10.0)) == 3.0
    depth[:] = 0
    depth[0, 0], depth[19, 19] = 2.0, 4.0
    assert depth_at(depth, (-0.5, -0.5)) == 2.0
    assert depth_at(depth, (19.4, 19.4)) == 4.0


def test_wrong_depth_and_cameras_are_refused() -> None:
    with pytest.raises(DataError, match="does not fit an image of 120 x 160"):
        depth_tensor(np.zeros((60, 80), np.float32), (120, 160))
    with pytest.raises(DataError, match="uint16 is not float; give metres"):
        depth_tensor(np.zeros((120, 160), np.uint16), (120, 160))
    for bad in (
        np.eye(4),
        np.zeros((3, 3)),
        [[1, 0, 0], [0, 1, 0], [0, 1, 1]],
        np.full((3, 3), np.nan),
        "K",
        None,
    ):
        with pytest.raises(DataError, match=r"camera matrix|3 x 3"):
            camera_matrix(bad)
