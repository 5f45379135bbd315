"""Depth of an object that cannot be."""

import numpy as np
import pytest

from samepoint.data.plausible import OBJECT, PICTURE, check_depth
from samepoint.errors import DataError


def test_unknown_depth_does_not_count():
    metres = np.array([0.0, np.nan, np.inf, -1.0, 0.5, 0.7, 0.9])
    assert check_depth(metres, "d.png") == 0.7


@pytest.mark.parametrize(
    ("raw", "unit", "right"),
    [(650.0, 1.0, "0.001"), (0.65, 0.001, "1"), (6500.0, 1.0, "0.001"), (800.0, 0.00001, "0.01"),
     (0.0008, 1.0, "1000")],
)  # fmt: skip
def test_the_right_unit_is_offered(raw, unit, right):
    metres = np.full(100, raw * unit)
    line = rf"d\.png: the median depth on the mask is .* m, not 0.02 to 20 m; give --depth-unit {right} \("
    with pytest.raises(DataError, match=line):
        check_depth(metres, "d.png", unit)
    check_depth(metres / unit * float(right), "d.png", float(right))


def test_the_bounds_themselves_can_be():
    for metres in (OBJECT.nearest, OBJECT.farthest):
        assert check_depth(np.full(3, metres), "d.png") == metres
    with pytest.raises(DataError, match="the median depth"):
        check_depth(np.full(3, OBJECT.farthest * 1.001), "d.png")


def test_depth_unknown_everywhere():
    with pytest.raises(DataError, match="unknown everywhere"):
        check_depth(np.array([0.0, np.nan]), "d.png")


def test_a_factor_brings_a_median_into_the_range():
    for exponent in np.linspace(-4, 5, 40):
        median = float(10.0**exponent)
        if not PICTURE.holds(median):
            assert PICTURE.holds(median * PICTURE.factor(median))
