import numpy as np
import pytest
from PIL import Image

from samepoint.data.readers.camera_numbers import check_image, lens_from, pinhole
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens


def test_pinhole():
    assert pinhole(20, "21.5", 7, 5, "a.json").tolist() == [[20, 0, 7], [0, 21.5, 5], [0, 0, 1]]
    for values, message in (
        (("wide", 1, 2, 3), r"a\.json: expected 4 numbers"),
        ((0, 1, 2, 3), r"a\.json: the camera matrix"),
        ((1, 1, float("nan"), 3), r"a\.json: the camera matrix"),
        ((1, 1, None, 3), r"a\.json: the camera matrix"),
    ):
        with pytest.raises(DataError, match=message):
            pinhole(*values, "a.json")


def test_a_lens_that_bends_nothing_is_none():
    assert lens_from("brown", [0, 0, 0, 0, 0], 5, "here") is None
    assert lens_from("brown", [0.1, 0, 0, 0], 4, "here") == Lens("brown", (0.1, 0.0, 0.0, 0.0))
    assert lens_from("fisheye", [0, 0, 0, 0], 4, "here") == Lens("fisheye", (0.0,) * 4)
    with pytest.raises(DataError, match="here: expected 4 numbers"):
        lens_from("fisheye", [0, 0, 0], 4, "here")
    with pytest.raises(DataError, match=r"here: the lens coefficients .* are not finite"):
        lens_from("fisheye", [0, 0, 0, float("inf")], 4, "here")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_size_is_checked(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(path)
    for size in ((16, 12), ("16", 12.0), (None, None)):
        check_image(path, *size, "a.json")
    with pytest.raises(DataError, match=r"a\.json: is for images 12 pixels wide, but a\.\w+ is 16x12"):
        check_image(path, 12, 16, "a.json")
    with pytest.raises(DataError, match=r"a\.json: is for images 16 pixels high"):
        check_image(path, None, 16, "a.json")
    with pytest.raises(DataError, match=r"a\.json: expected 1 numbers"):
        check_image(path, "wide", 16, "a.json")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_an_orientation_is_refused(tmp_path, suffix, orientation):
    """Calibration programs ignore it and decoders apply it, which a half turn would hide."""
    path, exif = tmp_path / f"a{suffix}", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(path, exif=exif)
    if orientation == 1:
        check_image(path, 16, 12, "a.json")
    else:
        with pytest.raises(DataError, match=r"a\.\w+: has an EXIF orientation"):
            check_image(path, 16, 12, "a.json")


def test_an_image_that_is_none(tmp_path):
    with pytest.raises(DataError, match=r"a\.png: this image does not exist"):
        check_image(tmp_path / "a.png", 16, 12, "a.json")
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(DataError, match=r"a\.png: is not a readable image"):
        check_image(tmp_path / "a.png", 16, 12, "a.json")
