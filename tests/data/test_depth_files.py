"""Depth as other programs write it, all through one door."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.decode import decode_view
from samepoint.data.depth_files import decode_depth, depth_size, depth_values
from samepoint.data.recording import DepthFile, View
from samepoint.errors import DataError, MissingDependencyError

METRES = np.random.default_rng(0).uniform(0.3, 2.0, (6, 8)).astype(np.float32)


def exr(path, channels):
    file = pytest.importorskip("OpenEXR")
    header = {"compression": file.ZIP_COMPRESSION, "type": file.scanlineimage}
    file.File(header, {name: np.ascontiguousarray(values) for name, values in channels.items()}).write(
        str(path)
    )


@pytest.mark.parametrize(
    "channels",
    [
        {"Z": METRES},
        {"V": METRES},
        {"R": METRES, "G": METRES, "B": METRES},
        {"ViewLayer.Combined.R": METRES * 0, "ViewLayer.Depth.Z": METRES},
        {"A": METRES * 0, "depth": METRES},
    ],
)
def test_exr(tmp_path, channels):
    exr(tmp_path / "d.exr", channels)
    assert depth_size(tmp_path / "d.exr") == (6, 8)
    units, step = decode_depth(DepthFile(tmp_path / "d.exr", 1.0))
    assert np.abs(units * step - METRES).max() <= 0.51e-4


def test_exr_that_is_no_depth(tmp_path, monkeypatch):
    exr(tmp_path / "d.exr", {"R": METRES, "G": METRES * 2, "B": METRES})
    with pytest.raises(DataError, match=r"d\.exr: holds a picture in colours"):
        depth_values(tmp_path / "d.exr")
    exr(tmp_path / "n.exr", {"X": METRES, "W": METRES})
    with pytest.raises(DataError, match=r"n\.exr: holds .*, none of them called depth"):
        depth_values(tmp_path / "n.exr")
    (tmp_path / "n.exr").write_bytes((tmp_path / "n.exr").read_bytes()[:100])
    with pytest.raises(DataError, match=r"n\.exr: this depth image is damaged"):
        depth_values(tmp_path / "n.exr")
    with pytest.raises(DataError, match=r"none\.exr: this depth image does not exist"):
        depth_values(tmp_path / "none.exr")
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(
        MissingDependencyError, match=r"d\.exr: reading EXR depth needs .*samepoint\[formats\]"
    ):
        depth_values(tmp_path / "d.exr")


def test_npz(tmp_path):
    np.savez_compressed(tmp_path / "one.npz", anything=METRES)
    np.savez(tmp_path / "named.npz", K=np.eye(3), depth=METRES[..., None])
    for name in ("one", "named"):
        assert np.array_equal(depth_values(tmp_path / f"{name}.npz"), METRES)
        assert depth_size(tmp_path / f"{name}.npz") == (6, 8)
    np.savez(tmp_path / "two.npz", a=METRES, b=METRES)
    with pytest.raises(DataError, match=r"two\.npz: holds a, b, none of them called depth; name one"):
        depth_values(tmp_path / "two.npz")
    np.savez(tmp_path / "object.npz", np.array([{}], object))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "one.npz").read_bytes()[:90])
    for name in ("object", "cut"):
        with pytest.raises(DataError, match=rf"{name}\.npz: is not a readable array"):
            depth_values(tmp_path / f"{name}.npz")


@pytest.mark.parametrize("order", ["<", ">"])
def test_pfm(tmp_path, order):
    head = f"Pf\n8 6\n{-1.0 if order == '<' else 1.0}\n".encode()
    (tmp_path / "d.pfm").write_bytes(head + METRES[::-1].astype(f"{order}f4").tobytes())
    assert np.array_equal(depth_values(tmp_path / "d.pfm"), METRES)
    (tmp_path / "d.pfm").write_bytes(head + b"1234")
    with pytest.raises(DataError, match=r"d\.pfm: this depth image is damaged"):
        depth_values(tmp_path / "d.pfm")


def test_what_renderers_write_for_nothing_does_not_coarsen_the_rest(tmp_path):
    np.save(tmp_path / "d.npy", np.array([[1e10, 0.12344, 65504.0, np.inf]], np.float32))
    units, step = decode_depth(DepthFile(tmp_path / "d.npy", 1.0))
    assert (units.tolist(), step) == ([[0, 1234, 0, 0]], 1e-4)


def test_a_value_that_means_unknown(tmp_path):
    Image.fromarray(np.array([[65535, 700]], np.uint16)).save(tmp_path / "d.png")
    assert decode_depth(DepthFile(tmp_path / "d.png", 0.001, unknown=65535))[0].tolist() == [[0, 700]]


def test_depth_of_another_size_with_its_own_camera_matrix(tmp_path):
    """The nearest pixel of the depth image on the same ray."""
    Image.new("RGB", (16, 12)).save(tmp_path / "a.png")
    Image.fromarray(np.arange(1, 49, dtype=np.uint16).reshape(6, 8)).save(tmp_path / "d.png")
    wide = torch.tensor([[20.0, 0, 7.5], [0, 20, 5.5], [0, 0, 1]])
    half = torch.tensor([[10.0, 0, 3.5], [0, 10, 2.5], [0, 0, 1]])
    view = View("cam0", tmp_path / "a.png", wide, depth=DepthFile(tmp_path / "d.png", 0.001, intrinsics=half))
    depth = decode_view(view).depth
    assert depth.shape == (12, 16)
    for v in range(12):
        for u in range(16):
            at = round((v - 5.5) / 2 + 2.5), round((u - 7.5) / 2 + 3.5)
            assert depth[v, u] == at[0] * 8 + at[1] + 1
    narrow = half.clone()
    narrow[0, 0] = 20  # its field is half as wide
    outside = View("cam0", tmp_path / "a.png", wide, depth=DepthFile(tmp_path / "d.png", 0.001, None, narrow))
    known = decode_view(outside).depth > 0
    assert known[:, 4:12].all()
    assert not known[:, :3].any()
    assert not known[:, 13:].any()


@pytest.mark.parametrize("greatest", [200, 5000, 65535])
def test_pgm_as_written(tmp_path, greatest):
    values = np.arange(48).reshape(6, 8) * 4
    data = values.astype("u1" if greatest < 256 else ">u2").tobytes()
    (tmp_path / "d.pgm").write_bytes(f"P5\n# made by hand\n8 6\n{greatest}\n".encode() + data)
    assert np.array_equal(depth_values(tmp_path / "d.pgm"), values)
    assert decode_depth(DepthFile(tmp_path / "d.pgm", 0.001))[0].dtype == np.uint16
    (tmp_path / "d.pgm").write_bytes(b"P5\n8 6\n5000\n123")
    with pytest.raises(DataError, match=r"d\.pgm: this depth image is damaged"):
        depth_values(tmp_path / "d.pgm")
