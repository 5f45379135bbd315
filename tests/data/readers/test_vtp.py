import base64
import zlib

import numpy as np
import pytest

from samepoint.data.readers.labelfusion.vtp import read_vtp
from samepoint.errors import DataError

POINTS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0.5], [0, 1, 0.5], [0, 0, 2]], np.float32)
CORNERS = np.array([0, 1, 2, 3, 0, 1, 4], np.int64)
ENDS = np.array([4, 7], np.int64)
TRIANGLES = [[0, 1, 2], [0, 2, 3], [0, 1, 4]]
BLOCK = 16
"""Bytes of a compressed block: the points need several, the last one shorter."""


def encoded(array, *, order="<", word="u4", compressed=False, raw=False, apart=False):
    """An array as VTK writes it: header and data, each in base64 unless raw."""
    data, word = array.astype(array.dtype.newbyteorder(order)).tobytes(), np.dtype(order + word)
    blocks = [zlib.compress(data[i : i + BLOCK]) for i in range(0, len(data), BLOCK)]
    if compressed:
        sizes = [len(blocks), BLOCK, len(data) % BLOCK, *map(len, blocks)]
        parts = [np.array(sizes, word).tobytes(), b"".join(blocks)]
    elif apart:
        parts = [np.array([len(data)], word).tobytes(), data]
    else:
        parts = [np.array([len(data)], word).tobytes() + data]
    return b"".join(parts if raw else map(base64.b64encode, parts))


def element(name, array, form, **attributes):
    kind = {"f4": "Float32", "i8": "Int64", "u1": "UInt8"}[array.dtype.str[1:]]
    extra = "".join(f' {k}="{v}"' for k, v in attributes.items() if k != "text")
    return f'<DataArray type="{kind}" Name="{name}" format="{form}"{extra}>{attributes.get("text", "")}</DataArray>'


def write(path, form, *, order="<", word="u4", compressed=False, raw=False, apart=False):
    colours, appended, elements = np.zeros((5, 3), np.uint8), b"", {}
    arrays = {"RGB": colours, "Points": POINTS, "connectivity": CORNERS, "offsets": ENDS}
    for name, array in arrays.items():
        data = encoded(array, order=order, word=word, compressed=compressed, raw=raw, apart=apart)
        if form == "appended":
            elements[name] = element(name, array, form, offset=len(appended))
            appended += data
        else:
            text = " ".join(map(str, array.ravel())) if form == "ascii" else data.decode()
            elements[name] = element(name, array, form, text=f"\n{text}\n")
    name = {"<": "LittleEndian", ">": "BigEndian"}[order]
    header = '<VTKFile type="PolyData" version="0.1" byte_order="' + name + '"'
    header += ' header_type="UInt64"' if word == "u8" else ""
    header += ' compressor="vtkZLibDataCompressor">' if compressed else ">"
    body = (
        f'<?xml version="1.0"?>\n{header}\n<PolyData><Piece NumberOfPoints="5" NumberOfPolys="2">'
        f"<PointData>{elements['RGB']}</PointData><Points>{elements['Points']}</Points>"
        f"<Polys>{elements['connectivity']}{elements['offsets']}</Polys></Piece></PolyData>\n"
    ).encode()
    if form == "appended":
        kind = b"raw" if raw else b"base64"
        body += b'<AppendedData encoding="' + kind + b'">\n   _' + appended + b"\n</AppendedData>\n"
    path.write_bytes(body + b"</VTKFile>\n")
    return path


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("ascii", {}),
        ("binary", {}),
        ("binary", {"apart": True}),
        ("binary", {"compressed": True, "word": "u8"}),
        ("appended", {"compressed": True}),  # what LabelFusion's VTK wrote
        ("appended", {"raw": True}),
        ("appended", {"raw": True, "compressed": True, "word": "u8", "order": ">"}),
    ],
)
def test_read(tmp_path, form, options):
    mesh = read_vtp(write(tmp_path / "phone.vtp", form, **options))
    assert np.array_equal(mesh.vertices.numpy(), POINTS)
    assert mesh.faces.tolist() == TRIANGLES


def change(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p: p.unlink(), "does not exist; check the path"),
        (lambda p: p.write_bytes(p.read_bytes()[:-400]), "is not a VTP mesh"),
        (lambda p: p.write_bytes(p.read_bytes()[:60]), "is not a VTP mesh"),
        (lambda p: p.write_bytes(b"solid phone"), "is not a VTP mesh"),
        (lambda p: change(p, b"PolyData", b"ImageData"), "no VTKFile of type PolyData"),
        (lambda p: change(p, b"vtkZLib", b"vtkLZ4"), "compressed by vtkLZ4DataCompressor"),
        (lambda p: change(p, b'"appended"', b'"telepathic"'), "an array of format telepathic"),
        (lambda p: change(p, b'type="Int64"', b'type="Int9"'), "is not a VTP mesh .'Int9'"),
        (lambda p: change(p, b"eJx", b"eJy"), "is not a VTP mesh"),
    ],
)
def test_bad(tmp_path, break_it, message):
    path = write(tmp_path / "phone.vtp", "appended", compressed=True)
    break_it(path)
    with pytest.raises(DataError, match=message) as raised:
        read_vtp(path)
    assert "\n" not in str(raised.value)


def test_a_face_without_its_vertex(tmp_path):
    path = write(tmp_path / "phone.vtp", "ascii")
    change(path, b"0 1 2 3 0 1 4", b"0 1 2 3 0 1 5")
    with pytest.raises(DataError, match="names a vertex that does not exist"):
        read_vtp(path)
