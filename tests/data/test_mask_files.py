"""Masks mean what a viewer shows, and numbers of objects stay numbers."""

import numpy as np
import pytest
from PIL import Image

from samepoint.data.decode import placement_mask
from samepoint.data.mask_files import decode_labels, decode_mask, label_values
from samepoint.data.recording import Placement
from samepoint.errors import DataError

OBJECT = np.zeros((20, 30), bool)
OBJECT[4:9, 6:20] = True
WHITE, BLACK, RED = [255, 255, 255], [0, 0, 0], [255, 0, 0]
VOC = [BLACK, [128, 0, 0], [0, 128, 0], *[[128, 128, 0]] * 252, [224, 224, 192]]


def palette(path, entries, colours, **more):
    image = Image.fromarray(np.asarray(entries, np.uint8), "P")
    image.putpalette([value for colour in colours for value in colour])
    image.save(path, **more)


@pytest.mark.parametrize(
    ("on", "off", "colours"),
    [
        (0, 1, [WHITE, BLACK]),  # optimisers sort by brightness
        (1, 0, [BLACK, WHITE]),
        (1, 0, [WHITE, RED]),  # a coloured object on white: entry 0 is the background
        (1, 0, [BLACK, BLACK]),  # numbers without colours
        (2, 0, VOC),
        (2, 5, [RED, WHITE, [9, 9, 9], RED, RED, BLACK]),
    ],
)
@pytest.mark.parametrize("bits", [4, 8])
def test_colours_of_a_palette_decide(tmp_path, on, off, colours, bits):
    palette(tmp_path / "m.png", np.where(OBJECT, on, off), colours[: 1 << bits], bits=bits, optimize=False)
    assert np.array_equal(decode_mask(tmp_path / "m.png"), OBJECT)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("colour", [0, 255, "cut out over white", "cut out over black"])
def test_transparency_is_the_mask_where_it_varies(tmp_path, mode, colour):
    picture = np.random.default_rng(0).integers(0, 255, (*OBJECT.shape, 3), dtype=np.uint8)
    if isinstance(colour, int):
        picture[:] = colour
    else:
        picture[~OBJECT] = 255 * colour.endswith("white")
    image = Image.fromarray(picture).convert(mode[:-1])
    image.putalpha(Image.fromarray((OBJECT * 255).astype(np.uint8)))
    image.save(tmp_path / "m.png")
    assert np.array_equal(decode_mask(tmp_path / "m.png"), OBJECT)


@pytest.mark.parametrize("alpha", [0, 255])
def test_even_transparency_says_nothing(tmp_path, alpha):
    image = Image.fromarray((OBJECT * 255).astype(np.uint8)).convert("RGBA")
    image.putalpha(alpha)
    image.save(tmp_path / "m.png")
    assert np.array_equal(decode_mask(tmp_path / "m.png"), OBJECT)


def test_a_mask_in_the_opaque_part_of_a_turned_picture(tmp_path):
    image = Image.fromarray((OBJECT * 255).astype(np.uint8)).convert("RGBA")
    alpha = np.full(OBJECT.shape, 255, np.uint8)
    alpha[:, :3] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "m.png")
    assert np.array_equal(decode_mask(tmp_path / "m.png"), OBJECT)


def test_a_transparent_entry_of_a_palette(tmp_path):
    palette(tmp_path / "m.png", OBJECT.astype(np.uint8), [WHITE, WHITE], transparency=0)
    assert np.array_equal(decode_mask(tmp_path / "m.png"), OBJECT)


@pytest.mark.parametrize("mode", ["1", "I;16", "F"])
def test_other_depths(tmp_path, mode):
    types = {"1": bool, "I;16": np.uint16, "F": np.float32}
    Image.fromarray(OBJECT.astype(types[mode])).save(tmp_path / "m.tif")
    assert Image.open(tmp_path / "m.tif").mode == mode
    assert np.array_equal(decode_mask(tmp_path / "m.tif"), OBJECT)


def test_numbers_of_objects_stay_numbers(tmp_path):
    numbers = np.where(OBJECT, 2, 0)
    numbers[10:12], numbers[12:13] = 1, 255
    palette(tmp_path / "p.png", numbers, VOC)
    Image.fromarray(numbers.astype(np.uint8)).save(tmp_path / "g.png")
    Image.fromarray(numbers.astype(np.uint16)).save(tmp_path / "w.png")
    for name in ("p.png", "g.png", "w.png"):
        assert np.array_equal(decode_labels(tmp_path / name), numbers)
        assert label_values(tmp_path / name) == (1, 2)
    Image.new("RGB", (30, 20)).save(tmp_path / "image.png")
    found = placement_mask(tmp_path / "image.png", Placement(7, mask=tmp_path / "p.png", label=2))
    assert np.array_equal(found, OBJECT)
    Image.new("RGB", (30, 20), (9, 8, 7)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match=r"c\.png: holds colours, not the numbers"):
        decode_labels(tmp_path / "c.png")


def turned_photo(path, orientation, size=(20, 30)):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((*size, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_pixels_is_turned_with_its_image(tmp_path, orientation):
    turned_photo(tmp_path / "a.jpg", orientation)
    Image.fromarray(OBJECT).save(tmp_path / "m.png")
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(OBJECT).save(tmp_path / "own.png", exif=exif)
    found = placement_mask(tmp_path / "a.jpg", Placement(1, mask=tmp_path / "m.png"))
    assert np.array_equal(found, decode_mask(tmp_path / "own.png"))
    assert found.shape == (30, 20)
    # One that was drawn on the image as it is shown fits already.
    Image.fromarray(found).save(tmp_path / "shown.png")
    assert np.array_equal(
        placement_mask(tmp_path / "a.jpg", Placement(1, mask=tmp_path / "shown.png")), found
    )


def test_of_equal_sizes_the_reader_says_how_the_mask_lies(tmp_path):
    turned_photo(tmp_path / "a.jpg", 3)
    Image.fromarray(OBJECT).save(tmp_path / "m.png")
    for as_stored, wanted in ((False, OBJECT), (True, OBJECT[::-1, ::-1])):
        placement = Placement(1, mask=tmp_path / "m.png", as_stored=as_stored)
        assert np.array_equal(placement_mask(tmp_path / "a.jpg", placement), wanted)


def test_another_size_is_an_error(tmp_path):
    turned_photo(tmp_path / "a.jpg", 6)
    Image.new("L", (31, 20)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: the mask is 31x20 but its image is 20x30"):
        placement_mask(tmp_path / "a.jpg", Placement(1, mask=tmp_path / "m.png"))
