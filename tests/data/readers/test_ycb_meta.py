"""YCB-Video's meta files: camera, unit of depth and poses of the objects of each image."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.importers import import_dataset
from samepoint.data.open import open_dataset
from samepoint.data.readers.mat_files import read_mat
from samepoint.errors import DataError

SIZE = (12, 16)
K = np.array([[20.0, 0, 7.5], [0, 21, 5.5], [0, 0, 1]])


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name, values):
    """An array as MATLAB writes it: double, or int8 in the short form of a tag."""
    flags = struct.pack("<II", 6 if values.dtype == np.float64 else 8, 0)
    parts = element(6, flags) + element(5, np.array(values.shape, "<i4").tobytes())
    parts += (
        struct.pack("<HH", 1, len(name)) + name.encode().ljust(4)
        if len(name) <= 4
        else element(1, name.encode())
    )
    data = values.tobytes(order="F")
    parts += struct.pack("<HH", 1, len(data)) + data.ljust(4) if len(data) <= 4 else element(9, data)
    return element(14, parts)


def write_mat(path, arrays, compressed=True):
    content = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x100) + b"IM"
    for name, values in arrays.items():
        whole = matrix(name, values)
        packed = zlib.compress(whole)
        content += struct.pack("<II", 15, len(packed)) + packed if compressed else whole
    path.write_bytes(content)


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_of_a_mat_file(tmp_path, compressed):
    arrays = {"a": np.arange(24.0).reshape(2, 3, 4), "tiny": np.array([[3]], np.int8), "long_name": np.eye(2)}
    write_mat(tmp_path / "m.mat", arrays, compressed)
    found = read_mat(tmp_path / "m.mat", ("a", "tiny", "gone"))
    assert set(found) == {"a", "tiny"}
    assert all(np.array_equal(found[name], arrays[name]) for name in found)
    (tmp_path / "m.mat").write_bytes((tmp_path / "m.mat").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"m\.mat: is damaged or truncated"):
        read_mat(tmp_path / "m.mat", ("a", "tiny", "long_name"))
    (tmp_path / "m.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(DataError, match=r"m\.mat: is of version 7\.3 .*-v7"):
        read_mat(tmp_path / "m.mat", ("a",))


def motion(seed):
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(rng.normal(size=3))[0]
    pose[:3, 3] = rng.normal(size=3)
    return pose


def record(root, *, inverse, names=("000001", "000002", "000003"), moved=False):
    """World poses of cameras and objects, written as YCB-Video writes them."""
    worlds, objects = {}, {}
    for k, name in enumerate(names):
        cv2.imwrite(str(root / f"{name}-color.png"), np.full((*SIZE, 3), k, np.uint8))
        cv2.imwrite(str(root / f"{name}-depth.png"), np.full(SIZE, 7000, np.uint16))
        labels = np.zeros(SIZE, np.uint8)
        labels[2:5], labels[7:9] = 3, 15
        cv2.imwrite(str(root / f"{name}-label.png"), labels)
        worlds[name] = motion(k)
        objects[name] = [np.linalg.inv(worlds[name]) @ motion(100 + j + k * moved) for j in (3, 15)]
        camera = np.linalg.inv(worlds[name]) if inverse else worlds[name]
        write_mat(
            root / f"{name}-meta.mat",
            {
                "cls_indexes": np.array([[3.0], [15.0]]),
                "factor_depth": np.array([[10000.0]]),
                "intrinsic_matrix": K,
                "poses": np.stack([pose[:3] for pose in objects[name]], axis=2),
                "rotation_translation_matrix": camera[:3],
                "vertmap": np.zeros((12, 16)),
            },
        )
    return worlds, objects


@pytest.mark.parametrize("inverse", [False, True])
def test_cameras_depth_and_objects(tmp_path, inverse):
    worlds, objects = record(tmp_path, inverse=inverse)
    data = open_dataset(tmp_path)
    assert data.recordings[0].mode == "scan"
    for view, name in zip(data.views(), worlds, strict=True):
        assert view.intrinsics.tolist() == K.tolist()
        assert view.depth.metres_per_unit == pytest.approx(1e-4)
        torch.testing.assert_close(
            view.world_from_camera.double(), torch.from_numpy(worlds[name]), atol=1e-5, rtol=1e-5
        )
        for placement, pose in zip(view.placements, objects[name], strict=True):
            torch.testing.assert_close(
                placement.camera_from_object.double(), torch.from_numpy(pose), atol=1e-5, rtol=1e-5
            )
    assert [p.object_id for p in data.views()[0].placements] == list(data.objects) == [3, 15]
    assert data.notes == ("masks hold the numbers 3, 15: an object each",)
    again = import_dataset("frames", tmp_path, tmp_path.parent / f"out{inverse}")
    assert [len(view.placements) for view in again.views()] == [2, 2, 2]


def test_objects_that_move_do_not_tell_how_cameras_are_written(tmp_path):
    record(tmp_path, inverse=False, moved=True)
    data = open_dataset(tmp_path)
    assert all(view.world_from_camera is None for view in data.views())
    assert any("which way round" in note for note in data.notes)


def test_a_meta_file_that_lacks_its_camera(tmp_path):
    record(tmp_path, inverse=False)
    write_mat(tmp_path / "000002-meta.mat", {"poses": np.zeros((3, 4, 1))})
    with pytest.raises(DataError, match=r"000002-meta\.mat: lacks intrinsic_matrix"):
        open_dataset(tmp_path)
