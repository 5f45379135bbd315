"""Files that other programs write, through the one door for all images."""

import sys

import numpy as np
import pytest
from PIL import Image

from samepoint.data.decode import decode_image, decode_view, image_size
from samepoint.data.recording import View
from samepoint.errors import DataError, MissingDependencyError
from samepoint.inference.images import image_array

PIXELS = np.zeros((16, 32, 3), np.uint8)
PIXELS[:8, :16] = 255


@pytest.mark.parametrize("orientation", [0, 9, 77])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_an_orientation_that_means_nothing_turns_nothing(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PIXELS).save(path, exif=exif)
    assert image_size(path) == decode_image(path).shape[:2] == (16, 32)


@pytest.mark.parametrize("suffix", ["JFIF", "jpe", "heic", "HEIF", "avif", "ppm", "dib"])
def test_kinds_of_files(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix.lower().startswith("hei"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif suffix == "avif" and not Image.registered_extensions().get(".avif"):
        pytest.skip("this Pillow has no AVIF")
    Image.fromarray(PIXELS).save(path, format="JPEG" if suffix in ("JFIF", "jpe") else None)
    assert image_size(path) == (16, 32)
    assert np.abs(decode_image(path).astype(int) - PIXELS).mean() < 6
    assert np.array_equal(image_array(path), decode_image(path))


def test_heic_needs_its_package_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "IMG_1.jpg"  # phones' exports have such names too
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    with pytest.raises(DataError, match=r"IMG_1\.jpg: this image is damaged or truncated"):
        decode_image(path)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(
        MissingDependencyError, match=r'IMG_1\.jpg: .*HEIC.*pip install "samepoint\[formats\]"'
    ):
        image_size(path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_images_beyond_pillows_limit(tmp_path, monkeypatch, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    big = np.kron(PIXELS, np.ones((4, 4, 1), np.uint8))
    Image.fromarray(big).save(path, exif=exif, quality=95)
    whole, small = decode_image(path), decode_view(View("cam0", path), 32)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Image.DecompressionBombError, match="exceeds limit"):
        Image.open(path)
    assert image_size(path) == whole.shape[:2]
    assert np.array_equal(decode_image(path), whole)
    again = decode_view(View("cam0", path), 32)
    assert again.source_size == small.source_size == whole.shape[:2]
    assert again.image.shape == small.image.shape
    assert np.abs(again.image.astype(int) - small.image).mean() < 4
    assert Image.MAX_IMAGE_PIXELS == 1000
    monkeypatch.setattr("samepoint.data.image_files.MOST_PIXELS", 2000)
    with pytest.raises(DataError, match=r"too large .*make it smaller"):
        image_size(path)


@pytest.mark.usefixtures("rights_bind")
def test_what_is_wrong_with_a_file_is_said(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"empty\.jpg: is empty \(0 bytes\)"):
        decode_image(tmp_path / "empty.jpg")
    with pytest.raises(DataError, match=r"text\.jpg: .*, or no image; replace"):
        decode_image(tmp_path / "text.jpg")
    with pytest.raises(DataError, match="this is a folder, not a file"):
        decode_image(tmp_path)
    (tmp_path / "text.jpg").chmod(0)
    with pytest.raises(DataError, match=r"text\.jpg: may not be read \(permission denied\)"):
        image_size(tmp_path / "text.jpg")


@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
def test_several_images_in_one_file_are_not_dropped(tmp_path, suffix):
    pages = [Image.fromarray(PIXELS // (1 + i)) for i in range(3)]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=rf"a\.{suffix}: holds 3 images, of which one would be read"):
        decode_image(tmp_path / f"a.{suffix}")


def test_a_thumbnail_in_the_file_is_no_image_of_its_own(tmp_path):
    small = Image.fromarray(PIXELS[::2, ::2])
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert np.array_equal(decode_image(tmp_path / "a.tif"), PIXELS)
