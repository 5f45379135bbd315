import json

import numpy as np
import pytest

from samepoint.data.readers.lerobot.cameras import SIDE_CAR, read_cameras
from samepoint.data.readers.lerobot.poses import PoseSource
from samepoint.errors import DataError

K = {"fx": 60.0, "fy": 62.0, "cx": 31.5, "cy": 23.5}
EYE = np.eye(4).tolist()


def write(folder, content):
    (folder / SIDE_CAR).write_text(json.dumps(content))


def test_nothing_need_be_known(tmp_path):
    assert read_cameras(tmp_path) == {}
    write(tmp_path, {"top": {}})
    camera = read_cameras(tmp_path)["top"]
    assert (camera.intrinsics, camera.lens, camera.pose, camera.static) == (None, None, PoseSource(), False)


def test_both_forms_of_intrinsics(tmp_path):
    nested = [[60.0, 0, 31.5], [0, 62.0, 23.5], [0, 0, 1]]
    write(tmp_path, {"a": K, "b": {"K": nested}, "c": {"K": np.ravel(nested).tolist()}})
    for camera in read_cameras(tmp_path).values():
        assert camera.intrinsics.tolist() == nested


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"focal": 3}, "the key 'focal' is unknown; choose one of: K, fx"),
        ({"K": [1, 2, 3]}, "expected 9 numbers"),
        ({"K": [0] * 9}, "camera matrix"),
        ({"K": [1] * 9, "fx": 3}, "gives K and fx"),
        ({"fx": 3, "fy": 3}, "lacks cx, cy"),
        ({**K, "fx": "wide"}, "fx is 'wide', not a number"),
        ({**K, "fx": float("nan")}, "fx is nan, not finite"),
        ({**K, "width": 6.5}, "width is 6.5, not a whole number"),
        (
            {**K, "lens": {"model": "kannala", "coefficients": []}},
            "lens model 'kannala' is unknown; choose .*brown",
        ),
        ({**K, "lens": {"model": "fisheye", "coefficients": [1.0]}}, "top: a fisheye lens has 4 finite"),
        ({**K, "lens": {"model": "fisheye", "coefficients": 1}}, "lens coefficients are 1"),
        ({**K, "lens": "brown"}, "lens is 'brown'"),
        ({"lens": {"model": "brown", "coefficients": [0] * 4}}, "without intrinsics"),
        ({"depth_key": "depth"}, "without intrinsics"),
        ({"depth_scale": 0.1}, "depth_scale without depth_key"),
        ({**K, "depth_key": "depth", "depth_scale": 0}, "depth_scale is 0"),
        ({**K, "depth_key": 3}, "depth_key is 3"),
        ({"pose_key": None}, "pose_key is None"),
        ({"world_from_camera": [1, 2]}, "top, world_from_camera: expected 16 numbers"),
        ({"world_from_camera": np.diag([1, 1, -1, 1]).tolist()}, "top, world_from_camera: .*mirrored"),
        ({"world_from_camera": EYE, "pose_key": "pose"}, "gives world_from_camera and pose_key"),
        ({"gripper_from_camera": EYE}, "gives half of a wrist camera's pose"),
        ({"gripper_pose_key": "pose"}, "gives half of a wrist camera's pose"),
        (
            {"pose_key": "pose", "pose_format": "euler"},
            "pose_format 'euler' is unknown; choose one of: matrix, xyz_w",
        ),
        ({"pose_key": "pose", "pose_start": -1}, "pose_start is -1"),
        ({"pose_format": "matrix"}, "without a column"),
        ({"static": "yes"}, "static is 'yes'"),
    ],
)
def test_bad_entries(tmp_path, entry, message):
    write(tmp_path, {"top": entry})
    with pytest.raises(DataError, match=message) as raised:
        read_cameras(tmp_path)
    assert "samepoint_cameras.json, top" in str(raised.value)


def test_bad_files(tmp_path):
    write(tmp_path, [K])
    with pytest.raises(DataError, match="is not a mapping of cameras"):
        read_cameras(tmp_path)
    (tmp_path / SIDE_CAR).write_text("{")
    with pytest.raises(DataError, match="is not valid JSON"):
        read_cameras(tmp_path)
    (tmp_path / "meta").mkdir()
    write(tmp_path / "meta", {})
    with pytest.raises(DataError, match="there is another"):
        read_cameras(tmp_path)


@pytest.mark.parametrize("value", ["pose", [], {"x": 1}, [1.0] * 15, [[1.0, 2.0], [3.0]]])
def test_values_that_are_no_pose(value):
    with pytest.raises(DataError, match=r"table, frame 3: (is not a pose|a pose of format matrix has 16)"):
        PoseSource(column="pose").pose_in(value, "table, frame 3")
