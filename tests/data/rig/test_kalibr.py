import cv2
import numpy as np
import pytest
import torch

from samepoint.data.rig.kalibr import read_kalibr
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens

pytest.importorskip("yaml")
CHAIN = """cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.28, 0.07, 0.0002, 1.8e-05]
  distortion_model: radtan
  intrinsics: [458.6, 457.3, 367.2, 248.4]
  resolution: [752, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
  - [0.0, -1.0, 0.0, -0.11]
  - [1.0, 0.0, 0.0, 0.01]
  - [0.0, 0.0, 1.0, 0.02]
  - [0.0, 0.0, 0.0, 1.0]
  cam_overlaps: [0]
  camera_model: pinhole
  distortion_coeffs: [0.01, 0.02, 0.03, 0.04]
  distortion_model: equidistant
  intrinsics: [457.5, 456.1, 379.9, 255.2]
  resolution: [752, 480]
  rostopic: /cam1/image_raw
"""
LINK = np.array([[0, -1, 0, -0.11], [1, 0, 0, 0.01], [0, 0, 1, 0.02], [0, 0, 0, 1.0]])


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "camchain.yaml"
        path.write_text(text)
        return path

    return write


def test_a_chain(file):
    cameras = read_kalibr(file(CHAIN))
    first, second = cameras["cam0"], cameras["cam1"]
    assert first.size == second.size == (480, 752)
    np.testing.assert_allclose(first.intrinsics.numpy(), [[458.6, 0, 367.2], [0, 457.3, 248.4], [0, 0, 1]])
    assert first.lens == Lens("brown", (-0.28, 0.07, 0.0002, 1.8e-05))
    assert second.lens == Lens("fisheye", (0.01, 0.02, 0.03, 0.04))
    assert torch.equal(first.world_from_camera, torch.eye(4))
    np.testing.assert_allclose(second.world_from_camera.numpy() @ LINK, np.eye(4), atol=1e-6)


def test_the_chain_goes_on_and_cam10_comes_after_cam9(file):
    one = CHAIN[CHAIN.index("cam1:") :]
    text = CHAIN + "".join(one.replace("cam1:", f"cam{i}:") for i in (10, *range(2, 10)))
    cameras = read_kalibr(file(text))
    assert list(cameras) == [f"cam{i}" for i in range(11)]
    wanted = np.linalg.inv(np.linalg.matrix_power(LINK, 10))
    np.testing.assert_allclose(cameras["cam10"].world_from_camera.numpy(), wanted, atol=1e-5)


def test_convention_of_the_lenses_is_opencvs(file):
    """A point of cam0's frame lands where OpenCV's models, which Kalibr's are, put it."""
    point = np.array([[0.1, -0.05, 0.6]])
    second = read_kalibr(file(CHAIN))["cam1"]
    k = np.array([[457.5, 0, 379.9], [0, 456.1, 255.2], [0, 0, 1]])
    turn = cv2.Rodrigues(LINK[:3, :3])[0]
    bent = np.array([0.01, 0.02, 0.03, 0.04])
    wanted = cv2.fisheye.projectPoints(point[:, None], turn, LINK[:3, 3], k, bent)[0].ravel()
    camera_from_world = torch.linalg.inv(second.world_from_camera.double()).numpy()
    turn = cv2.Rodrigues(camera_from_world[:3, :3])[0]
    lens = np.array(second.lens.coefficients)
    k = second.intrinsics.double().numpy()
    seen = cv2.fisheye.projectPoints(point[:, None], turn, camera_from_world[:3, 3], k, lens)[0].ravel()
    np.testing.assert_allclose(seen, wanted, atol=1e-3)


def test_no_lens(file):
    text = CHAIN.replace("radtan", "none").replace("[-0.28, 0.07, 0.0002, 1.8e-05]", "[]")
    assert read_kalibr(file(text))["cam0"].lens is None


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "camera_model: pinhole",
            "camera_model: omni",
            "cam0: the camera model 'omni' .* pinhole with radtan",
        ),
        ("  camera_model: pinhole\n", "", "cam0: has no camera_model"),
        ("radtan", "fov", "cam0: the lens model 'fov' is not known; calibrate with pinhole"),
        ("[458.6, ", "[", "cam0, intrinsics: expected 4 numbers"),
        ("458.6", "-1", "cam0, matrix: fx is -1: x points left"),
        ("458.6", ".nan", "cam0, matrix: .* is not one"),
        ("[752, 480]", "[752]", "cam0, size: expected 2 numbers"),
        ("[752, 480]", "[-752, 480]", "cam0, size: an image of -752x480"),
        ("T_cn_cnm1", "T_cam_imu", "cam1: has no T_cn_cnm1"),
        ("-1.0", "-2.0", "cam1, T_cn_cnm1: the rotation of the pose is not orthonormal"),
        ("-0.11", ".inf", "cam1, T_cn_cnm1: .*not finite"),
        ("  - [0.0, 0.0, 0.0, 1.0]\n", "", "cam1, T_cn_cnm1: expected 16 numbers"),
        ("[-0.28, ", "[", "cam0, distortion_coeffs: expected 4 numbers"),
        ("-0.28", ".nan", "finite lens coefficients"),
        ("cam1:", "cam2:", "holds cam0, cam2: the chain from cam0 is broken"),
        ("cam0:", "cam0: 3\ncamera:", "cam0: holds no keys and values"),
        ("cam0:", "[cam0", "is not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(file, old, new, line):
    with pytest.raises(DataError, match=line) as error:
        read_kalibr(file(CHAIN.replace(old, new, 1)))
    assert "camchain.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_none(file, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_kalibr(tmp_path / "none.yaml")
    with pytest.raises(DataError, match="holds no camera; give Kalibr's"):
        read_kalibr(file("imu0:\n  rate: 3\n"))
