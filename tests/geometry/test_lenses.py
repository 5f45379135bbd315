import cv2
import numpy as np
import pytest
import torch

from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.lenses import Lens, bend_points, distort_points, undistort_image, undistort_points
from samepoint.geometry.pixels import pixel_grid

K = torch.tensor([[500.0, 0.0, 320.0], [0.0, 510.0, 240.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
LENSES = [
    Lens("brown", (0.06, -0.17, 0.001, -0.002, 0.03)),
    Lens("brown", (0.06, -0.17, 0.001, -0.002)),
    Lens("brown", (0.3, -0.1, 0.001, -0.002, 0.03, 0.2, -0.05, 0.01)),
    Lens("fisheye", (0.05, -0.02, 0.01, -0.003)),
]


@pytest.fixture
def xyz(generator):
    return torch.rand(50, 3, generator=generator, dtype=torch.float64) - torch.tensor([0.5, 0.4, -1.0])


@pytest.mark.parametrize("lens", LENSES)
def test_points_are_where_opencv_sees_them_and_come_back(lens, xyz):
    zero, bent = np.zeros(3), np.array(lens.coefficients)
    if lens.model == "fisheye":
        seen, _ = cv2.fisheye.projectPoints(xyz.numpy()[:, None], zero, zero, K.numpy(), bent)
    else:
        seen, _ = cv2.projectPoints(xyz.numpy(), zero, zero, K.numpy(), bent)
    seen = torch.from_numpy(seen[:, 0])
    straight = project(K, xyz)[0]
    torch.testing.assert_close(distort_points(straight, K, lens), seen)
    torch.testing.assert_close(undistort_points(seen, K, lens), straight, atol=1e-3, rtol=0)
    assert undistort_points(straight[:0], K, lens).shape == (0, 2)


@pytest.mark.parametrize("lens", LENSES)
def test_undistorted_image_and_points_go_together(lens):
    """A blob painted in the distorted image is found where `undistort_points` says."""
    centre = torch.tensor([[130.3, 120.7]], dtype=torch.float64)
    grid = pixel_grid((480, 640), dtype=torch.float64)
    blob = torch.exp(-(grid - centre[0]).square().sum(-1) / 18)
    moved = torch.from_numpy(undistort_image(blob.float().numpy(), K, lens)).double()
    found = (moved[..., None] * grid).sum((0, 1)) / moved.sum()
    expected = undistort_points(centre, K, lens)[0]
    assert (expected - centre[0]).norm() > 0.5
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0)


def test_undistorting_depth_invents_no_values():
    depth = np.where(np.arange(640) < 320, 1000, 2000).astype(np.uint16)[None].repeat(480, 0)
    assert set(np.unique(undistort_image(depth, K, LENSES[0], mode="nearest"))) <= {0, 1000, 2000}


def test_what_is_no_lens():
    assert Lens("brown", (0.0,) * 5).straight
    assert not Lens("fisheye", (0.0,) * 4).straight
    with pytest.raises(DataError, match="fisheye lens has 4 finite coefficients"):
        Lens("fisheye", (0.0,) * 5)
    with pytest.raises(DataError, match="finite"):
        Lens("brown", (0.0, float("nan"), 0.0, 0.0))


def test_bent_pixels_are_those_that_can_be_straightened_again():
    """Far outside the image a barrel lens's formula comes back into it: nothing is seen there. NaN stays NaN."""
    k = torch.tensor([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]], dtype=torch.float64)
    lens = Lens("brown", (-0.3, 0.05, 0.0, 0.0))
    uv = torch.tensor([[160.0, 120.0], [300, 20], [5000, 120], [torch.nan, 3]], dtype=torch.float64)
    bent = bend_points(uv, k, lens)
    torch.testing.assert_close(bent[:2], distort_points(uv[:2], k, lens))
    assert bent[2:].isnan().all()
