import json

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.pairs import Pair, read_pairs, write_pairs
from samepoint.errors import DataError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    Image.fromarray(np.zeros((10, 40, 3), np.uint8)).save(tmp_path / "images" / "b.png")
    return tmp_path


def write(folder, **changes):
    entry = {
        "image_a": "images/a.png",
        "image_b": "images/b.png",
        "uv_a": [[1, 2], [29.4, 19]],
        "uv_b": [[3.5, 4], [39, 9]],
        **changes,
    }
    path = folder / "pairs.json"
    path.write_text(json.dumps({"pairs": [entry, {k: v for k, v in entry.items() if v is not ...}]}))
    return path


def test_minimal(folder):
    file = read_pairs(write(folder))
    assert file.root == folder
    pair = file.pairs[0]
    assert len(pair) == 2
    assert pair.image_b == folder / "images" / "b.png"
    torch.testing.assert_close(pair.uv_b, torch.tensor([[3.5, 4], [39, 9]]))
    optional = (pair.visible_b, pair.object, pair.region, pair.alternatives_b)
    assert optional == (None,) * 4
    assert (pair.scale_ratio, pair.depth_b, pair.intrinsics_b) == (None,) * 3


def test_round_trip(folder):
    nan = float("nan")
    pair = Pair(
        folder / "images" / "a.png",
        folder / "images" / "b.png",
        torch.tensor([[1.0, 2.0], [3.25, 4.5]]),
        torch.tensor([[5.0, 6.0], [nan, nan]]),
        visible_b=torch.tensor([True, False]),
        object=("mug", 3),
        region=("inside", "boundary"),
        alternatives_b=(torch.tensor([[7.0, 8.0], [9.0, 9.0]]), torch.zeros(0, 2)),
        scale_ratio=torch.tensor([0.5, 0.5]),
        depth_b=torch.tensor([1.25, nan]),
        intrinsics_b=torch.tensor([[50.0, 0, 19.5], [0, 50, 4.5], [0, 0, 1]]),
    )
    (folder / "sub").mkdir()
    write_pairs(folder / "sub" / "p.json", [pair])
    assert json.loads((folder / "sub" / "p.json").read_text())["pairs"][0]["image_a"] == "../images/a.png"
    (back,) = read_pairs(folder / "sub" / "p.json").pairs
    assert back.image_a.samefile(pair.image_a)
    for name in ("uv_a", "uv_b", "visible_b", "scale_ratio", "depth_b", "intrinsics_b"):
        torch.testing.assert_close(getattr(back, name), getattr(pair, name), equal_nan=True)
    assert (back.object, back.region) == (pair.object, pair.region)
    for got, want in zip(back.alternatives_b, pair.alternatives_b, strict=True):
        torch.testing.assert_close(got, want)


def test_hidden_points_may_be_outside_or_null(folder):
    path = write(folder, uv_b=[[-100, 5000], None], visible_b=[False, False])
    assert torch.isnan(read_pairs(path).pairs[0].uv_b[1]).all()


def test_convention_the_image_ends_half_a_pixel_beyond_the_last_centre(folder):
    read_pairs(write(folder, uv_b=[[-0.5, -0.5], [39.4, 9.4]]))
    for point in ([-0.6, 0], [39.6, 0], [0, 9.6]):
        with pytest.raises(DataError, match=r"pair 0, uv_b: point 1 .* outside the 40x10 image"):
            read_pairs(write(folder, uv_b=[[0, 0], point]))


def test_scalars_count_for_every_point(folder):
    pair = read_pairs(write(folder, scale_ratio=2, depth_b=None, K_b=[50, 0, 1, 0, 50, 1, 0, 0, 1])).pairs[0]
    assert pair.scale_ratio.tolist() == [2, 2]
    assert pair.depth_b is None
    assert pair.intrinsics_b.shape == (3, 3)


def test_empty(folder):
    assert len(read_pairs(write(folder, uv_a=[], uv_b=[], visible_b=[])).pairs[0]) == 0
    (folder / "none.json").write_text('{"pairs": []}')
    assert read_pairs(folder / "none.json").pairs == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_a": "images/c.png"}, r"pair 0: the image images/c\.png does not exist; paths are relative"),
        ({"image_a": 3}, "is not an image path"),
        ({"uv_b": [[1, 2]]}, '"uv_b" has 1 entries but "uv_a" 2'),
        ({"uv_a": None}, '"uv_b" has 2 entries but "uv_a" 0'),
        ({"visible_b": [True]}, '"visible_b" has 1 entries'),
        ({"uv_a": [[1, 2], [float("nan"), 2]]}, "uv_a: point 1 is .* not finite"),
        ({"uv_b": [[1, 2], None]}, "uv_b: point 1"),
        ({"uv_b": [[1, 2], [1, 2, 3]]}, r"uv_b: point 1 is \[1, 2, 3\]"),
        ({"uv_b": [[1, 2], "x"]}, "uv_b: point 1 is 'x'"),
        ({"uv_a": [[30, 2], [1, 2]]}, r"uv_a: point 0 \(30, 2\) lies outside the 30x20 image"),
        ({"region": ["inside", "edge"]}, "region 1 is 'edge'"),
        ({"depth_b": [1]}, "depth_b: has 1 entries for 2 points"),
        ({"depth_b": ["far", 1]}, "no number"),
        ({"K_b": [1, 2]}, "expected 9 numbers"),
        ({"alternatives_b": [[[1, "a"]], []]}, "alternatives_b of point 0"),
    ],
)
def test_bad(folder, changes, message):
    with pytest.raises(DataError, match=message):
        read_pairs(write(folder, **changes))


@pytest.mark.parametrize("content", ["", "[]", '{"pairs": 3}', '{"pairs": [3]}', '{"pairs": [{}]}'])
def test_bad_file(tmp_path, content):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(DataError, match=r"p\.json"):
        read_pairs(tmp_path / "p.json")
    with pytest.raises(DataError, match="does not exist"):
        read_pairs(tmp_path / "q.json")


@pytest.mark.parametrize("name", ["rgbd_amazon_box", "homography_graffiti", "lighting_hope"])
def test_real_pairs(realdata, tmp_path, name):
    file = read_pairs(realdata / name / "pairs.json")
    assert len(file.pairs) in (60, 5, 20)
    write_pairs(tmp_path / "again.json", file.pairs)
    again = read_pairs(tmp_path / "again.json")
    torch.testing.assert_close(again.pairs[-1].uv_b, file.pairs[-1].uv_b)
