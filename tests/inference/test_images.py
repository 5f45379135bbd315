from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.errors import DataError
from samepoint.inference.images import image_digest, image_tensor, resized, rgb_array, working_size

RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def test_convention_images_become_rgb_in_0_1_channels_first() -> None:
    tensor = image_tensor(RGB)
    assert tensor.shape == (3, 2, 3)
    assert tensor.dtype == torch.float32
    assert tensor[1, 1, 2].item() == pytest.approx(RGB[1, 2, 1] / 255)
    assert np.array_equal(rgb_array(RGB), RGB)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (np.zeros((4, 5), np.uint8), "grey or depth"),
        (np.zeros((4, 5, 4), np.uint8), "not h x w x 3"),
        (np.zeros((3, 4, 5), np.uint8), "channels last"),
        (np.zeros((4, 5, 3), np.uint16), "uint16 is neither"),
        (np.zeros((4, 5, 3), np.int64), "int64 is neither"),
        (np.full((4, 5, 3), 200.0), "outside .0, 1.; divide by 255"),
        (np.full((4, 5, 3), -0.5), "outside"),
        (np.full((4, 5, 3), np.nan), "outside"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        (torch.zeros(4, 5, 3), "not 3 x h x w"),
        (torch.zeros(1, 3, 4, 5), "not 3 x h x w"),
        (torch.zeros(3, 4, 5, dtype=torch.int32), "neither uint8 nor float"),
        (torch.full((3, 4, 5), 7.0), "outside"),
        (Image.fromarray(np.zeros((4, 5), np.uint16)), "depth"),
    ],
)
def test_everything_else_is_refused_in_one_line(image, line) -> None:
    with pytest.raises(DataError, match=line) as caught:
        image_tensor(image)
    assert "\n" not in str(caught.value)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png: this image does not exist"):
        image_tensor(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(DataError, match=r"text\.png: this image is damaged or truncated, or no image"):
        image_tensor(tmp_path / "text.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.png: this image is damaged or truncated"):
        image_tensor(tmp_path / "cut.png")
    with pytest.raises(DataError, match="this is a folder, not a file; give the image"):
        image_tensor(tmp_path)


def test_grey_files_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (5, 4), 51).save(tmp_path / "grey.png")
    assert image_tensor(tmp_path / "grey.png").unique().tolist() == [pytest.approx(0.2)]


def test_the_digest_is_of_the_content() -> None:
    a, b = image_tensor(RGB), image_tensor(RGB.copy())
    assert image_digest(a) == image_digest(b)
    b[0, 0, 0] += 0.5
    assert image_digest(a) != image_digest(b)
    assert image_digest(torch.zeros(3, 2, 6)) != image_digest(torch.zeros(3, 6, 2))


def test_working_sizes_keep_the_aspect_and_never_grow() -> None:
    assert working_size((480, 640), 320) == (240, 320)
    assert working_size((640, 480), 320) == (320, 240)
    assert working_size((100, 200), 320) == (100, 200)
    assert working_size((100, 200), None) == (100, 200)
    assert working_size((1, 1000), 10) == (1, 10)


def test_resizing_keeps_edges_in_place() -> None:
    ramp = torch.arange(64.0).expand(3, 16, 64) / 64
    small = resized(ramp, (8, 32))
    assert torch.allclose(small[:, :, 2:-2], ((torch.arange(2, 30) + 0.5) * 2 - 0.5) / 64, atol=1e-6)
    assert resized(ramp, (16, 64)) is ramp
