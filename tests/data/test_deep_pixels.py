"""10 and 12 bits in files of 16 are no black images, in training and in the finder alike."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from samepoint.data.decode import decode_image
from samepoint.data.deep_pixels import deep_values, is_deep, turned, white_level
from samepoint.errors import DataError
from samepoint.inference.images import image_array

RAMP = np.linspace(0, 255, 12 * 16).reshape(12, 16).astype(np.uint16)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("pixels", [RAMP, COLOURS], ids=["grey", "colour"])
def test_what_is_white_follows_from_the_largest_value(tmp_path, suffix, bits, pixels):
    path = tmp_path / f"a.{suffix}"
    deep = (pixels << (bits - 8)) + (1 << (bits - 8)) - 1
    cv2.imwrite(str(path), deep if pixels.ndim == 2 else deep[..., ::-1])
    assert is_deep(path)
    assert white_level(path).bits == bits
    shown = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    assert np.array_equal(decode_image(path), shown)
    assert np.array_equal(image_array(path), shown)


def test_an_image_is_as_dark_as_it_is_beside_its_series(tmp_path):
    for number, factor in enumerate((16, 1, 4)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), RAMP * factor)
    cv2.imwrite(str(tmp_path / "depth_1.png"), RAMP * 256)  # another series
    assert white_level(tmp_path / "1.png").bits == 12
    assert decode_image(tmp_path / "1.png").max() == 255 // 16
    assert decode_image(tmp_path / "0.png").max() == 255


def with_chunk(path, kind, content):
    """Puts a chunk behind the header of a PNG."""
    data = path.read_bytes()
    chunk = struct.pack(">I", len(content)) + kind + content
    chunk += struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(data[:33] + chunk + data[33:])


def test_the_files_own_word_counts_where_its_values_fit(tmp_path):
    path = tmp_path / "a.png"
    for largest, bits in ((600, 12), (5000, 14)):
        cv2.imwrite(str(path), np.full((4, 5), largest, np.uint16))
        with_chunk(path, b"sBIT", bytes([12]))
        (tmp_path / f"new{largest}").touch()  # the folder has changed
        assert white_level(path).bits == bits


def test_names_without_numbers_are_no_series(tmp_path):
    for name, value in (("left", 4000), ("right", 1000), ("a#1", 500)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((4, 5), value, np.uint16))
    assert [white_level(tmp_path / f"{n}.png").bits for n in ("left", "right", "a#1")] == [12, 10, 10]


@pytest.mark.parametrize("pixels", [RAMP, COLOURS], ids=["grey", "colour"])
def test_truncated(tmp_path, pixels):
    noise = np.random.default_rng(0).integers(0, 4096, (60, 80, *pixels.shape[2:]), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), noise)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:6000])
    with pytest.raises(DataError, match=r"a\.png: this image is damaged or truncated"):
        decode_image(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_convention_turns_are_those_of_exif(tmp_path, orientation):
    """Of an image of 8 bits Pillow turns; of one of 16 bits and three channels we do."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOURS.astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(decode_image(tmp_path / "a.png"), turned(COLOURS, orientation))


def test_depth_and_colour_are_not_deep_by_chance(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), COLOURS.astype(np.uint8))
    cv2.imwrite(str(tmp_path / "a.jpg"), COLOURS.astype(np.uint8))
    assert not is_deep(tmp_path / "a.png")
    assert not is_deep(tmp_path / "a.jpg")
    cv2.imwrite(str(tmp_path / "b.png"), COLOURS * 257)
    assert np.array_equal(deep_values(tmp_path / "b.png"), COLOURS[..., ::-1] * 257)
