import json
import math
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.decode import decode_depth, decode_image, decode_mask
from samepoint.data.importers import write_native
from samepoint.data.readers.blenderproc import is_blenderproc, read_blenderproc
from samepoint.data.readers.bop import read_bop
from samepoint.errors import DataError, MissingDependencyError
from samepoint.geometry.cameras import project, unproject
from samepoint.geometry.motions import invert, transform

h5py = pytest.importorskip("h5py", reason="blenderproc needs the package h5py")

H, W = 12, 16
K = [[20.0, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]
BACKGROUND = 1e10
NAMES = {0: "World", 1: "floor", 2: "mug", 3: "mug.001"}
ROWS = [{"idx": i, "name": name, "category_id": int(i > 1)} for i, name in NAMES.items()]


def pose_of(rng):
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(rng.normal(size=3))[0]
    pose[:3, 3] = rng.normal(size=3)
    return pose


def frame_of(rng):
    """What a frame's keys hold, before they are written."""
    labels = rng.integers(0, 4, (H, W))
    depth = rng.uniform(0.5, 3, (H, W)).astype(np.float32)
    depth[labels == 0] = BACKGROUND
    camera = {"cam2world_matrix": pose_of(rng).tolist(), "cam_K": K}
    return {
        "colors": rng.integers(0, 255, (H, W, 3), dtype=np.uint8),
        "depth": depth,
        "instance_segmaps": labels,
        "instance_attribute_maps": ROWS,
        "campose": [camera],
    }


def write_frame(path, content):
    """As write_hdf5 does: arrays compressed, dicts and lists of dicts as JSON bytes, other lists as arrays."""
    with h5py.File(path, "w") as file:
        for key, data in content.items():
            if isinstance(data, dict) or (isinstance(data, list) and data and isinstance(data[0], dict)):
                data = np.bytes_(json.dumps(data))
            data = np.array(data)
            if data.dtype.char == "S":
                file.create_dataset(key, data=data, dtype=data.dtype)
            else:
                file.create_dataset(key, data=data, compression="gzip")
        file.create_dataset("blender_proc_version", data=np.bytes_("2.8.0"))


@pytest.fixture
def frames(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "output").mkdir()
    contents = [frame_of(rng) for _ in range(3)]
    for i, content in enumerate(contents):
        write_frame(tmp_path / "output" / f"{i}.hdf5", content)
    return tmp_path / "output", contents


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture
def one(tmp_path, scratch):
    """Reads a folder with one frame of the given content, on top of the usual; None removes a key."""

    def read(**changes):
        content = {**frame_of(np.random.default_rng(1)), **changes}
        folder = tmp_path / "one"
        folder.mkdir(exist_ok=True)
        write_frame(folder / "0.hdf5", {k: v for k, v in content.items() if v is not None})
        (view,) = read_blenderproc(folder, scratch).views()
        return view, content

    return read


def test_read(frames, scratch):
    folder, contents = frames
    for before, after in ((1, 9), (2, 10)):
        shutil.move(folder / f"{before}.hdf5", folder / f"{after}.hdf5")
    data = read_blenderproc(folder, scratch)
    (recording,) = data.recordings
    assert (recording.name, recording.mode, recording.split) == ("output", "scan", None)
    assert {n: (m.family, m.mesh) for n, m in data.objects.items()} == {1: ("mug", None), 2: ("mug", None)}
    for content, view in zip(contents, recording.views(), strict=True):  # 10 comes after 9
        assert np.array_equal(decode_image(view.image), content["colors"])
        assert view.intrinsics.tolist() == K
        metres = np.load(view.depth.path)
        known = content["instance_segmaps"] != 0
        assert np.array_equal(metres, np.where(known, content["depth"], 0))
        assert (metres.dtype, view.depth.metres_per_unit) == (np.float32, 1.0)
        assert [p.object_id for p in view.placements] == [1, 2]
        for placement, number in zip(view.placements, (2, 3), strict=True):
            assert np.array_equal(decode_mask(placement.mask), content["instance_segmaps"] == number)
            assert placement.camera_from_object is None


def test_convention_blender_axes_and_pixel_centres(frames, scratch):
    """A point that Blender sees right of, above and in front of its camera: x, y and -z."""
    folder, contents = frames
    for content, view in zip(contents, read_blenderproc(folder, scratch).views(), strict=True):
        cam2world = np.array(content["campose"][0]["cam2world_matrix"])
        x, y, z = 0.3, 0.2, 2.0
        world = torch.from_numpy(cam2world @ [x, y, -z, 1])[:3].float()[None]
        uv, depth = project(view.intrinsics, transform(invert(view.world_from_camera), world))
        expected = torch.tensor([[7.5 + 20 * x / z, 5.5 - 20 * y / z]])
        torch.testing.assert_close(uv, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(depth, torch.tensor([z]), atol=1e-5, rtol=0)


def test_convention_distance_is_along_the_ray(one):
    rng = np.random.default_rng(2)
    distance = rng.uniform(1, 4, (H, W)).astype(np.float32)
    k = [[20.0, 0, 7.0], [0, 25, 6.0], [0, 0, 1]]
    camera = {"cam2world_matrix": np.eye(4).tolist(), "cam_K": k}
    view, _ = one(depth=None, distance=distance, instance_segmaps=None, campose=[camera])
    v, u = np.indices((H, W))
    uv = torch.from_numpy(np.stack((u, v), axis=-1).reshape(-1, 2)).float()
    points = unproject(view.intrinsics, uv, torch.from_numpy(np.load(view.depth.path)).flatten())
    torch.testing.assert_close(points.norm(dim=1), torch.from_numpy(distance).flatten())
    assert view.placements == ()


def test_depth_goes_before_distance_and_may_have_three_channels(one):
    depth = np.full((H, W), 1.5, dtype=np.float32)
    view, _ = one(depth=np.repeat(depth[..., None], 3, 2), distance=2 * depth, instance_segmaps=None)
    assert np.array_equal(np.load(view.depth.path), depth)


@pytest.mark.parametrize("nothing", [BACKGROUND, np.inf, np.nan, 65504.0, 0.0])
def test_where_nothing_is_hit_depth_is_unknown(one, nothing):
    depth = np.full((H, W), 1.5, dtype=np.float32)
    depth[3, 4] = nothing
    view, _ = one(depth=depth, instance_segmaps=None)
    units, step = decode_depth(view.depth)
    assert step == 1e-4  # the background does not make the steps coarse
    assert [tuple(p) for p in np.argwhere(units == 0)] == [(3, 4)]


def test_object_states_place_the_objects(frames, scratch, tmp_path):
    folder, contents = frames
    rng = np.random.default_rng(3)
    mug, floor = pose_of(rng), pose_of(rng)
    scaled = mug @ np.diag([0.5, 0.5, 0.5, 1])
    states = [
        {"name": "mug", "matrix_world": scaled.tolist()},
        {"name": "floor", "matrix_world": floor.tolist()},
    ]
    for i, content in enumerate(contents):
        write_frame(folder / f"{i}.hdf5", {**content, "object_states": states})
    data = read_blenderproc(folder, scratch)
    assert data.recordings[0].mode == "scan"
    for view in data.views():
        first, second = view.placements
        torch.testing.assert_close(
            view.world_from_camera @ first.camera_from_object,
            torch.from_numpy(mug).float(),
            atol=1e-5,
            rtol=0,
        )
        assert second.camera_from_object is None
    write_native(data, tmp_path / "native")
    for mine, theirs in zip(data.views(), read_bop(tmp_path / "native").views(), strict=True):
        torch.testing.assert_close(theirs.world_from_camera, mine.world_from_camera, atol=1e-5, rtol=0)
        assert [p.object_id for p in theirs.placements] == [1, 2]
        assert np.array_equal(decode_image(theirs.image), decode_image(mine.image))


def test_mirrored_objects_have_no_pose(one):
    states = [{"name": "mug", "matrix_world": np.diag([1.0, 1, -1, 1]).tolist()}]
    view, _ = one(object_states=states)
    assert [p.camera_from_object for p in view.placements] == [None, None]


def test_moving_objects_or_other_names_make_a_shuffle(frames, scratch):
    folder, contents = frames
    moved = np.eye(4)
    for x, mode in ((0.01, "scan"), (0.5, "shuffle")):
        for i in (0, 1):
            moved[0, 3] = i * x
            states = [{"name": "mug", "matrix_world": moved.tolist()}]
            write_frame(folder / f"{i}.hdf5", {**contents[i], "object_states": states})
        assert read_blenderproc(folder, scratch).recordings[0].mode == mode
    rows = [{**row, "name": {"mug": "spoon"}.get(row["name"], row["name"])} for row in ROWS]
    for i in (0, 1):
        write_frame(folder / f"{i}.hdf5", contents[i])
    write_frame(folder / "2.hdf5", {**contents[2], "instance_attribute_maps": rows})
    data = read_blenderproc(folder, scratch)
    assert data.recordings[0].mode == "shuffle"
    assert sorted(m.family for m in data.objects.values()) == ["mug", "mug", "spoon"]


def test_folders_share_objects_by_name_but_not_by_number(frames, scratch, tmp_path):
    _, contents = frames
    for scene in ("a", "b"):
        (tmp_path / "scenes" / scene).mkdir(parents=True)
        write_frame(tmp_path / "scenes" / scene / "0.hdf5", contents[0])
    data = read_blenderproc(tmp_path / "scenes", scratch)
    assert [r.name for r in data.recordings] == ["a", "b"]
    assert len(data.objects) == 2
    assert len({v.image for v in data.views()}) == 2
    for scene in ("a", "b"):
        nameless = {**contents[0], "instance_attribute_maps": []}
        write_frame(tmp_path / "scenes" / scene / "0.hdf5", nameless)
    data = read_blenderproc(tmp_path / "scenes", scratch)
    assert sorted(m.family for m in data.objects.values()) == [
        f"{scene}/instance_{number}" for scene in "ab" for number in (1, 2, 3)
    ]


def test_older_segmentation(one):
    """segmap with a channel for each attribute, and the CSV table as strings."""
    rng = np.random.default_rng(4)
    labels, classes = rng.integers(0, 4, (H, W)), rng.integers(0, 2, (H, W))
    table = [
        {"idx": str(i), "name": n, "channel_class": "0", "channel_instance": "1"} for i, n in NAMES.items()
    ]
    content = {"instance_segmaps": None, "instance_attribute_maps": None, "segcolormap": table}
    view, _ = one(segmap=np.stack((classes, labels), axis=2).astype(np.float64), **content)
    assert len(view.placements) == 3  # without category_id the floor is an object
    assert np.array_equal(decode_mask(view.placements[1].mask), labels == 2)
    view, _ = one(segmap=classes, **{**content, "segcolormap": None})
    assert view.placements == ()


def test_cameras_from_elsewhere(one, tmp_path):
    pose = pose_of(np.random.default_rng(5))
    view, _ = one(campose=None, cam2world_matrix=pose, cam_K=K)
    flip = np.diag([1, -1, -1, 1])
    expected = torch.from_numpy(pose @ flip).float()
    torch.testing.assert_close(view.world_from_camera, expected)
    assert view.intrinsics.tolist() == K
    intrinsics = {"width": W, "height": H, "fx": 30.0, "fy": 31, "cx": 8, "cy": 6}
    (tmp_path / "one" / "intrinsics.json").write_text(json.dumps(intrinsics))
    view, _ = one(campose=None)
    assert view.world_from_camera is None
    assert view.intrinsics.tolist() == [[30, 0, 8], [0, 31, 6], [0, 0, 1]]
    text = np.bytes_(json.dumps([{"cam2world_matrix": pose.tolist(), "cam_K": K}]))
    np.save(tmp_path / "one" / "campose_0000.npy", text)
    view, _ = one(campose=None)
    torch.testing.assert_close(view.world_from_camera, expected)
    assert view.intrinsics.tolist() == K


def test_convention_older_cameras_in_euler_angles(one):
    """A camera at (1, 2, 3) that was turned about x first and then about z; fov_x spans the image's width."""
    state = {"location": [1, 2, 3], "rotation_euler": [math.pi / 2, 0, math.pi / 2], "fov_x": math.pi / 2}
    view, _ = one(campose=[{**state, "fov_y": 1.0}])
    # about x by 90 degrees it looks along +y; then about z by 90 degrees along -x, with z up
    forward = transform(view.world_from_camera, torch.tensor([[0.0, 0, 1], [0, -1, 0]]))
    torch.testing.assert_close(forward, torch.tensor([[0.0, 2, 3], [1, 2, 4]]), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        view.intrinsics, torch.tensor([[8, 0, 7.5], [0, 8, 5.5], [0, 0, 1]]), atol=1e-5, rtol=0
    )


def test_transparency_is_dropped_and_colour_alone_is_enough(one):
    rgba = np.random.default_rng(6).integers(0, 255, (H, W, 4), dtype=np.uint8)
    nothing = {"depth": None, "instance_segmaps": None, "instance_attribute_maps": None, "campose": None}
    view, _ = one(colors=rgba, **nothing)
    assert np.array_equal(decode_image(view.image), rgba[..., :3])
    assert (view.depth, view.intrinsics, view.world_from_camera, view.placements) == (None, None, None, ())


def camera(**changes):
    state = {"cam2world_matrix": np.eye(4).tolist(), "cam_K": K, **changes}
    return [{k: v for k, v in state.items() if v is not None}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colors": None}, r"0\.hdf5: has no key colors, only: blender_proc_version, campose, depth"),
        ({"colors": np.zeros((2, H, W, 3), np.uint8)}, r"0\.hdf5: colors is uint8 \(2, 12, 16, 3\)"),
        ({"colors": np.zeros((H, W, 3))}, r"colors is float64 \(12, 16, 3\), not uint8 h w 3"),
        ({"depth": np.zeros((H, W + 1))}, r"depth is float64 \(12, 17\), but colors is 12 16"),
        ({"depth": [{"a": 1}]}, r"depth is list, but colors is 12 16"),
        ({"instance_segmaps": np.zeros((W, H), int)}, r"instance_segmaps is int64 \(16, 12\)"),
        ({"campose": None}, r"0\.hdf5: depth without intrinsics; write intrinsics\.json"),
        ({"campose": None, "depth": None, "distance": np.ones((H, W))}, r"distance without intrinsics"),
        ({"campose": camera(cam_K=None)}, r"depth without intrinsics"),
        ({"campose": camera(cam_K=[[0, 0, 0]] * 3)}, r"0\.hdf5: the camera matrix"),
        ({"campose": camera(cam_K=None, fov_x=4.0)}, r"0\.hdf5: fov_x is 4; write it in radians"),
        ({"campose": camera(cam2world_matrix=[1, 2])}, r"0\.hdf5: expected 16 numbers"),
        ({"campose": camera(cam2world_matrix=np.diag([1, 1, -1, 1]).tolist())}, r"0\.hdf5: .*mirrored"),
        ({"campose": None, "cam_K": np.array(K), "cam2world_matrix": np.eye(3)}, r"expected 16 numbers"),
        ({"campose": camera() + camera()}, r"0\.hdf5: campose does not hold one camera"),
        ({"campose": np.bytes_("[{")}, r"0\.hdf5: campose is not valid JSON"),
        ({"instance_attribute_maps": [{"name": "mug"}]}, r"0\.hdf5: the table of instances has no whole"),
        ({"instance_attribute_maps": [{"idx": "mug"}]}, r"0\.hdf5: the table of instances has no whole"),
        ({"object_states": np.zeros(3)}, r"0\.hdf5: object_states is not a list of objects"),
        ({"object_states": [{"name": "mug", "matrix_world": [1]}]}, r"0\.hdf5: expected 16 numbers"),
    ],
)
def test_bad_content(one, changes, message):
    with pytest.raises(DataError, match=message) as error:
        one(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fx": 1, "fy": 1, "cx": 1}, r"intrinsics\.json: lacks cy"),
        ([], r"intrinsics\.json: lacks fx, fy, cx, cy"),
        ({"fx": 1, "fy": 1, "cx": 1, "cy": 1, "width": 640}, r"is for 640x12 images, but these are 16x12"),
        ({"fx": "wide", "fy": 1, "cx": 1, "cy": 1}, r"intrinsics\.json: expected 4 numbers"),
    ],
)
def test_bad_intrinsics(one, tmp_path, content, message):
    one()
    (tmp_path / "one" / "intrinsics.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        one(campose=None)


def test_bad_files(frames, scratch, tmp_path):
    folder, _ = frames
    np.save(folder / "campose_0000.npy", np.array([1, "x"], dtype=object), allow_pickle=True)
    write_frame(folder / "0.hdf5", {"colors": np.zeros((H, W, 3), np.uint8)})
    with pytest.raises(DataError, match=r"campose_0000\.npy: is not a readable array"):
        read_blenderproc(folder, scratch)
    (folder / "campose_0000.npy").unlink()
    cut = (folder / "2.hdf5").read_bytes()[:1500]
    for content, said in ((b"", "is empty"), (cut, "is not a readable HDF5 file")):
        (folder / "2.hdf5").write_bytes(content)
        with pytest.raises(DataError, match=rf"2\.hdf5: {said}"):
            read_blenderproc(folder, scratch)
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "first.hdf5").write_bytes(b"")
    with pytest.raises(DataError, match=r"output: holds no frames 0\.hdf5"):
        read_blenderproc(folder, scratch)


def test_without_h5py(frames, scratch, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"needs the package h5py; pip install"):
        read_blenderproc(frames[0], scratch)


def test_keys_and_files_that_are_not_read_are_named(frames, scratch):
    folder, _ = frames
    assert is_blenderproc(folder)
    assert read_blenderproc(folder, scratch / "before").notes == ()
    path = folder / "0.hdf5"
    with h5py.File(path, "a") as file:
        file["normals"] = np.zeros((2, 2, 3), np.float32)
    (folder / "last.hdf5").write_bytes(path.read_bytes())
    assert read_blenderproc(folder, scratch / "after").notes == (
        "keys that are not read: normals",
        "1 of 4 .hdf5 files is not used (last.hdf5)",
    )
