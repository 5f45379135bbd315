import cv2
import numpy as np
import pytest
from PIL import Image

from samepoint.data.decode import (
    decode_depth,
    decode_image,
    decode_mask,
    fitted_size,
    image_size,
    quantise_depth,
    resize_nearest,
)
from samepoint.data.recording import DepthFile
from samepoint.errors import DataError


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation(tmp_path, orientation, suffix):
    """The corner that EXIF calls top left is top left after decoding (checked against OpenCV for JPEG)."""
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    decoded = decode_image(path)
    assert decoded.shape[:2] == image_size(path) == ((32, 16) if orientation >= 5 else (16, 32))
    if suffix == "jpg":
        assert np.abs(decoded.astype(int) - cv2.imread(str(path))[..., ::-1]).max() < 10


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Image.fromarray(np.full((4, 5), 200 * 256, np.uint16)).save(path)
    else:
        Image.new("RGB", (5, 4), (200, 200, 200)).convert(mode).save(path)
    decoded = decode_image(path)
    assert (decoded.shape, decoded.dtype) == ((4, 5, 3), np.uint8)
    assert mode == "1" or (np.abs(decoded.astype(int) - 200) <= 4).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"a\.{suffix}: this image is damaged or truncated"):
        decode_image(path)


def test_not_an_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for read in (decode_image, decode_mask, image_size):
        with pytest.raises(DataError, match=r"a\.png"):
            read(tmp_path / "a.png")
        with pytest.raises(DataError, match="does not exist"):
            read(tmp_path / "none.png")


@pytest.mark.parametrize("high", [1, 3, 255])
def test_masks_of_any_level(tmp_path, high):
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:5] = high
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert np.array_equal(decode_mask(tmp_path / "m.png"), mask > 0)
    Image.fromarray(np.stack([mask] * 3, 2)).save(tmp_path / "c.png")
    assert np.array_equal(decode_mask(tmp_path / "c.png"), mask > 0)


def test_jpeg_mask_ignores_ringing(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 13:41] = 255
    Image.fromarray(mask).save(tmp_path / "m.jpg", quality=60)
    assert (decode_mask(tmp_path / "m.jpg") != (mask > 0)).mean() < 0.01


def test_depth_of_16_bit(tmp_path):
    units = np.array([[0, 1, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), units)
    values, scale = decode_depth(DepthFile(tmp_path / "d.png", 0.0002))
    assert values.tolist() == units.tolist()
    assert scale == 0.0002


@pytest.mark.parametrize("suffix", ["npy", "tif"])
def test_floating_depth_with_nan(tmp_path, suffix):
    metres = np.array([[np.nan, 1.23456, -1.0, np.inf]], np.float32)
    path = tmp_path / f"d.{suffix}"
    if suffix == "npy":
        np.save(path, metres)
    else:
        Image.fromarray(metres).save(path)
    values, scale = decode_depth(DepthFile(path, 1.0))
    assert values.dtype == np.uint16
    assert (values * scale)[0].tolist() == pytest.approx([0, 1.2346, 0, 0])


def test_bad_depth(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "d.png")
    with pytest.raises(DataError, match="not one channel"):
        decode_depth(DepthFile(tmp_path / "d.png", 0.001))
    (tmp_path / "d.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="not a readable array"):
        decode_depth(DepthFile(tmp_path / "d.npy", 0.001))


def test_quantised_depth():
    near, step = quantise_depth(np.array([[0.0, 0.00004, 1.00004, 6.5535]]))
    assert (near[0].tolist(), step) == ([0, 0, 10000, 65535], 1e-4)
    far, step = quantise_depth(np.array([[7.0, 65.535, 100.0]]))
    assert (far[0].tolist(), step) == ([7000, 65535, 0], 1e-3)
    assert quantise_depth(np.zeros((0, 3)))[0].shape == (0, 3)


def test_convention_nearest_takes_the_pixel_under_the_centre():
    values = np.arange(70).reshape(7, 10)
    small = resize_nearest(values, (3, 4))
    for i in range(3):
        for j in range(4):
            y, x = (i + 0.5) * 7 / 3 - 0.5, (j + 0.5) * 10 / 4 - 0.5
            row, column = divmod(int(small[i, j]), 10)
            assert abs(row - y) <= 0.5
            assert abs(column - x) <= 0.5
    assert resize_nearest(values, (7, 10)) is values


def test_fitted_size():
    assert fitted_size((480, 640), 320) == (240, 320)
    assert fitted_size((640, 480), 320) == (320, 240)
    assert fitted_size((100, 80), 320) == (100, 80)
    assert fitted_size((480, 640), None) == (480, 640)
    assert fitted_size((1, 4000), 100) == (1, 100)
