from itertools import permutations
from pathlib import Path

import pytest

from samepoint.data.natural_order import natural_key


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.png", "10.png"],
        ["frame_9.jpg", "frame_10.jpg", "frame_0011.jpg"],
        ["100.png", "100.25.png", "100.5.png", "101.png"],
        ["1305031102.175304.png", "1305031102.2.png"],
        ["cam2/9.png", "cam2/10.png", "cam10/1.png"],
        ["2023.2.1", "2023.10.1", "2023.10.12"],
        ["v1.2.png", "v1.10.png"],
        ["", "a", "a1", "b"],
        ["007", "07", "7", "8"],
    ],
)
def test_numbers_count_as_numbers_whatever_the_order_they_come_in(names):
    for mixed in permutations(names):
        assert sorted(mixed, key=natural_key) == names
        assert sorted(map(Path, mixed), key=natural_key) == [Path(name) for name in names]


def test_long_numbers_are_exact():
    first, second = "1686000000000000001.png", "1686000000000000002.png"
    assert sorted([second, first], key=natural_key) == [first, second]
