import re

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.rig.opencv_yaml import Missing, read_opencv
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens

K = np.array([[900.0, 0, 639.5], [0, 905, 479.5], [0, 0, 1]])
BENT = np.array([[0.1, -0.2, 0.001, 0.002, 0.03]])
TURN = cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0]
MOVE = np.array([[10.0], [20.0], [1000.0]])
SIZED = Missing(size=(960, 1280))
MILLIMETRES = Missing(size=(960, 1280), metres_per_unit=0.001)


def write(path, **values):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in values.items():
        storage.write(name, value)
    storage.release()
    return path


def camera_from_world(camera):
    return torch.linalg.inv(camera.world_from_camera.double()).numpy()


def is_moved(camera, scale=1.0):
    np.testing.assert_allclose(camera_from_world(camera)[:3, :3], TURN, atol=1e-6)
    np.testing.assert_allclose(camera_from_world(camera)[:3, 3:], MOVE * scale, atol=1e-3 * scale)
    return True


@pytest.fixture
def stereo(tmp_path):
    """What OpenCV's stereo calibration writes."""
    other = K * [[1.1], [1.1], [1]]
    write(tmp_path / "intrinsics.yml", M1=K, D1=BENT, M2=other, D2=np.zeros((1, 14)))
    turned = {"R1": np.eye(3), "R2": np.eye(3), "P1": np.eye(3, 4), "P2": np.eye(3, 4), "Q": np.eye(4)}
    write(tmp_path / "extrinsics.yml", R=TURN, T=MOVE, **turned)
    return tmp_path


def test_a_stereo_pair(stereo):
    cameras = read_opencv(stereo, MILLIMETRES)
    assert list(cameras) == ["1", "2"]
    first, second = cameras.values()
    assert first.size == (960, 1280)
    assert first.lens == Lens("brown", tuple(BENT[0].tolist()))
    assert second.lens is None
    assert torch.equal(first.world_from_camera, torch.eye(4))
    assert float(second.intrinsics[0, 0]) == pytest.approx(990)
    assert is_moved(second, 0.001)


def test_a_stereo_pair_lacks_sizes_and_intrinsics_lack_poses(stereo):
    with pytest.raises(DataError, match="camera 1: does not say how large the images are; give --size"):
        read_opencv(stereo)
    with pytest.raises(DataError, match=r"intrinsics.yml, camera 1: has no pose, .*give the folder"):
        read_opencv(stereo / "intrinsics.yml", SIZED)
    with pytest.raises(DataError, match=r"extrinsics.yml: holds no camera; it has camera_matrix"):
        read_opencv(stereo / "extrinsics.yml", SIZED)
    write(stereo / "old.yml", M1=2 * K)
    with pytest.raises(DataError, match=r"old.yml: M1 stands in another file too"):
        read_opencv(stereo, SIZED)


@pytest.mark.parametrize("suffix", [".yml", ".yaml", ".xml", ".json"])
def test_a_file_a_camera(tmp_path, suffix):
    sizes = {"image_width": 1280, "image_height": 960}
    spelt = {"cameraMatrix": K, "distCoeffs": BENT[:, :4], "rvec": np.array([0.1, -0.2, 0.3]), "tvec": MOVE}
    write(tmp_path / f"left{suffix}", camera_matrix=K, distortion_coefficients=BENT, R=TURN, T=MOVE, **sizes)
    write(tmp_path / f"right{suffix}", **spelt, **sizes)
    whole = np.vstack((np.hstack((TURN, MOVE)), [[0, 0, 0, 1]]))
    write(tmp_path / f"top{suffix}", K=K, D=np.zeros(4), extrinsic=whole, fisheye_model=1, **sizes)
    cameras = read_opencv(tmp_path)
    assert list(cameras) == ["left", "right", "top"]
    for camera in cameras.values():
        assert camera.size == (960, 1280)
        np.testing.assert_allclose(camera.intrinsics.numpy(), K)
        assert is_moved(camera)
    lenses = [Lens("brown", tuple(BENT[0].tolist())), Lens("brown", tuple(BENT[0, :4].tolist()))]
    assert [camera.lens for camera in cameras.values()] == [*lenses, Lens("fisheye", (0.0,) * 4)]


def test_keys_that_end_in_the_cameras_name(tmp_path):
    """intri.yml and extri.yml, with a rotation vector R and a matrix Rot."""
    vector = np.array([[0.1], [-0.2], [0.3]])
    intrinsics = {"K_top_A": K, "dist_top_A": BENT, "K_02": K, "dist_02": BENT, "H_02": 960, "W_02": 1280}
    write(tmp_path / "intri.yml", **intrinsics, W_top_A=1280, H_top_A=960)
    write(tmp_path / "extri.yml", R_top_A=vector, Rot_top_A=TURN, T_top_A=MOVE, R_02=vector, T_02=MOVE)
    cameras = read_opencv(tmp_path)
    assert list(cameras) == ["02", "top_A"]
    assert all(is_moved(camera) for camera in cameras.values())


ROS = """image_width: 1280
image_height: 960
camera_name: wrist
camera_matrix:
  rows: 3
  cols: 3
  data: [900, 0, 639.5, 0, 905, 479.5, 0, 0, 1]
distortion_model: MODEL
distortion_coefficients:
  rows: 1
  cols: 4
  data: [0.1, 0.2, 0, 0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
rvec: [0.1, -0.2, 0.3]
tvec: [10, 20, 1000]
"""


def test_a_camera_info_of_ros_with_a_pose(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(ROS.replace("MODEL", "plumb_bob"))
    camera = read_opencv(path)["wrist"]
    assert camera.lens == Lens("brown", (0.1, 0.2, 0.0, 0.0))
    assert is_moved(camera)
    assert read_opencv(path, Missing(fisheye=True))["wrist"].lens == Lens("fisheye", (0.1, 0.2, 0.0, 0.0))
    path.write_text("---\n" + ROS.replace("MODEL", "equidistant"))
    assert read_opencv(path)["wrist"].lens == Lens("fisheye", (0.1, 0.2, 0.0, 0.0))
    path.write_text(ROS.replace("MODEL", "omni"))
    with pytest.raises(DataError, match="lens model 'omni' is not known; known are plumb_bob"):
        read_opencv(path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"distCoeffs": None}, "has no distortion coefficients; write four zeros"),
        ({"R": None}, "has no pose, which takes the world into the camera"),
        ({"T": np.zeros(2)}, "translation: expected 3 numbers"),
        ({"R": np.eye(3) * 2}, "not orthonormal"),
        ({"R": np.full((3, 3), np.nan)}, "not finite"),
        ({"K": -K}, "is not one"),
        ({"distCoeffs": np.zeros(12) + 1}, "12 lens coefficients"),
        ({"image_width": 0}, "an image of 0x960 pixels is none"),
        ({"image_width": 100}, "lies far outside the image of 100x960"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, change, line):
    values = {"K": K, "distCoeffs": BENT, "R": TURN, "T": MOVE, "image_width": 1280, "image_height": 960}
    values |= change
    path = write(tmp_path / "left.yml", **{key: value for key, value in values.items() if value is not None})
    with pytest.raises(DataError, match=line) as error:
        read_opencv(path)
    assert "left.yml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".yml", ".xml", ".json"])
def test_files_that_are_none(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(DataError, match="does not exist"):
        read_opencv(path)
    with pytest.raises(DataError, match="holds no YAML, XML or JSON file"):
        read_opencv(tmp_path)
    whole = write(path, camera_matrix=K, distortion_coefficients=BENT).read_text()
    for content in (whole[: len(whole) // 2].encode(), b"", b"rubbish", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"^{re.escape(str(path))}.*\Z"):  # one line: . is no newline
            read_opencv(path)


def test_a_matrix_of_another_length(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(ROS.replace("MODEL", "plumb_bob").replace(", 0, 0, 1]\nd", ", 0, 0]\nd"))
    with pytest.raises(DataError, match="camera_matrix: the matrix of 3x3 holds 8 numbers"):
        read_opencv(path)
