"""Masks from files and in one piece."""

import cv2
import numpy as np
import pytest

from samepoint.data.masking import check_mask, in_one_piece, read_mask
from samepoint.errors import DataError


def flooded(free, start, steps):
    """Slow twin of a connected part: everything that is reached from `start` over `free` pixels."""
    reached, waiting = {start}, [start]
    while waiting:
        v, u = waiting.pop()
        for dv, du in steps:
            there = (v + dv, u + du)
            if all(0 <= x < n for x, n in zip(there, free.shape)) and free[there] and there not in reached:
                reached.add(there)
                waiting.append(there)
    return reached


EDGES = [(0, 1), (1, 0), (0, -1), (-1, 0)]
ALL = [*EDGES, (1, 1), (1, -1), (-1, 1), (-1, -1)]


def slow_one_piece(mask):
    parts, left = [], {tuple(p) for p in np.argwhere(mask)}
    while left:
        parts.append(flooded(mask, next(iter(left)), ALL))
        left -= parts[-1]
    largest = np.zeros_like(mask)
    for pixel in max(parts, key=len):
        largest[pixel] = True
    around = np.pad(~largest, 1, constant_values=True)
    filled = np.ones_like(around)
    for pixel in flooded(around, (0, 0), EDGES):
        filled[pixel] = False
    return filled[1:-1, 1:-1]


@pytest.mark.parametrize("seed", range(6))
def test_one_piece_against_a_flood(seed):
    mask = np.random.default_rng(seed).random((14, 19)) < 0.35 + 0.05 * seed
    sizes = sorted(np.bincount(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1][mask]))
    assert len(sizes) < 3 or sizes[-1] != sizes[-2]  # else the largest is not one
    assert (in_one_piece(mask) == slow_one_piece(mask)).all()


def test_one_piece_again_changes_nothing_and_empty_stays_empty():
    mask = in_one_piece(np.random.default_rng(1).random((20, 20)) < 0.5)
    assert (in_one_piece(mask) == mask).all()
    assert not in_one_piece(np.zeros((4, 5), bool)).any()


def photo(tmp_path, height, width):
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((height, width, 3), np.uint8))
    return tmp_path / "photo.png"


def test_any_value_above_zero_is_the_object(tmp_path):
    values = np.zeros((20, 30), np.uint8)
    values[5:15, 4:14] = np.arange(1, 101).reshape(10, 10)
    cv2.imwrite(str(tmp_path / "m.png"), values)
    assert (read_mask(tmp_path / "m.png", photo(tmp_path, 20, 30)) == (values > 0)).all()


def test_another_size_is_refused_with_both(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.full((20, 30), 255, np.uint8))
    with pytest.raises(DataError, match=r"m\.png: the mask is 30x20 but its image is 40x20; make"):
        read_mask(tmp_path / "m.png", photo(tmp_path, 20, 40))
    with pytest.raises(DataError, match="does not exist"):
        read_mask(tmp_path / "n.png", photo(tmp_path, 20, 40))


@pytest.mark.parametrize(
    ("count", "words"), [(0, "is empty; mark"), (1, "has 1 pixel;"), (49, "has 49 pixels;")]
)
def test_too_small_masks_are_refused(count, words):
    mask = np.zeros((10, 10), bool)
    mask.flat[:count] = True
    with pytest.raises(DataError, match=f"photo.png: the mask {words}"):
        check_mask(mask, "photo.png")
    mask.flat[:50] = True
    check_mask(mask, "photo.png")
