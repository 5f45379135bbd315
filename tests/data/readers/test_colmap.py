import shutil
import struct

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.corrections import Corrections, corrected
from samepoint.data.decode import decode_view
from samepoint.data.importers import write_native
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.colmap import is_colmap, read_colmap
from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.lenses import Lens, distort_points
from samepoint.geometry.motions import invert, transform

SIZE = (12, 16)
PARAMETERS = {
    "SIMPLE_PINHOLE": (0, [20.0, 8.25, 5.75], None),
    "PINHOLE": (1, [20.0, 21.0, 8.25, 5.75], None),
    "SIMPLE_RADIAL": (2, [20.0, 8.25, 5.75, 0.05], Lens("brown", (0.05, 0.0, 0.0, 0.0))),
    "RADIAL": (3, [20.0, 8.25, 5.75, 0.05, -0.02], Lens("brown", (0.05, -0.02, 0.0, 0.0))),
    "OPENCV": (
        4,
        [20.0, 21.0, 8.25, 5.75, 0.05, -0.02, 0.003, -0.002],
        Lens("brown", (0.05, -0.02, 0.003, -0.002)),
    ),
    "OPENCV_FISHEYE": (5, [20.0, 21.0, 8.25, 5.75, 0.05, -0.02, 0.003, -0.002], None),
    "FULL_OPENCV": (6, [20.0, 21.0, 8.25, 5.75, 0.05, -0.02, 0.003, -0.002, 0.01, 0.04, -0.01, 0.02], None),
    "SIMPLE_RADIAL_FISHEYE": (8, [20.0, 8.25, 5.75, 0.05], Lens("fisheye", (0.05, 0.0, 0.0, 0.0))),
    "RADIAL_FISHEYE": (9, [20.0, 8.25, 5.75, 0.05, -0.02], Lens("fisheye", (0.05, -0.02, 0.0, 0.0))),
}
POSES = {  # quaternion w x y z, translation: camera from world
    "b.jpg": ([0.9, -0.3, 0.1, 0.3], [0.1, 0.2, 2.0]),
    "left/a.png": ([0.851773, 0.0165051, 0.503764, -0.142941], [-0.3, 0.4, 2.5]),
    "c.png": ([-0.5, 0.5, -0.5, 0.5], [0.0, -0.1, 1.5]),
}
POINTS = np.array([[0.0, 0.0, 0.0], [0.2, 0.1, -0.1], [-0.1, 0.15, 0.2]])


def unit(q):
    return np.array(q) / np.linalg.norm(q)


def write_text(model, cameras):
    model.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Camera list with one line of data per camera:",
        "#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]",
    ]
    for i, name in enumerate(cameras, 1):
        lines.append(" ".join(map(str, (i, name, 16, 12, *PARAMETERS[name][1]))))
    (model / "cameras.txt").write_text("\n".join(lines) + "\n")
    lines = ["# Image list with two lines of data per image:", "# Number of images: 3"]
    for i, (name, (q, t)) in enumerate(POSES.items(), 1):
        lines.append(" ".join(map(str, (i, *unit(q), *t, 1 + (i - 1) % len(cameras), name))))
        lines.append("1.5 2.5 -1 3.25 4.5 -1" if i == 2 else "")
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    (model / "points3D.txt").write_text("# 3D point list\n")


def write_binary(model, cameras):
    model.mkdir(parents=True, exist_ok=True)
    content = struct.pack("<Q", len(cameras))
    for i, name in enumerate(cameras, 1):
        number, values, _ = PARAMETERS[name]
        content += struct.pack(f"<IiQQ{len(values)}d", i, number, 16, 12, *values)
    (model / "cameras.bin").write_bytes(content)
    content = struct.pack("<Q", len(POSES))
    for i, (name, (q, t)) in enumerate(POSES.items(), 1):
        content += struct.pack("<I7dI", i, *unit(q), *t, 1 + (i - 1) % len(cameras)) + name.encode() + b"\0"
        points = [(1.5, 2.5, 2**64 - 1), (3.25, 4.5, 7)] if i == 2 else []
        content += struct.pack("<Q", len(points)) + b"".join(struct.pack("<ddQ", *p) for p in points)
    (model / "images.bin").write_bytes(content)
    (model / "points3D.bin").write_bytes(struct.pack("<Q", 0))


WRITERS = {"text": write_text, "binary": write_binary}


@pytest.fixture
def images(tmp_path):
    root, rng = tmp_path / "mug", np.random.default_rng(0)
    for name in POSES:
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "images" / name), rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8))
    return root


@pytest.fixture(params=WRITERS)
def folder(images, request):
    WRITERS[request.param](images / "sparse" / "0", ["OPENCV", "SIMPLE_PINHOLE"])
    return images


def test_read(folder):
    assert is_colmap(folder)
    data = read_colmap(folder)
    (recording,) = data.recordings
    assert (recording.name, recording.mode, recording.split, recording.static) == (
        "mug/0",
        "scan",
        None,
        True,
    )
    views = data.views()
    assert [v.image.relative_to(folder / "images").as_posix() for v in views] == [
        "b.jpg",
        "c.png",
        "left/a.png",
    ]
    assert [v.camera for v in views] == ["cam1", "cam1", "cam2"]
    assert [v.lens for v in views] == [PARAMETERS["OPENCV"][2]] * 2 + [None]
    assert views[0].intrinsics.tolist() == [[20, 0, 7.75], [0, 21, 5.25], [0, 0, 1]]
    assert views[2].intrinsics.tolist() == [[20, 0, 7.75], [0, 20, 5.25], [0, 0, 1]]
    assert all(v.depth is None and v.placements == () for v in views)
    assert data.objects == {}


def our_pixels(view, xyz):
    points = transform(invert(view.world_from_camera), torch.from_numpy(xyz).float())
    uv, z = project(view.intrinsics, points)
    return uv if view.lens is None else distort_points(uv, view.intrinsics, view.lens), z


def test_points_lie_at_the_same_pixels(folder):
    """COLMAP's own convention, written out: rotate by the quaternion, add the translation, raster coordinates."""
    view = read_colmap(folder).views()[2]
    q, t = POSES["left/a.png"]
    w, xyz = unit(q)[0], unit(q)[1:]
    turned = POINTS + 2 * np.cross(xyz, np.cross(xyz, POINTS) + w * POINTS)
    x, y, z = (turned + t).T
    uv, depth = our_pixels(view, POINTS)
    raster = np.stack((20 * x / z + 8.25, 20 * y / z + 5.75), 1)
    np.testing.assert_allclose(uv.numpy() + 0.5, raster, atol=1e-4)
    np.testing.assert_allclose(depth.numpy(), z, rtol=1e-5)


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_as_pycolmap_projects(images, model, kind):
    """Every camera model: COLMAP's own library reads the same files and puts points half a pixel further."""
    pycolmap = pytest.importorskip("pycolmap", reason="compares with COLMAP's own library")
    sparse = images / "sparse" / "0"
    WRITERS[kind](sparse, [model])
    truth = pycolmap.Reconstruction(str(sparse))
    if kind == "binary":
        shutil.rmtree(sparse)
        sparse.mkdir()
        truth.write_binary(str(sparse))  # with rigs.bin and frames.bin, as COLMAP 4 has them
    by_name = {image.name: image for image in truth.images.values()}
    for view in read_colmap(images).views():
        image = by_name[view.image.relative_to(images / "images").as_posix()]
        wanted = np.stack([image.project_point(point) for point in POINTS]) - 0.5
        np.testing.assert_allclose(our_pixels(view, POINTS)[0].numpy(), wanted, atol=2e-3)


@pytest.mark.parametrize("model", PARAMETERS)
def test_models(images, model):
    write_text(images / "sparse", [model])
    view = read_colmap(images).views()[0]
    _, values, lens = PARAMETERS[model]
    if model == "OPENCV_FISHEYE":
        lens = Lens("fisheye", tuple(values[4:]))
    if model == "FULL_OPENCV":
        lens = Lens("brown", tuple(values[4:]))
    assert view.lens == lens


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", "dense/sparse", "."])
def test_places(images, place):
    write_binary(images / place, ["PINHOLE"])
    if place == "dense/sparse":
        shutil.move(images / "images", images / "dense" / "images")
    assert len(read_colmap(images).views()) == 3
    assert len(read_colmap(images / place).views()) == 3


def test_binary_goes_before_text_and_models_are_worlds(images):
    for number in ("0", "1"):
        write_text(images / "sparse" / number, ["SIMPLE_PINHOLE"])
        write_binary(images / "sparse" / number, ["PINHOLE"])
    (images / "sparse" / "empty").mkdir()
    data = read_colmap(images)
    assert [r.name for r in data.recordings] == ["mug/0", "mug/1"]
    assert {float(v.intrinsics[1, 1]) for v in data.views()} == {21.0}


def test_images_beside_the_model(images):
    write_text(images / "sparse", ["PINHOLE"])
    for path in (images / "images").iterdir():
        shutil.move(path, images)
    assert len(read_colmap(images).views()) == 3


def test_import_with_a_known_length(folder, tmp_path):
    source = read_colmap(folder)
    write_native(corrected(source, Corrections(world_scale=0.1)), tmp_path / "out")
    for before, after in zip(source.views(), read_bop(tmp_path / "out").views(), strict=True):
        torch.testing.assert_close(after.world_from_camera[:3, 3], before.world_from_camera[:3, 3] * 0.1)
        torch.testing.assert_close(after.intrinsics, before.intrinsics)
        assert after.lens is None
        assert decode_view(after).image.shape == (*SIZE, 3)


def edit(name, old, new):
    def change(model):
        text = (model / name).read_text()
        assert old in text
        (model / name).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            edit("cameras.txt", "PINHOLE", "FOV"),
            r"cameras\.txt, line 3: camera model 'FOV' is unknown; choose",
        ),
        (edit("cameras.txt", "21.0 ", ""), r"line 3: PINHOLE has 4 parameters, found 3"),
        (edit("cameras.txt", "21.0", "wide"), r"line 3: .* are not numbers"),
        (edit("cameras.txt", "21.0", "nan"), r"camera 1: the camera matrix"),
        (edit("cameras.txt", "20.0 21.0", "0 21.0"), r"camera 1: the camera matrix"),
        (edit("cameras.txt", "16 12", "big 12"), r"line 3: 'big' is not a whole number"),
        (
            edit("cameras.txt", "16 12", "32 24"),
            r"camera 1: is for images 32 pixels wide, but b\.jpg is 16x12",
        ),
        (
            edit("cameras.txt", "1 PINHOLE 16 12 20.0 21.0 8.25 5.75", "1 PINHOLE"),
            r"line 3: has 2 fields, not 4",
        ),
        (edit("cameras.txt", "1 PINHOLE", "9 PINHOLE"), r"image b\.jpg: has camera 1, which is not there"),
        (edit("images.txt", " 0.1 0.2 2.0 1 b.jpg", ""), r"images\.txt, line 3: has 5 fields, not 10"),
        (edit("images.txt", " 1 b.jpg", " one b.jpg"), r"line 3: 'one' is not a whole number"),
        (edit("images.txt", " 0.1 0.2 2.0", " 0.1 ? 2.0"), r"line 3: .* are not numbers"),
        (edit("images.txt", " 0.1 0.2 2.0", " 0.1 inf 2.0"), r"0, image b\.jpg: .*finite"),
        (
            edit("images.txt", "-0.5 0.5 -0.5 0.5", "0 0 0 0"),
            r"image c\.png: the quaternion .* length 0, not 1",
        ),
        (
            edit("images.txt", "-0.5 0.5 -0.5 0.5", "-0.5 0.5 nan 0.5"),
            r"image c\.png: the quaternion .* length nan",
        ),
        (
            edit("images.txt", "-0.5 0.5 -0.5 0.5", "3 1 1 1"),
            r"image c\.png: the quaternion .* length 3.464, not 1",
        ),
        (
            lambda m: shutil.rmtree(m.parents[1] / "images"),
            r"0: its image b\.jpg is not there \(nor any of the 2 others\); put the images into images/",
        ),
        (lambda m: (m / "images.txt").write_text("# none\n"), r"sparse/0: holds no registered image"),
        (lambda m: (m / "images.txt").write_bytes(b"\xff\xfe\x00"), r"images\.txt: cannot be read"),
        (lambda m: (m / "cameras.txt").write_text(""), r"image b\.jpg: has camera 1, which is not there"),
        (lambda m: (m / "cameras.txt").unlink(), r"mug: holds no sparse model; give a COLMAP project"),
        (lambda m: shutil.rmtree(m.parent / "0"), r"mug: holds no sparse model"),
    ],
)
def test_bad(images, break_it, message):
    write_text(images / "sparse" / "0", ["PINHOLE"])
    break_it(images / "sparse" / "0")
    with pytest.raises(DataError, match=message):
        read_colmap(images)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_every_truncation_is_found(images, name):
    write_binary(images / "sparse", ["OPENCV", "PINHOLE"])
    path = images / "sparse" / name
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=rf"{name}: is (truncated|empty)"):
            read_colmap(images)
    path.write_bytes(content + b"\0")
    with pytest.raises(DataError, match=rf"{name}: has 1 bytes more than it announces"):
        read_colmap(images)


def test_bad_binary(images):
    write_binary(images / "sparse", ["PINHOLE"])
    path = images / "sparse" / "cameras.bin"
    path.write_bytes(struct.pack("<QIiQQ5d", 1, 1, 7, 16, 12, 20, 20, 8, 6, 0.5))
    with pytest.raises(DataError, match=r"cameras\.bin: camera model 7 is unknown"):
        read_colmap(images)
    write_binary(images / "sparse", ["PINHOLE"])
    path = images / "sparse" / "images.bin"
    path.write_bytes(path.read_bytes().replace(b"b.jpg", b"\xff.jpg"))
    with pytest.raises(DataError, match=r"images\.bin: holds a name that is not UTF-8"):
        read_colmap(images)


def test_a_turned_photo_is_refused(folder):
    """COLMAP ignores the EXIF orientation of phone photos."""
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(folder / "images" / "b.jpg", exif=exif)
    with pytest.raises(DataError, match=r"b\.jpg: has an EXIF orientation"):
        read_colmap(folder)


def named(images, names):
    """The same images under other names, in the folder and in the model."""
    write_text(images / "sparse" / "0", ["PINHOLE"])
    for old, (written, stored) in zip(POSES, names, strict=True):
        edit("images.txt", f" {old}", f" {written}")(images / "sparse" / "0")
        (images / "images" / stored).parent.mkdir(parents=True, exist_ok=True)
        (images / "images" / old).rename(images / "images" / stored)


@pytest.mark.parametrize(
    "names",
    [
        [("IMG (1).jpg", "IMG (1).jpg"), ("IMG (2).png", "IMG (2).png"), ("IMG (10).png", "IMG (10).png")],
        [(f"cam\\{k}.png", f"cam/{k}.png") for k in (1, 2, 10)],
        [(f"/home/me/shoot/images/{k}.png", f"{k}.png") for k in (1, 2, 10)],
        [(f"images/cam left/{k}.png", f"cam left/{k}.png") for k in (1, 2, 10)],
    ],
    ids=["blanks", "windows", "elsewhere", "folders"],
)
def test_names_of_other_systems_in_natural_order(images, names):
    named(images, names)
    data = read_colmap(images)
    found = [v.image.relative_to(images / "images").as_posix() for v in data.views()]
    assert found == [stored for _, stored in names]
    assert data.notes == ()


def test_images_that_are_not_there_are_named_and_left_out(images):
    write_text(images / "sparse" / "0", ["PINHOLE"])
    (images / "images" / "b.jpg").rename(images / "images" / "other.jpg")
    data = read_colmap(images)
    assert [v.image.name for v in data.views()] == ["c.png", "a.png"]
    assert data.notes == (
        "0: 1 of 3 images of the model are not there and left out: b.jpg",
        "images: 1 .jpg file is not used (other.jpg): not in the model: COLMAP has no pose for them",
    )


def test_empty_lines_of_points_may_be_left_out(images):
    write_text(images / "sparse" / "0", ["PINHOLE"])
    path = images / "sparse" / "0" / "images.txt"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if line))
    assert len(read_colmap(images).views()) == 3


@pytest.mark.parametrize("name", ["{}.png", "{stem}.png"])
def test_masks_beside_the_images(images, name):
    write_text(images / "sparse" / "0", ["PINHOLE"])
    for image in POSES:
        path = images / "masks" / name.format(image, stem=image.rsplit(".", 1)[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.zeros(SIZE, np.uint8)
        mask[2:5] = 255
        cv2.imwrite(str(path), mask)
    (images / "dense" / "stereo" / "depth_maps").mkdir(parents=True)
    (images / "dense" / "stereo" / "depth_maps" / "b.jpg.geometric.bin").write_bytes(b"1")
    data = read_colmap(images)
    assert [decode_view(v).labels.sum() for v in data.views()] == [48] * 3
    assert list(data.objects) == [1]
    assert data.notes == ("dense/stereo/depth_maps: 1 depth maps are not read",)
