from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from samepoint.geometry.pixels import (
    cell_centres,
    cells_from_pixels,
    grid_from_pixels,
    in_frame,
    nearest_pixel,
    pixel_grid,
    pixels_from_cells,
    pixels_from_grid,
    resize_intrinsics,
    resize_pixels,
    sample,
)
from samepoint.types import CellMap


def sample_reference(values, uv):
    """Bilinear, edge repeated, one point at a time."""
    out = []
    for image, points in zip(values, uv):
        _, h, w = image.shape
        row = []
        for u, v in points:
            u, v = u.clamp(0, w - 1), v.clamp(0, h - 1)
            u0, v0 = min(int(u), w - 2), min(int(v), h - 2)
            a, b = u - u0, v - v0
            top = image[:, v0, u0] * (1 - a) + image[:, v0, u0 + 1] * a
            bottom = image[:, v0 + 1, u0] * (1 - a) + image[:, v0 + 1, u0 + 1] * a
            row.append(top * (1 - b) + bottom * b)
        out.append(torch.stack(row))
    return torch.stack(out)


def test_convention_pixel_centres_are_integers():
    grid = pixel_grid((3, 5))
    assert grid.shape == (3, 5, 2)
    assert grid[2, 4].tolist() == [4.0, 2.0]
    assert grid[0, 0].tolist() == [0.0, 0.0]


def test_convention_zero_is_a_pixel_and_the_frame_ends_half_a_pixel_out():
    uv = torch.tensor(
        [[0.0, 0.0], [-0.5, 0.0], [-0.51, 0.0], [4.49, 2.49], [4.5, 0.0], [0.0, 2.5], [math.nan, 1]]
    )
    assert in_frame(uv, (3, 5)).tolist() == [True, True, False, True, False, False, False]


def test_convention_resizing_keeps_edges():
    corners = torch.tensor([[-0.5, -0.5], [639.5, 479.5]])
    assert resize_pixels(corners, (480, 640), (60, 80)).tolist() == [[-0.5, -0.5], [79.5, 59.5]]


def test_convention_resizing_agrees_with_image_interpolation():
    ramp = pixel_grid((48, 64)).permute(2, 0, 1)[None]
    small = F.interpolate(ramp, size=(12, 32), mode="area")[0].permute(1, 2, 0)
    torch.testing.assert_close(resize_pixels(pixel_grid((12, 32)), (12, 32), (48, 64)), small)


def test_resize_round_trip_and_intrinsics():
    uv = torch.rand(2, 7, 2) * 100
    torch.testing.assert_close(resize_pixels(resize_pixels(uv, (99, 70), (31, 44)), (31, 44), (99, 70)), uv)
    k = torch.tensor([[500.0, 2.0, 300.0], [0.0, 510.0, 200.0], [0.0, 0.0, 1.0]]).expand(2, 3, 3)
    xyz = torch.tensor([0.1, -0.2, 1.5])
    whole, half = k[0] @ xyz, resize_intrinsics(k, (480, 640), (240, 160))[1] @ xyz
    torch.testing.assert_close(
        resize_pixels(whole[:2] / whole[2], (480, 640), (240, 160)), half[:2] / half[2]
    )


def test_nearest_pixel_holds_its_pixel():
    uv = pixel_grid((4, 6)).reshape(-1, 2)
    for shift in (-0.5, -0.2, 0.49):
        row, column = nearest_pixel(uv + shift, (4, 6))
        assert torch.equal(torch.stack((column, row), -1).float(), uv)
    row, column = nearest_pixel(torch.tensor([[-9.0, 99.0], [math.nan, math.inf]]), (4, 6))
    assert (row.tolist(), column.tolist()) == ([3, 3], [0, 0])


def test_convention_sampling_at_pixel_centres_reads_pixels(generator):
    values = torch.rand(2, 3, 4, 6, generator=generator)
    uv = pixel_grid((4, 6)).reshape(1, -1, 2).expand(2, -1, -1)
    for mode in ("bilinear", "nearest"):
        torch.testing.assert_close(sample(values, uv, mode), values.flatten(2).transpose(1, 2))


def test_sample_agrees_with_twin_in_values_and_gradients(generator):
    values = torch.rand(2, 3, 5, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    uv = (torch.rand(2, 20, 2, generator=generator, dtype=torch.float64) * 9 - 1.3).requires_grad_()
    fast, slow = sample(values, uv), sample_reference(values, uv)
    torch.testing.assert_close(fast, slow)
    weight = torch.rand(fast.shape, generator=generator, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((fast * weight).sum(), (values, uv)),
        torch.autograd.grad((slow * weight).sum(), (values, uv)),
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_sample_keeps_dtype(dtype, generator):
    values = torch.rand(1, 2, 8, 8, generator=generator).to(dtype)
    uv = torch.rand(1, 5, 2, generator=generator) * 7
    out = sample(values, uv)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), sample(values.float(), uv), atol=1e-2, rtol=0)


def test_sample_of_nothing():
    assert sample(torch.rand(2, 3, 4, 5), torch.zeros(2, 0, 2)).shape == (2, 0, 3)


def test_zeros_padding_fades():
    ones = torch.ones(1, 1, 3, 3)
    uv = torch.tensor([[[-0.5, 1.0], [-1.0, 1.0], [1.0, 1.0]]])
    assert sample(ones, uv, padding="zeros").flatten().tolist() == [0.5, 0.0, 1.0]


def test_grid_and_cells_round_trip(generator):
    uv = torch.rand(4, 3, 2, generator=generator, dtype=torch.float64) * 50
    torch.testing.assert_close(pixels_from_grid(grid_from_pixels(uv, (40, 60)), (40, 60)), uv)
    cells = CellMap(stride=(8.0, 4.0), offset=(3.5, 1.5))
    torch.testing.assert_close(pixels_from_cells(cells_from_pixels(uv, cells), cells), uv)


def test_convention_cells_are_column_row():
    cells = CellMap(stride=(8.0, 4.0), offset=(3.5, 1.5))
    centres = cell_centres(cells, (2, 3))
    assert centres.shape == (2, 3, 2)
    assert centres[1, 2].tolist() == [19.5, 5.5]
    assert cells_from_pixels(centres[1, 2], cells).tolist() == [2.0, 1.0]
