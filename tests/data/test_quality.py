import cv2
import numpy as np
import pytest
from PIL import Image

from samepoint.data.quality import QualityFilter, measure, select


@pytest.fixture
def scenes():
    """Ten different sharp images."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (10, 12, 16, 3), dtype=np.uint8)
    return [cv2.resize(image, (320, 240), interpolation=cv2.INTER_NEAREST) for image in coarse]


def test_blurred_images_go(scenes):
    images = list(scenes)
    for i in (2, 5):
        images[i] = cv2.GaussianBlur(images[i], (0, 0), 8)
    selection = select(map(measure, images), QualityFilter())
    assert selection.kept == (0, 1, 3, 4, 6, 7, 8, 9)
    assert (selection.blurred, selection.duplicates) == (2, 0)
    assert str(selection) == "kept 8 of 10 images (2 blurred, 0 near-duplicates)"


def test_near_duplicates_go(scenes):
    rng = np.random.default_rng(1)
    noisy = [
        np.clip(scenes[0] + rng.normal(0, 3, scenes[0].shape), 0, 255).astype(np.uint8) for _ in range(3)
    ]
    selection = select(map(measure, [scenes[0], *noisy, scenes[1], scenes[0]]), QualityFilter())
    assert selection.kept == (0, 4, 5)
    assert selection.duplicates == 3


def test_slow_change_is_measured_against_the_last_kept():
    """Each step is below the threshold; the drift is not."""
    base = np.zeros((60, 80, 3), np.uint8)
    base[::2] = 100
    images = [base + np.uint8(2 * i) for i in range(20)]
    kept = select(map(measure, images), QualityFilter(min_change=0.02)).kept
    assert kept == (0, 3, 6, 9, 12, 15, 18)


def test_switched_off_and_empty(scenes):
    same = [scenes[0]] * 3 + [np.zeros_like(scenes[0])]
    assert select(map(measure, same), QualityFilter(0.0, 0.0)).kept == (0, 1, 2, 3)
    assert select([], QualityFilter()).kept == ()
    assert select(map(measure, [np.zeros((5, 5, 3), np.uint8)] * 3), QualityFilter()).kept == (0,)


def test_real_photos_stay_and_their_blurred_copies_go(realdata):
    files = sorted((realdata / "rgbd_amazon_box" / "color").glob("*.jpg"))[::10]
    images = [np.asarray(Image.open(file)) for file in files]
    assert select(map(measure, images), QualityFilter()).kept == tuple(range(len(images)))
    worse = [cv2.GaussianBlur(image, (0, 0), 4) for image in images[:2]]
    assert select(map(measure, images + worse), QualityFilter()).blurred == 2
