import struct

import numpy as np
import pytest
import torch

from samepoint.data.mesh import Mesh, load_mesh, read_ply, write_ply
from samepoint.data.recording import ObjectModel
from samepoint.errors import DataError


@pytest.fixture
def mesh(generator) -> Mesh:
    vertices = torch.rand(6, 3, generator=generator)
    return Mesh(vertices, torch.tensor([[0, 1, 2], [3, 4, 5]]), torch.rand(6, 3, generator=generator))


def test_round_trip_through_millimetres(tmp_path, mesh):
    write_ply(tmp_path / "m.ply", mesh, scale=1000.0)
    back = load_mesh(ObjectModel(1, mesh=tmp_path / "m.ply", metres_per_unit=0.001))
    torch.testing.assert_close(back.vertices, mesh.vertices)
    assert torch.equal(back.faces, mesh.faces)
    assert torch.equal(back.coordinates, mesh.coordinates)


def test_ascii_with_other_properties_and_a_polygon(tmp_path):
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\ncomment by hand\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nproperty uchar red\n"
        "element face 2\nproperty list uchar int vertex_index\nend_header\n"
        "0 0 0 255\n1 0 0 255\n1 1 0 255\n0 1 0.5 255\n4 0 1 2 3\n3 0 1 3\n"
    )
    mesh = read_ply(tmp_path / "a.ply")
    assert mesh.vertices.tolist()[3] == [0, 1, 0.5]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 3]]
    assert mesh.coordinates is None


@pytest.mark.parametrize(("name", "order"), [("little", "<"), ("big", ">")])
@pytest.mark.parametrize("ragged", [False, True])
def test_binary_with_normals(tmp_path, name, order, ragged):
    header = (
        f"ply\nformat binary_{name}_endian 1.0\nelement vertex 4\nproperty double x\nproperty double y\n"
        "property double z\nproperty float nx\nelement face 2\nproperty list uchar uint vertex_indices\n"
        "property short flag\nend_header\n"
    )
    body = b"".join(struct.pack(order + "dddf", i, i + 1, i + 2, 0.5) for i in range(4))
    body += struct.pack(order + "BIIIh", 3, 0, 1, 2, 7)
    body += (
        struct.pack(order + "BIIIIh", 4, 0, 1, 2, 3, 7)
        if ragged
        else struct.pack(order + "BIIIh", 3, 1, 2, 3, 7)
    )
    (tmp_path / "b.ply").write_bytes(header.encode() + body)
    mesh = read_ply(tmp_path / "b.ply")
    assert mesh.vertices.tolist() == [[i, i + 1, i + 2] for i in range(4)]
    assert mesh.faces.tolist() == ([[0, 1, 2], [0, 1, 2], [0, 2, 3]] if ragged else [[0, 1, 2], [1, 2, 3]])


def test_point_cloud(tmp_path, realdata):
    cloud = read_ply(realdata / "don_frame" / "fusion_pointcloud.ply")
    assert len(cloud.vertices) == 141_331
    assert cloud.faces.shape == (0, 3)
    assert np.isfinite(cloud.vertices.numpy()).all()


def test_empty_mesh(tmp_path):
    write_ply(tmp_path / "e.ply", Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64)))
    assert read_ply(tmp_path / "e.ply").vertices.shape == (0, 3)


@pytest.mark.parametrize("cut", [3, 60, -1, -20])
def test_damaged(tmp_path, mesh, cut):
    path = tmp_path / "m.ply"
    write_ply(path, mesh)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"m\.ply: is not a PLY mesh"):
        read_ply(path)


def test_face_beyond_the_vertices(tmp_path, mesh):
    write_ply(tmp_path / "m.ply", Mesh(mesh.vertices, torch.tensor([[0, 1, 6]])))
    with pytest.raises(DataError, match="vertex that does not exist"):
        read_ply(tmp_path / "m.ply")


def test_missing(tmp_path):
    with pytest.raises(DataError, match="this file does not exist"):
        read_ply(tmp_path / "none.ply")
    with pytest.raises(DataError, match="object 4: this object has no mesh"):
        load_mesh(ObjectModel(4))
