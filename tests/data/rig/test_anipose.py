import re
import tomllib

import cv2
import numpy as np
import pytest
import roma
import torch

from samepoint.data.rig.anipose import read_calibration, write_calibration
from samepoint.data.rig.camera import Camera
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens

CAMERA = """
[cam_0]
name = "left"
size = [1280, 960]
matrix = [[900.0, 0.0, 639.5], [0.0, 905.0, 479.5], [0.0, 0.0, 1.0]]
distortions = [0.1, -0.2, 0.001, 0.002, 0.03]
rotation = [0.1, -0.2, 0.3]
translation = [10.0, 20.0, 1000.0]
"""
METADATA = "\n[metadata]\nadjusted = false\nerror = 0.4\nmetres_per_unit = 0.001\n"


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "calibration.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_of_anipose(file):
    right = CAMERA.replace("cam_0", "cam_1").replace("left", "right").replace("0.03]", "0.03, 1, 1, 1]")
    other = '\n[board]\nsquares = [7, 5]\n[plain]\nname="x"\n'
    cameras = read_calibration(file(CAMERA + "extra = 1\nfisheye = false\n" + right + METADATA + other))
    assert list(cameras) == ["left", "right"]
    camera = cameras["left"]
    assert camera.name == "left"
    assert camera.size == (960, 1280)
    assert camera.intrinsics.tolist() == [[900, 0, 639.5], [0, 905, 479.5], [0, 0, 1]]
    assert camera.lens == Lens("brown", (0.1, -0.2, 0.001, 0.002, 0.03))
    assert len(cameras["right"].lens.coefficients) == 8


def test_convention_the_file_takes_the_world_into_the_camera(file):
    """A point of the world, in the file's unit, projected as Anipose does (OpenCV), and as we do."""
    point = np.array([[30.0, -20.0, 200.0]])
    k = np.array([[900.0, 0, 639.5], [0, 905, 479.5], [0, 0, 1]])
    turn, move = np.array([0.1, -0.2, 0.3]), np.array([10.0, 20, 1000])
    wanted = cv2.projectPoints(point, turn, move, k, np.zeros(5))[0].ravel()
    camera = read_calibration(file(CAMERA + METADATA))["left"]
    world = torch.tensor([*(point[0] * 0.001), 1.0]).double()
    seen = camera.intrinsics.double() @ (torch.linalg.inv(camera.world_from_camera.double()) @ world)[:3]
    np.testing.assert_allclose((seen[:2] / seen[2]).numpy(), wanted, atol=1e-3)


def test_no_metadata_is_metres_and_any_table_with_a_matrix_is_a_camera(file):
    camera = read_calibration(file(CAMERA.replace("cam_0", "left")))["left"]
    centre = torch.linalg.norm(camera.world_from_camera[:3, 3])
    assert float(centre) == pytest.approx(np.linalg.norm([10, 20, 1000]))


def test_lenses(file):
    def lens(line):
        text = CAMERA.replace("distortions = [0.1, -0.2, 0.001, 0.002, 0.03]", line)
        return read_calibration(file(text))["left"].lens

    assert lens("distortions = [0.0, 0, 0, 0, 0]") is None
    assert lens("distortions = [0.1, 0, 0, 0]") == Lens("brown", (0.1, 0.0, 0.0, 0.0))
    assert lens("distortions = [0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]") == Lens("brown", (0.1, *[0.0] * 7))
    assert lens("distortions = [0.1, 0, 0, 0, 5]\nfisheye = true") == Lens("fisheye", (0.1, 0.0, 0.0, 0.0))
    assert lens("distortions = [0, 0, 0, 0]\nfisheye = true") == Lens("fisheye", (0.0,) * 4)


def some_cameras():
    generator = torch.Generator().manual_seed(0)
    lenses = [
        None,
        Lens("fisheye", (0.0,) * 4),
        Lens("brown", (0.1, 0.2, 1e-9, 4.0)),
        Lens("brown", (-0.1,) * 8),
    ]
    turns = [*torch.randn(10, 3, generator=generator) * 2, torch.zeros(3), torch.tensor([np.pi, 0, 0])]
    for i, turn in enumerate(turns):
        pose = torch.eye(4)
        pose[:3, :3] = roma.rotvec_to_rotmat(turn.double()).float()
        pose[:3, 3] = torch.randn(3, generator=generator)
        k = torch.tensor([[500.1 + i, 0, 320.3], [0, 501, 240.7], [0, 0, 1]])
        yield Camera(f'cam "{i}" é', (480, 640), k, pose, lenses[i % 4])


@pytest.mark.parametrize("unit", [1.0, 0.001, 0.0254])
def test_a_round_trip(tmp_path, unit):
    cameras = {camera.name: camera for camera in some_cameras()}
    write_calibration(tmp_path / "new" / "a.toml", cameras, unit)
    read = read_calibration(tmp_path / "new" / "a.toml")
    assert list(read) == list(cameras)
    for name, camera in cameras.items():
        assert (read[name].size, read[name].lens) == (camera.size, camera.lens)
        assert torch.equal(read[name].intrinsics, camera.intrinsics)
        torch.testing.assert_close(read[name].world_from_camera, camera.world_from_camera, atol=1e-6, rtol=0)
    tables = tomllib.loads((tmp_path / "new" / "a.toml").read_text())
    assert tables["metadata"] == {"metres_per_unit": unit}


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('name = "left"\n', "", r"toml, cam_0: has no name"),
        ("size = [1280, 960]\n", "", r"toml, cam_0 \(left\): has no size"),
        ("rotation =", "turn =", r"cam_0 \(left\): has no rotation; write"),
        ("1280, 960", "1280", r"cam_0 \(left\), size: expected 2 numbers"),
        ("1280, 960", "0, 960", "size: an image of 0x960 pixels is none; write width, height"),
        ("1280, 960", "1280.5, 960", "an image of 1280.5x960"),
        ("1280, 960", "400, 300", r"principal point \(639.5, 479.5\) lies far outside the image of 400x300"),
        ("639.5", "nan", "matrix: the camera matrix .* is not one"),
        ("[900.0, 0.0, 639.5], ", "", "matrix: expected 9 numbers"),
        ("900.0", "-900.0", "fx is -900: x points left"),
        ("900.0, 0.0", "900.0, 1.0", "has skew"),
        ("0.1, -0.2, 0.001, 0.002, 0.03", "0.1, 0.2", "distortions: 2 lens coefficients, not 4, 5 or 8;"),
        ("0.03]", "0.03, 1, 1, 1, 1, 1, 1, 1]", "12 lens coefficients, .*thin prisms"),
        ("0.03]", "inf]", "expected 4, 5 or 8 finite lens coefficients"),
        ("0.03]", '"much"]', "expected 4, 5 or 8 finite lens coefficients"),
        ("rotation = [0.1,", "rotation = [", "rotation: expected 3 numbers"),
        ("rotation = [0.1,", "rotation = [nan,", "not finite"),
        ("10.0, 20.0", "10.0, inf", "not finite"),
        ("10.0, 20.0", "[10.0], 20.0", "translation: expected 3 numbers"),
        ('"left"', '"a/b"', "the camera name 'a/b' cannot be a folder's"),
        ('"left"', '""', "cannot be a folder's"),
        ("[cam_0]", "[cam_0", "is not valid TOML .*; write"),
        ("0.001\n", "-1\n", "metres_per_unit is -1, not a number above 0; write 1"),
        ("0.001\n", "nan\n", "metres_per_unit is nan"),
        ("0.001\n", "true\n", "metres_per_unit is True"),
        ("adjusted", 'fisheye = "yes"\nadjusted', None),
        ("rotation", 'fisheye = "yes"\nrotation', "fisheye is 'yes'; write true or false"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(file, old, new, line):
    text = (CAMERA + METADATA).replace(old, new, 1)
    if line is None:
        assert read_calibration(file(text))
        return
    with pytest.raises(DataError, match=line) as error:
        read_calibration(file(text))
    assert "calibration.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_none(tmp_path, file):
    with pytest.raises(DataError, match="does not exist"):
        read_calibration(tmp_path / "none.toml")
    with pytest.raises(DataError, match="is a folder, not a file"):
        read_calibration(tmp_path)
    for text in ("", METADATA, "a = 1"):
        with pytest.raises(DataError, match="holds no camera; it has a table"):
            read_calibration(file(text))
    with pytest.raises(DataError, match="two cameras are called 'left'"):
        read_calibration(file(CAMERA + CAMERA.replace("cam_0", "cam_1")))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as text"):
        read_calibration(tmp_path / "binary.toml")


def test_nothing_is_written_that_cannot_be_read(tmp_path):
    camera = next(some_cameras())
    wrong = Camera(camera.name, (2, 2), camera.intrinsics, camera.world_from_camera)
    with pytest.raises(DataError, match=re.escape("lies far outside the image of 2x2")):
        write_calibration(tmp_path / "a.toml", {"a": wrong})
    wrong = Camera("a\x7f", camera.size, camera.intrinsics, camera.world_from_camera)
    with pytest.raises(DataError, match="cannot be a folder's"):
        write_calibration(tmp_path / "a.toml", {"a": wrong})
    wrong = Camera("a", camera.size, camera.intrinsics, torch.diag(torch.tensor([2.0, 2, 2, 1])))
    with pytest.raises(DataError, match=r"cam_0 \(a\): the rotation of the pose is not orthonormal"):
        write_calibration(tmp_path / "a.toml", {"a": wrong})
    with pytest.raises(DataError, match="metres_per_unit"):
        write_calibration(tmp_path / "a.toml", {"a": camera}, 0.0)
    assert not list(tmp_path.iterdir())
