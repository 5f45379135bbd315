"""A mask from a box: planted discs on textured ground."""

import cv2
import numpy as np
import pytest

from samepoint.data.grabcut import WORKING_SIZE, grabcut_mask
from samepoint.errors import DataError


def disc_on_texture(size=(120, 160), centre=(80, 62), radius=32, seed=0):
    """A reddish disc with shading and a hole of the ground's colour, and where the disc is (hole included)."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(40, 150, (size[0] // 5, size[1] // 5, 1), dtype=np.uint8), size[::-1])
    image = np.stack([ground, ground, (ground * 0.6).astype(np.uint8)], axis=-1)
    v, u = np.indices(size)
    far = np.hypot(u - centre[0], v - centre[1])
    disc, hole = far <= radius, far <= radius / 8
    shade = (30 * (v - centre[1]) / radius)[..., None]
    painted = np.clip(np.array([200, 50, 60]) + shade + rng.normal(0, 6, (*size, 3)), 0, 255)
    image[disc & ~hole] = painted.astype(np.uint8)[disc & ~hole]
    return image, disc


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_planted_disc():
    image, disc = disc_on_texture()
    mask = grabcut_mask(image, (42, 24, 118, 100))
    assert overlap(mask, disc) > 0.95
    assert mask[62, 80]  # its hole is filled


def test_the_same_box_gives_the_same_mask():
    image, _ = disc_on_texture(seed=3)
    first = grabcut_mask(image, (42, 24, 118, 100))
    cv2.setRNGSeed(99)
    assert (grabcut_mask(image, (42, 24, 118, 100)) == first).all()


def test_nothing_outside_of_the_box_and_both_corners_are_inside():
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:41, 30:61] = 255
    mask = grabcut_mask(image, (30, 20, 60, 40))
    v, u = np.nonzero(mask)
    assert (u.min(), v.min(), u.max(), v.max()) == (30, 20, 60, 40)


def test_only_the_largest_of_two_is_kept():
    image, disc = disc_on_texture()
    image[30:38, 45:53] = (200, 50, 60)
    mask = grabcut_mask(image, (42, 24, 118, 100))
    assert overlap(mask, disc) > 0.95
    assert not mask[30:36, 45:50].any()


def test_large_images_keep_their_size_and_the_disc():
    scale = 10
    image, disc = disc_on_texture()
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    assert max(large.shape) > WORKING_SIZE
    truth = cv2.resize(disc.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST) > 0
    mask = grabcut_mask(large, (420, 240, 1189, 1009))
    assert mask.shape == large.shape[:2]
    assert overlap(mask, truth) > 0.95


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((60, 20, 50, 40), "the box 60 20 50 40 is empty; give U0 V0 U1 V1"),
        ((10, 30, 50, 20), "is empty"),
        ((-1, 10, 50, 60), "leaves the image, which is 160x120; u is 0 to 159, v is 0 to 119"),
        ((10, 10, 160, 60), "leaves the image"),
        ((10, 10, 50, 120), "leaves the image"),
        ((0, 0, 159, 119), "is the whole image; leave some background"),
        ((10, 10, 14, 14), "holds too little"),
    ],
)
def test_bad_boxes(box, words):
    image, _ = disc_on_texture()
    with pytest.raises(DataError, match=f"photo.png: .*{words}"):
        grabcut_mask(image, box, where="photo.png")


def test_a_whole_image_but_its_last_row_is_a_box():
    image, disc = disc_on_texture()
    assert overlap(grabcut_mask(image, (0, 0, 159, 118)), disc) > 0.95


def test_no_object_in_the_box():
    with pytest.raises(DataError, match="no object stands out"):
        grabcut_mask(np.full((60, 80, 3), 90, np.uint8), (20, 20, 50, 40))
