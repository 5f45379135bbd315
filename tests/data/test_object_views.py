"""Cuts of an object, against the cameras that they pretend to be."""

import math

import pytest
import torch

from samepoint.data.object_views import Cut, Cutting, FlatImage, draw_cut, flat_image, moved_camera
from samepoint.errors import DataError
from samepoint.geometry.cameras import project, unproject
from samepoint.geometry.motions import rotation_angle, transform
from samepoint.geometry.pixels import pixels_of
from samepoint.geometry.warps import warp_points

CAMERA = torch.tensor([[210.0, 0.0, 63.0], [0.0, 200.0, 45.0], [0.0, 0.0, 1.0]])


@pytest.fixture
def mask():
    mask = torch.zeros(96, 128, dtype=torch.bool)
    mask[30:70, 20:90] = True
    mask[60:70, 20:60] = False
    return mask


def cut_of(angle, scale, shift):
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return Cut(torch.tensor([[c, -s, shift[0]], [s, c, shift[1]], [0.0, 0.0, 1.0]]), angle, scale)


def test_every_cut_shows_the_whole_mask_at_the_size_asked_for(mask, generator):
    cutting = Cutting((64, 80), 180.0, (0.5, 0.9))
    for _ in range(50):
        cut = draw_cut(mask, cutting, generator)
        uv = warp_points(cut.view_from_image, pixels_of(mask))
        assert (uv > -0.5 - 1e-3).all()
        assert (uv < torch.tensor([79.5, 63.5]) + 1e-3).all()
        longest = float((uv.amax(0) - uv.amin(0)).max())
        assert 0.5 * 64 - 2 < longest <= 0.9 * 64 + 1e-3
        shown = cut.mask(mask, cutting.size)
        assert abs(int(shown.sum()) / (cut.scale**2 * int(mask.sum())) - 1) < 0.1


@pytest.mark.parametrize("scale", [0.12, 0.3])
def test_a_cut_that_shrinks_takes_the_mean_of_what_it_leaves_out(scale):
    """Stripes a pixel wide become grey, not stripes of another width; and nothing is shifted."""
    stripes = (torch.arange(256) % 2).float().expand(3, 200, 256)
    view = cut_of(0.0, scale, (0.0, 0.0)).image(stripes, (20, 25))
    torch.testing.assert_close(view, torch.full_like(view, 0.5), rtol=0, atol=0.1)
    ramp = (torch.arange(256) / 256).expand(3, 200, 256)
    view = cut_of(0.0, scale, (3.0, 2.0)).image(ramp, (20, 25))
    expected = (torch.arange(25) - 3.0) / scale / 256
    torch.testing.assert_close(view[0, 10, 5:20], expected[5:20], rtol=0, atol=0.003)


def test_a_thin_mask_leaves_something():
    thin = torch.zeros(280, 300, dtype=torch.bool)
    thin[:, 150] = True
    for k in range(20):
        cut = draw_cut(thin, Cutting((64, 64), 0.0), torch.Generator().manual_seed(k))
        assert cut.mask(thin, (64, 64)).any()


def test_a_cut_of_a_posed_view_is_exactly_a_turned_camera_with_another_lens(generator):
    xyz = torch.tensor([[-0.1, 0.05, 0.6], [0.08, -0.02, 0.9], [0.0, 0.0, 0.5], [0.2, 0.1, 1.2]])
    cut = cut_of(0.7, 1.4, (11.0, -23.0))
    before, _ = project(CAMERA, xyz)
    after, depth = project(cut.intrinsics(CAMERA), transform(cut.turned, xyz))
    torch.testing.assert_close(after, warp_points(cut.view_from_image, before), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(depth, xyz[:, 2])


def test_turning_one_image_is_exactly_a_motion_whatever_its_depth(mask, generator):
    depth = 0.4 + 0.3 * torch.rand(96, 128, generator=generator)
    source = flat_image(mask, depth, CAMERA, distance=9.0, field_of_view=9.0)
    middle = torch.tensor([[1.0, 0, 39.5], [0, 1, 31.5], [0, 0, 1]])  # the principal point of the view
    back = torch.tensor([[1.0, 0, -63.0], [0, 1, -45.0], [0, 0, 1]])
    a = Cut(middle @ back, 0.0, 1.0)
    turned = cut_of(1.1, 1.0, (0.0, 0.0))
    b = Cut(middle @ turned.view_from_image @ back, 1.1, 1.0)
    motion, left, _ = moved_camera(source, a, b, (64, 80))
    assert float(left) < 1e-6
    torch.testing.assert_close(motion, turned.turned, rtol=0, atol=1e-5)


def test_on_a_plane_every_cut_is_exactly_a_motion(mask, generator):
    """Nearer by the scale, sideways by the shift; the residual says so."""
    source = flat_image(mask, None, CAMERA, distance=0.5, field_of_view=50.0)
    cutting = Cutting((64, 80), 60.0, (0.4, 0.9))
    a, b = (draw_cut(mask, cutting, generator) for _ in range(2))
    motion, left, camera = moved_camera(source, a, b, cutting.size)
    assert float(left) < 1e-6
    assert float(rotation_angle(motion)) == pytest.approx(abs(b.angle - a.angle), abs=1e-4)
    uv = pixels_of(mask)[::97]
    in_a = unproject(camera, warp_points(a.view_from_image, uv), torch.full((len(uv),), 0.5 / a.scale))
    in_b, _ = project(camera, transform(motion, in_a))
    torch.testing.assert_close(in_b, warp_points(b.view_from_image, uv), rtol=0, atol=1e-3)


def test_the_residual_grows_with_the_relief_and_is_no_more_than_the_relief_explains(mask, generator):
    bump = torch.zeros(96, 128)
    bump[30:70, 20:90] = torch.linspace(0, 1, 70)
    a, b = cut_of(0.0, 0.6, (5.0, 3.0)), cut_of(0.3, 1.2, (-20.0, 4.0))
    left = []
    for relief in (0.0, 0.02, 0.08):
        source = flat_image(mask, 0.5 + relief * bump, CAMERA, distance=1.0, field_of_view=50.0)
        left.append(float(moved_camera(source, a, b, (64, 80))[1]))
    assert left[0] < 1e-6 < left[1] < left[2] < 0.08 * 0.5


def test_what_is_not_known_is_taken_for_granted(mask):
    source = flat_image(mask, None, None, distance=0.7, field_of_view=60.0)
    assert isinstance(source, FlatImage)
    assert source.focal == pytest.approx(48 / math.tan(math.radians(30)))
    assert (source.depth == 0.7).all()
    holes = torch.zeros(96, 128)
    assert (flat_image(mask, holes, None, distance=0.7, field_of_view=60.0).depth == 0.7).all()


def test_an_empty_mask_is_refused(generator):
    with pytest.raises(DataError, match="mask is empty"):
        draw_cut(torch.zeros(8, 8, dtype=torch.bool), Cutting(), generator)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"fill": (0.9, 0.5)}, r"fill cannot be \(0.9, 0.5\); give two shares between 0 and 1, lowest first"),
        ({"fill": (0.2, 1.5)}, r"fill cannot be \(0.2, 1.5\); give two shares"),
        ({"fill": (0.0, 0.5)}, r"fill cannot be \(0.0, 0.5\); give two shares"),
        ({"size": (8, 64)}, r"views of \(8, 64\) pixels are too small; give 32 or more"),
    ],
)
def test_cuts_that_cannot_be_are_refused(wrong, line):
    with pytest.raises(DataError, match=line):
        Cutting(**wrong)
