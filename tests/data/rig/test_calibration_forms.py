"""Calibrations as other programs write them: the same three cameras, whatever the form."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from tests.data.rig.synthetic import make_cameras

from samepoint.data.rig.anipose import read_calibration, write_calibration
from samepoint.data.rig.forms import read_form
from samepoint.errors import DataError

SIZE = (64, 64)


@pytest.fixture
def cameras():
    return make_cameras(np.random.default_rng(0), 3)


def numbers(camera):
    """K, camera from world."""
    return camera.intrinsics.double().numpy(), np.linalg.inv(camera.world_from_camera.double().numpy())


def write_storage(path, **values):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in values.items():
        storage.write(key, value)
    storage.release()


def same(found, cameras, names=None):
    assert list(found) == list(names or cameras)
    for one, other in zip(found.values(), cameras.values()):
        torch.testing.assert_close(one.intrinsics, other.intrinsics)
        torch.testing.assert_close(one.world_from_camera, other.world_from_camera, atol=1e-5, rtol=0)
        assert one.size == SIZE


def test_openpose(cameras, tmp_path):
    for name, camera in cameras.items():
        k, pose = numbers(camera)
        write_storage(
            tmp_path / f"{name}.xml", CameraMatrix=pose[:3], Intrinsics=k, Distortion=np.zeros((8, 1))
        )
    for form in ("openpose", "opencv"):
        same(read_form(form, tmp_path, size=SIZE), {n: cameras[n] for n in sorted(cameras)})
    with pytest.raises(DataError, match="does not say how large the images are; give --size"):
        read_form("openpose", tmp_path)


def test_multical(cameras, tmp_path):
    content = {"cameras": {}, "camera_poses": {}}
    for i, (name, camera) in enumerate(cameras.items()):
        k, pose = numbers(camera)
        content["cameras"][name] = {
            "model": "standard",
            "image_size": [64, 64],
            "K": k.tolist(),
            "dist": [[0.0] * 5],
        }
        key = f"{name}_to_{next(iter(cameras))}" if i else name
        content["camera_poses"][key] = {"R": pose[:3, :3].tolist(), "T": pose[:3, 3].tolist()}
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps(content))
    for form in ("multical", "opencv"):
        same(read_form(form, file), cameras)
    content["cameras"]["left"]["model"] = "tilted"
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="camera left: the lens model 'tilted' is not known"):
        read_form("multical", file)


@pytest.mark.parametrize("listed", [False, True])
def test_json_with_a_mapping_a_camera(cameras, tmp_path, listed):
    tables = {}
    for name, camera in cameras.items():
        k, pose = numbers(camera)
        table = {"K": k.tolist(), "distCoef": [0.1, 0, 0, 0, 0], "R": pose[:3, :3].tolist()}
        tables[name] = {**table, "t": (1000 * pose[:3, 3]).reshape(3, 1).tolist(), "resolution": [64, 64]}
    content = {"cameras": [{"name": name, **table} for name, table in tables.items()]} if listed else tables
    (tmp_path / "cameras.json").write_text(json.dumps(content))
    found = read_form("opencv", tmp_path / "cameras.json", metres_per_unit=0.001)
    same(found, cameras)
    assert found["left"].lens.coefficients[0] == 0.1


@pytest.mark.parametrize(
    ("matrix", "lens", "pose", "inverse"),
    [
        ("Camera_Matrix", "Distortion_Coefficients", "extrinsics", False),
        ("mtx", "dist", "w2c", False),
        ("intrinsics", "distCoeffs", "c2w", True),
        ("A", "D", "world_from_camera", True),
        ("cam_matrix", "distortion_coeffs", "T_cw", False),
    ],
)
def test_other_names_of_the_same_numbers(cameras, tmp_path, matrix, lens, pose, inverse):
    for name, camera in cameras.items():
        k, from_world = numbers(camera)
        values = {
            matrix: k,
            lens: np.zeros((1, 5)),
            pose: np.linalg.inv(from_world) if inverse else from_world,
        }
        write_storage(tmp_path / f"{name}.yml", **values, fisheye=0)
    same(read_form("opencv", tmp_path, size=SIZE), {n: cameras[n] for n in sorted(cameras)})


@pytest.mark.parametrize(
    "flag", ["fisheye: 1", 'camera_model: "fisheye"', "distortion_model: equidistant", "is_fisheye: 1"]
)
def test_flags_of_fisheye_lenses(tmp_path, flag):
    file = tmp_path / "a.yaml"
    file.write_text(
        f"image_width: 64\nimage_height: 64\nK: [80, 0, 32, 0, 80, 32, 0, 0, 1]\nD: [0.1, 0.2, 0.3, 0.4]\n{flag}\n"
        "R: [1, 0, 0, 0, 1, 0, 0, 0, 1]\nT: [0, 0, 1]\n"
    )
    assert read_form("opencv", file)["a"].lens.model == "fisheye"


def test_lists_without_commas_and_sensors_of_euroc(tmp_path):
    (tmp_path / "ros.yaml").write_text(
        "image_width: 64\nimage_height: 64\ncamera_name: narrow\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
        "  data: [80.5 0 32 0 80.5 32 0 0 1]\ndistortion_model: plumb_bob\ndistortion_coefficients:\n  rows: 1\n"
        "  cols: 5\n  data: [-0.03 0.02 1e-3 -2e-3 0]\nR: [1 0 0 0 1 0 0 0 1]\nT: [0 0 -1]\n"
    )
    found = read_form("opencv", tmp_path / "ros.yaml")["narrow"]
    assert found.lens.coefficients == pytest.approx((-0.03, 0.02, 1e-3, -2e-3, 0))
    assert found.world_from_camera[2, 3] == 1
    for k, name in enumerate(("cam0", "cam1")):
        (tmp_path / "mav" / name).mkdir(parents=True)
        (tmp_path / "mav" / name / "sensor.yaml").write_text(
            "sensor_type: camera\nT_BS:\n  cols: 4\n  rows: 4\n"
            f"  data: [1, 0, 0, {k}, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]\n"
            "resolution: [64, 64]\ncamera_model: pinhole\nintrinsics: [80, 81, 32, 33]\n"
            "distortion_model: radial-tangential\ndistortion_coefficients: [-0.2, 0.1, 0, 0]\n"
        )
    found = read_form("opencv", tmp_path / "mav")
    assert list(found) == ["cam0", "cam1"]
    assert found["cam1"].world_from_camera[:3, 3].tolist() == [1, 0, 0]
    assert found["cam1"].intrinsics.diagonal().tolist() == [80, 81, 1]


def test_kalibr_by_another_name_of_its_lens(tmp_path):
    text = (
        "cam0:\n  camera_model: pinhole\n  intrinsics: [80, 80, 32, 32]\n  distortion_model: radial-tangential\n"
        "  distortion_coeffs: [0.1, 0, 0, 0]\n  resolution: [64, 64]\n"
    )
    (tmp_path / "chain.yaml").write_text(text)
    pytest.importorskip("yaml")
    assert read_form("kalibr", tmp_path / "chain.yaml")["cam0"].lens.model == "brown"


@pytest.mark.parametrize(
    ("form", "name", "text", "line"),
    [
        (
            "opencv",
            "a.yaml",
            "cam0:\n  camera_model: pinhole\n",
            "is not in the form opencv; give kalibr; read are .*Anipose",
        ),
        ("kalibr", "a.yaml", "K: [1]\n", "is not in the form kalibr; give opencv"),
        ("kalibr", "a.toml", "[cam_0]\n", "give anipose"),
        ("anipose", "a.json", "{}", "give opencv"),
        ("opencv", "a.mat", "x", "is no calibration in a form that is known; .*multical"),
        ("colmap", "a.json", "{}", "form 'colmap' is unknown; .*openpose, multical; read are"),
        ("multical", "a.json", "{", "is not valid JSON"),
        ("opencv", "a.json", '{"K": [[1, 2, "x"]]}', "holds no camera"),
    ],
)
def test_another_form_is_said_with_all_that_are_read(tmp_path, form, name, text, line):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=line):
        read_form(form, tmp_path / name)


def test_metadata_of_anipose(cameras, tmp_path):
    """Other programs' words for the unit; what else stands there does not matter."""
    file = tmp_path / "calibration.toml"
    write_calibration(file, cameras, 0.001)
    text = file.read_text()
    for metadata in ('[metadata]\nunits = "mm"\nerror = 0.3', '[metadata]\nunit = "MM"\nadjusted = true'):
        file.write_text(text.replace("[metadata]\nmetres_per_unit = 0.001", metadata))
        same(read_calibration(file), cameras)
    file.write_text('metadata = "by me"\n' + text.split("[metadata]")[0])
    found = read_calibration(file, 0.001)
    same(found, cameras)
    file.write_text(text.replace("size = [64, 64]\n", ""))
    with pytest.raises(DataError, match=r"has no size; samepoint data calibration anipose FILE --size"):
        read_calibration(file)
    same(read_form("anipose", file, size=SIZE), cameras)
