"""Masks of photos with an EXIF orientation: as the image is shown, or as its pixels are stored."""

import numpy as np
import pytest
from PIL import Image

from samepoint.data.deep_pixels import turned
from samepoint.data.mask_turning import turning_of

MASK = np.zeros((40, 40), bool)
MASK[5:15, 8:34] = True


def pair(folder, name, orientation, *, stored, edges=True, mask=MASK):
    """A photo whose object stands out where the mask is, which lies as the pixels are stored, or as it is shown."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise = np.random.default_rng(len(name)).integers(0, 30, (*mask.shape, 3), dtype=np.uint8)
    pixels = noise + (mask * 150 * edges).astype(np.uint8)[..., None]
    image, path = folder / f"{name}.jpg", folder / f"{name}.png"
    Image.fromarray(pixels).save(image, exif=exif, quality=95)
    Image.fromarray(mask if stored else turned(mask, orientation)).save(path)
    return image, path


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("stored", [True, False])
def test_edges_of_the_photo_tell(tmp_path, orientation, stored):
    pairs = [pair(tmp_path, "a", orientation, stored=stored)]
    found = turning_of(pairs)
    assert found.as_stored == ({pairs[0][1]} if stored else frozenset())
    assert found.undecided == 0
    assert [("are turned" in note) for note in found.notes] == [True] * stored


def test_other_masks_of_the_folder_decide_by_their_size(tmp_path):
    unclear = pair(tmp_path, "a", 3, stored=True, edges=False)
    clear = pair(tmp_path, "b", 6, stored=True, edges=False, mask=MASK[:30])
    assert turning_of([unclear, clear]).as_stored == {unclear[1]}
    shown = pair(tmp_path, "c", 6, stored=False, edges=False, mask=MASK[:30])
    assert turning_of([unclear, shown]).as_stored == frozenset()


def test_colours_of_several_photos_tell_where_edges_are_everywhere(tmp_path):
    pairs = [pair(tmp_path, name, 6, stored=True, edges=False) for name in ("a", "bb")]
    for image, mask in pairs:
        rng = np.random.default_rng(len(image.stem))
        pixels = rng.integers(0, 2, (40, 40, 1), dtype=np.uint8) * np.array([200, 0, 0], np.uint8)
        pixels[np.asarray(Image.open(mask)) > 0, 2] = 90
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(pixels).save(image, exif=exif, quality=95, subsampling=0)
    assert turning_of(pairs).as_stored == {mask for _, mask in pairs}


def test_nobody_can_tell(tmp_path):
    found = turning_of([pair(tmp_path, "a", 3, stored=True, edges=False)])
    assert (found.as_stored, found.undecided) == (frozenset(), 1)
    assert found.notes == (
        "1 masks fit their images with and without the EXIF turn; taken as the image is shown",
    )


def test_no_orientation_no_question(tmp_path):
    assert turning_of([pair(tmp_path, "a", 1, stored=True)]).notes == ()
