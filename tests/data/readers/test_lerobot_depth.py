import math

import numpy as np
import pytest

from samepoint.data.readers.lerobot.depth import DepthCode, depth_code, is_depth, metres_per_unit
from samepoint.errors import DataError


def marked(**notes):
    return {"dtype": "video", "info": {"is_depth_map": True, **{f"video.{k}": v for k, v in notes.items()}}}


def test_marks():
    assert is_depth(marked())
    assert is_depth({"video_info": {"video.is_depth_map": True}})
    assert not is_depth({"info": {"video.is_depth_map": False}})
    assert not is_depth({"info": None})


def test_defaults_are_lerobots():
    assert depth_code(marked(), "top") == DepthCode(0.01, 10.0, 3.5)
    assert depth_code(marked(use_log=False, depth_min=0, depth_max=4), "top") == DepthCode(0.0, 4.0, None)


@pytest.mark.parametrize("shift", [3.5, 0.5, None])
def test_codes_to_metres(shift):
    """Against the definition, one code at a time."""
    least, greatest = 0.2, 5.0
    codes = np.array([[0, 1, 700, 2048, 4094, 4095]], np.uint16)
    got = DepthCode(least, greatest, shift).metres(codes)[0]
    assert got[0] == got[5] == 0
    for code, depth in zip(codes[0, 1:5], got[1:5], strict=True):
        part = int(code) / 4095
        if shift is None:
            truth = least + part * (greatest - least)
        else:
            low, high = math.log(least + shift), math.log(greatest + shift)
            truth = math.exp(low + part * (high - low)) - shift
        assert depth == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize(
    "notes",
    [{"depth_min": 11}, {"depth_min": -1}, {"depth_min": 0, "shift": 0}, {"use_log": 1}],
)
def test_codes_that_cannot_be(notes):
    with pytest.raises(DataError, match=r"top: its depth code .* is none"):
        depth_code(marked(**notes), "top")
    with pytest.raises(DataError, match="shift is 'x', not a number"):
        depth_code(marked(shift="x"), "top")
    with pytest.raises(DataError, match="not marked as depth"):
        depth_code({"dtype": "video"}, "top")


def test_units_of_images():
    feature = {"dtype": "image", "info": {"depth_unit": "mm"}}
    assert metres_per_unit(feature, None, "top") == 0.001
    assert metres_per_unit({"info": {"depth_unit": "m"}}, None, "top") == 1.0
    assert metres_per_unit(feature, 0.0001, "top") == 0.0001
    with pytest.raises(DataError, match="unit of its depth images is not known; give depth_scale"):
        metres_per_unit({"info": {"depth_unit": "inch"}}, None, "top")
