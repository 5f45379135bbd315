import json
import math

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.decode import decode_view
from samepoint.data.importers import write_native
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.nerfstudio import is_nerfstudio, read_nerfstudio
from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.lenses import Lens, distort_points
from samepoint.geometry.motions import invert, transform

SIZE = (12, 16)
BENT = {"k1": 0.05, "k2": -0.02, "p1": 0.003, "p2": -0.002}
POINTS = np.array([[0.0, 0.0, 0.0], [0.2, 0.1, -0.1], [-0.1, 0.15, 0.2]])


def looking_at_the_origin(eye):
    """A camera-to-world matrix with OpenGL axes: the camera looks along its -z, y is up."""
    back = np.array(eye) / np.linalg.norm(eye)
    right = np.cross((0, 0, 1), back)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3] = np.stack((right, np.cross(back, right), back, eye), 1)
    return matrix


def write_image(path, rng, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*SIZE, 3) if dtype is np.uint8 else SIZE
    cv2.imwrite(str(path), rng.integers(0, 255, shape).astype(dtype))


@pytest.fixture
def folder(tmp_path):
    """As ns-process-data writes it (three frames, not in order), with depth and masks."""
    root, rng = tmp_path / "mug", np.random.default_rng(0)
    frames = []
    for i in (3, 1, 2):
        write_image(root / "images" / f"frame_{i:05d}.png", rng)
        write_image(root / "depths" / f"frame_{i:05d}.png", rng, np.uint16)
        mask = np.zeros(SIZE, np.uint8)
        mask[2:6, 3:9] = 255
        (root / "masks").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "masks" / f"frame_{i:05d}.png"), mask)
        matrix = looking_at_the_origin((1.0 + i / 10, -0.3 * i, 0.8))
        frames.append(
            {
                "file_path": f"./images/frame_{i:05d}.png",
                "transform_matrix": matrix.tolist(),
                "colmap_im_id": i,
                "depth_file_path": f"depths/frame_{i:05d}.png",
                "mask_path": f"masks/frame_{i:05d}.png",
            }
        )
    camera = {"w": 16, "h": 12, "fl_x": 20.0, "fl_y": 21.0, "cx": 8.25, "cy": 5.75, **BENT}
    top = {**camera, "camera_model": "OPENCV", "applied_transform": np.eye(4)[[0, 2, 1]].tolist()}
    (root / "transforms.json").write_text(
        json.dumps({**top, "frames": frames, "ply_file_path": "sparse_pc.ply"})
    )
    return root


def change(folder, change_it, name="transforms.json"):
    content = json.loads((folder / name).read_text())
    change_it(content)
    (folder / name).write_text(json.dumps(content))


def test_read(folder):
    assert is_nerfstudio(folder)
    data = read_nerfstudio(folder)
    (recording,) = data.recordings
    assert (recording.name, recording.mode, recording.split) == ("mug", "scan", None)
    views = data.views()
    assert [v.image.name for v in views] == [f"frame_{i:05d}.png" for i in (1, 2, 3)]
    assert [v.depth.path.name for v in views] == [v.image.name for v in views]
    assert {v.depth.metres_per_unit for v in views} == {0.001}
    assert all(v.intrinsics.tolist() == [[20, 0, 7.75], [0, 21, 5.25], [0, 0, 1]] for v in views)
    assert all(v.lens == Lens("brown", (0.05, -0.02, 0.003, -0.002, 0.0)) for v in views)
    assert [v.placements[0].mask.name for v in views] == [v.image.name for v in views]
    assert list(data.objects) == [1]
    assert read_nerfstudio(folder / "transforms.json").views()[0].image == views[0].image


def nerfstudio_pixels(frame, top, xyz):
    """The file's own convention: OpenGL axes, raster coordinates (the first pixel's middle is 0.5, 0.5)."""
    inverse = np.linalg.inv(np.array(frame["transform_matrix"]))
    x, y, z = inverse[:3, :3] @ xyz.T + inverse[:3, 3:]
    assert (z < 0).all()
    u, v = x / -z, -y / -z
    r2 = u * u + v * v
    radial = 1 + top["k1"] * r2 + top["k2"] * r2**2
    bent_u = u * radial + 2 * top["p1"] * u * v + top["p2"] * (r2 + 2 * u * u)
    bent_v = v * radial + 2 * top["p2"] * u * v + top["p1"] * (r2 + 2 * v * v)
    raster = np.stack((top["fl_x"] * bent_u + top["cx"], top["fl_y"] * bent_v + top["cy"]), 1)
    return torch.from_numpy(raster - 0.5).float(), torch.from_numpy(-z).float()


def our_pixels(view, xyz):
    points = transform(invert(view.world_from_camera), torch.from_numpy(xyz).float())
    uv, z = project(view.intrinsics, points)
    return uv if view.lens is None else distort_points(uv, view.intrinsics, view.lens), z


def test_points_lie_at_the_same_pixels(folder):
    top = json.loads((folder / "transforms.json").read_text())
    frames = sorted(top["frames"], key=lambda frame: frame["file_path"])
    for frame, view in zip(frames, read_nerfstudio(folder).views(), strict=True):
        uv, z = our_pixels(view, POINTS)
        torch.testing.assert_close((uv, z), nerfstudio_pixels(frame, top, POINTS), atol=1e-3, rtol=1e-4)


def test_the_camera_looks_at_what_it_looked_at(folder):
    """No formula: the origin is in the middle of the picture, and up is up."""
    change(folder, lambda c: c.update(k1=0, k2=0, p1=0, p2=0))
    for view in read_nerfstudio(folder).views():
        assert view.lens is None
        uv, _ = our_pixels(view, np.array([[0, 0, 0], [0, 0, 0.1]]))
        torch.testing.assert_close(uv[0], torch.tensor([7.75, 5.25]), atol=1e-3, rtol=0)
        assert uv[1, 1] < uv[0, 1] - 0.5
        assert (uv[1, 0] - uv[0, 0]).abs() < 1e-3


def test_lists_make_splits(folder):
    names = [f"images/frame_{i:05d}.png" for i in (1, 2, 3)]
    lists = {"train_filenames": names[1:], "val_filenames": names[:1], "test_filenames": []}
    change(folder, lambda c: c.update(lists))
    found = [(r.name, r.split, len(r.moments)) for r in read_nerfstudio(folder).recordings]
    assert found == [("mug/train", "train", 2), ("mug/validation", "validation", 1)]


def test_each_frame_may_have_its_camera(folder):
    def move(content):
        camera = {key: content.pop(key) for key in ("fl_x", "fl_y", "cx", "cy", "w", "h", *BENT)}
        for i, frame in enumerate(content["frames"]):
            frame.update(camera, fl_x=30 + i, k1=0.01 * i)

    change(folder, move)
    by_name = {v.image.stem: v for v in read_nerfstudio(folder).views()}
    assert [by_name[f"frame_0000{i}"].intrinsics[0, 0] for i in (3, 1, 2)] == [30, 31, 32]
    assert [by_name[f"frame_0000{i}"].lens.coefficients[0] for i in (3, 1, 2)] == [0, 0.01, 0.02]
    change(folder, lambda c: c.update(cx=8.25, fl_x=30.0))
    with pytest.raises(DataError, match=r"frames\[1\]: fl_x is 31, but 30\.0 at the top of the file"):
        read_nerfstudio(folder)


@pytest.mark.parametrize("model", ["OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL", None])
def test_perspective_models(folder, model):
    change(folder, lambda c: c.pop("camera_model") if model is None else c.update(camera_model=model))
    assert read_nerfstudio(folder).views()[0].lens.model == "brown"


def test_fisheye(folder):
    bent = {"k1": 0.03, "k2": 0.005, "k3": 0.0006, "k4": 0.0001}
    change(folder, lambda c: c.update(bent, camera_model="OPENCV_FISHEYE"))
    assert read_nerfstudio(folder).views()[0].lens == Lens("fisheye", tuple(bent.values()))
    change(folder, lambda c: (c.pop("camera_model"), c.update(is_fisheye=True)))
    assert read_nerfstudio(folder).views()[0].lens.model == "fisheye"


def test_applied_scale_is_divided_out(folder):
    before = read_nerfstudio(folder).views()[0].world_from_camera
    change(folder, lambda c: c.update(applied_scale=0.5))
    after = read_nerfstudio(folder).views()[0].world_from_camera
    torch.testing.assert_close(after[:3, 3], 2 * before[:3, 3])
    torch.testing.assert_close(after[:3, :3], before[:3, :3])


def test_original_nerf(tmp_path):
    root, rng = tmp_path / "lego", np.random.default_rng(0)
    angle = 0.6911112070083618
    for split, names in (("train", ("r_0", "r_1")), ("val", ("r_0",)), ("test", ("r_0", "r_1", "r_2"))):
        frames = []
        for i, name in enumerate(names):
            write_image(root / split / f"{name}.png", rng)
            matrix = looking_at_the_origin((1.0, i / 2, 0.5)).tolist()
            frames.append({"file_path": f"./{split}/{name}", "rotation": 0.0126, "transform_matrix": matrix})
        write_image(root / "test" / "r_0_depth_0000.png", rng)
        content = {"camera_angle_x": angle, "frames": frames}
        (root / f"transforms_{split}.json").write_text(json.dumps(content))
    assert is_nerfstudio(root)
    data = read_nerfstudio(root)
    found = [(r.name, r.split, [v.image.name for v in r.views()]) for r in data.recordings]
    assert found == [
        ("lego/train", "train", ["r_0.png", "r_1.png"]),
        ("lego/validation", "validation", ["r_0.png"]),
        ("lego/test", "test", ["r_0.png", "r_1.png", "r_2.png"]),
    ]
    focal = 0.5 * 16 / math.tan(0.5 * angle)
    wanted = torch.tensor([[focal, 0, 7.5], [0, focal, 5.5], [0, 0, 1]])
    for view in data.views():
        torch.testing.assert_close(view.intrinsics, wanted)
        assert (view.depth, view.placements, view.lens) == (None, (), None)
        torch.testing.assert_close(
            our_pixels(view, POINTS)[0][0], torch.tensor([7.5, 5.5]), atol=1e-4, rtol=0
        )
    assert data.objects == {}
    assert [r.split for r in read_nerfstudio(root / "transforms_test.json").recordings] == ["test"]


def test_import(folder, tmp_path):
    """Straightened; depth and mask stay with the image."""
    source = read_nerfstudio(folder)
    write_native(source, tmp_path / "out")
    for before, after in zip(source.views(), read_bop(tmp_path / "out").views(), strict=True):
        torch.testing.assert_close(before.world_from_camera, after.world_from_camera, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(before.intrinsics, after.intrinsics)
        arrays = decode_view(after)
        assert arrays.labels.max() == 1
        assert after.placements[0].object_id == 1
        assert arrays.depth.max() * arrays.metres_per_unit == pytest.approx(
            decode_view(before).depth.max() * 0.001, rel=0.2
        )


def frame(content, i=1):
    return content["frames"][i]


def mirrored(content):
    frame(content)["transform_matrix"][0] = [-x for x in frame(content)["transform_matrix"][0]]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda c: c.pop("frames"), r"transforms\.json: has no frames"),
        (lambda c: c.update(frames=[]), r"transforms\.json: has no frames"),
        (lambda c: c.update(frames=["a"]), r"transforms\.json: has no frames"),
        (lambda c: frame(c).pop("file_path"), r"transforms\.json, frames\[1\]: file_path is None"),
        (lambda c: frame(c).update(file_path=3), r"frames\[1\]: file_path is 3"),
        (lambda c: frame(c).update(file_path="x.png"), r"frames\[1\]: names x\.png, which is not there"),
        (
            lambda c: frame(c).update(depth_file_path="x.png"),
            r"frames\[1\]: names x\.png, which is not there",
        ),
        (lambda c: frame(c).update(mask_path="x.png"), r"frames\[1\]: names x\.png, which is not there"),
        (lambda c: frame(c).update(depth_file_path="transforms.json"), r"depth in \.json is not read"),
        (lambda c: frame(c).update(file_path=frame(c, 0)["file_path"]), r"frames\[1\]: names .* again"),
        (lambda c: frame(c).pop("transform_matrix"), r"frames\[1\]: has no transform_matrix"),
        (lambda c: frame(c)["transform_matrix"].pop(), r"frames\[1\]: expected 16 numbers"),
        (lambda c: frame(c)["transform_matrix"][0].pop(), r"frames\[1\]: expected 16 numbers"),
        (lambda c: frame(c).update(transform_matrix="id"), r"frames\[1\]: expected 16 numbers"),
        (lambda c: frame(c)["transform_matrix"].reverse(), r"frames\[1\]: the last row"),
        (mirrored, r"frames\[1\]: .*mirrored"),
        (lambda c: frame(c)["transform_matrix"][0].__setitem__(3, float("nan")), r"frames\[1\]: .*finite"),
        (lambda c: c.pop("fl_x"), r"frames\[0\]: lacks fl_x"),
        (lambda c: (c.pop("cx"), c.pop("cy")), r"frames\[0\]: lacks cx, cy"),
        (lambda c: c.update(fl_y=0), "camera matrix"),
        (lambda c: c.update(cx="left"), "expected 2 numbers"),
        (lambda c: c.update(w=640), r"is for images 640 pixels wide, but frame_\d+\.png is 16x12"),
        (lambda c: c.update(k2="x"), "expected 5 numbers"),
        (lambda c: c.update(k2=float("inf")), "not finite"),
        (lambda c: c.update(k4=0.1), "k4 is 0.1, which only OPENCV_FISHEYE has"),
        (
            lambda c: c.update(camera_model="FISHEYE624"),
            "'FISHEYE624' is unknown; choose one of: OPENCV",
        ),
        (lambda c: c.update(applied_scale=0), r"transforms\.json: applied_scale is 0"),
        (lambda c: (c.pop("fl_x"), c.update(camera_angle_x=40)), "a field of view of 40"),
        (lambda c: [f.update(time=i / 9) for i, f in enumerate(c["frames"])], "its frames have a `time`"),
        (lambda c: c.update(train_filenames="all"), "train_filenames is not a list"),
        (lambda c: c.update(train_filenames=[]), "its lists name no frame"),
        (lambda c: c.update(val_filenames=["images/x.png"]), r"names images/x\.png, which is not there"),
        (lambda c: c.update(val_filenames=["masks/frame_00001.png"]), "val_filenames names .*no frame has"),
    ],
)
def test_bad(folder, break_it, message):
    change(folder, break_it)
    with pytest.raises(DataError, match=message):
        read_nerfstudio(folder)


def test_bad_files(folder, tmp_path):
    with pytest.raises(DataError, match=r"masks: has no transforms\.json"):
        read_nerfstudio(folder / "masks")
    with pytest.raises(DataError, match=r"no\.json: this file does not exist"):
        read_nerfstudio(tmp_path / "no.json")
    path = folder / "transforms.json"
    path.write_text(path.read_text()[:300])
    with pytest.raises(DataError, match=r"transforms\.json: is not valid JSON"):
        read_nerfstudio(folder)
    path.write_text("[]")
    with pytest.raises(DataError, match=r"transforms\.json: has no frames"):
        read_nerfstudio(folder)


def ngp(content):
    """The same recording as instant-ngp writes it."""
    content["integer_depth_scale"], content["enable_depth_loading"], content["aabb_scale"] = 1e-4, True, 4
    for frame in content["frames"]:
        frame["depth_path"], frame["sharpness"] = frame.pop("depth_file_path"), 31.5
        frame["file_path"] = frame["file_path"].removesuffix(".png")


def test_instant_ngp(folder):
    before = read_nerfstudio(folder)
    assert before.notes == (
        "transforms.json: depth is read as millimetres: no integer_depth_scale says its unit (--depth-scale does)",
    )
    change(folder, ngp)
    data = read_nerfstudio(folder)
    assert [v.depth.path for v in data.views()] == [v.depth.path for v in before.views()]
    assert {v.depth.metres_per_unit for v in data.views()} == {1e-4}
    assert data.notes == ()
    change(folder, lambda c: c.update(enable_depth_loading=False))
    data = read_nerfstudio(folder)
    assert all(v.depth is None for v in data.views())
    assert data.notes[0] == (
        "transforms.json: 3 frames have a depth_path that is not read: enable_depth_loading is false"
    )
    assert data.notes[1].startswith("depths: 3 .png files are not used")


def test_what_is_not_read_is_named(folder):
    def odd(content):
        content.update(rolling_shutter=[0, 0, 0.03, 0], train_filenames=[content["frames"][0]["file_path"]])
        content["frames"][1]["normal_file_path"] = "normals/1.png"
        content["exposure"] = 3

    change(folder, odd)
    (folder / "transforms_old.json").write_text("{}")
    write_image(folder / "images" / "frame_00009.png", np.random.default_rng(0))
    notes = read_nerfstudio(folder).notes
    assert any("rolling_shutter is not read" in note for note in notes)
    assert any("keys that are not read: exposure, normal_file_path (1 frames)" in note for note in notes)
    assert "transforms.json: 2 of 3 frames are in none of its lists" in notes
    assert "transforms_old.json is not read: give it instead of its folder" in notes
    assert any(note.startswith("images: 3 of 4 .png files are not used") for note in notes)


def test_frames_that_are_not_padded_are_in_natural_order(folder):
    def renumber(content):
        for frame, name in zip(content["frames"], ("10", "2", "1"), strict=True):
            (folder / frame["file_path"]).rename(folder / "images" / f"{name}.png")
            frame["file_path"] = f"images/{name}.png"

    change(folder, renumber)
    assert [v.image.name for v in read_nerfstudio(folder).views()] == ["1.png", "2.png", "10.png"]


def test_transparency_is_the_mask_where_no_frame_has_one(folder):
    def cut(content):
        for frame in content["frames"]:
            del frame["mask_path"]
            path = str(folder / frame["file_path"])
            alpha = np.zeros(SIZE, np.uint8)
            alpha[3:5, 2:7] = 255
            cv2.imwrite(path, np.dstack((cv2.imread(path), alpha)))

    change(folder, cut)
    data = read_nerfstudio(folder)
    assert "transforms.json: transparency of the images is the mask of object 1" in data.notes
    labels = decode_view(data.views()[0]).labels
    assert (labels[3:5, 2:7] == 1).all()
    assert (labels > 0).sum() == 10


def test_fields_of_view_in_degrees(folder):
    def angle(content):
        for key in ("fl_x", "fl_y", "cx", "cy"):
            content.pop(key, None)
            for frame in content["frames"]:
                frame.pop(key, None)
        content["x_fov"] = 90

    change(folder, angle)
    k = read_nerfstudio(folder).views()[0].intrinsics
    torch.testing.assert_close(k, torch.tensor([[8.0, 0, 7.5], [0, 8.0, 5.5], [0, 0, 1]]))
