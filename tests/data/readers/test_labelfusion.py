import json
import shutil

import cv2
import numpy as np
import pytest
import torch
import yaml

from samepoint.data.decode import decode_mask, decode_view
from samepoint.data.importers import write_native
from samepoint.data.mesh import load_mesh
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.labelfusion import is_labelfusion, read_labelfusion
from samepoint.data.readers.pose_times import PoseTiming
from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, transform

START = 1497646741_033000
"""Microseconds of the first image."""
HEIGHT, WIDTH = 480, 640
OBJECTS = {"drill": 7, "oil_bottle": 1}
IN_WORLD = {"drill": (0.05, -0.04, 0.8), "oil_bottle": (-0.1, 0.02, 0.9)}
VTP = """<?xml version="1.0"?>
<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian"><PolyData>
<Piece NumberOfPoints="3" NumberOfPolys="1">
<Points><DataArray type="Float32" NumberOfComponents="3" format="ascii">0 0 0 0.1 0 0 0 0.2 0</DataArray></Points>
<Polys><DataArray type="Int64" Name="connectivity" format="ascii">0 1 2</DataArray>
<DataArray type="Int64" Name="offsets" format="ascii">3</DataArray></Polys>
</Piece></PolyData></VTKFile>
"""


def quaternion(rotation):
    """w x y z of a rotation by less than half a turn."""
    vector = cv2.Rodrigues(rotation)[0].ravel()
    angle = np.linalg.norm(vector)
    axis = vector / max(angle, 1e-12)
    return [np.cos(angle / 2), *(np.sin(angle / 2) * axis)]


def camera(k):
    """Camera to first camera, as the posegraph has it."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(0.1 * k * np.array([0.3, -0.8, 0.2]))[0]
    pose[:3, 3] = 0.05 * k * np.array([1, 0.2, -0.3])
    return pose


def in_world(name):
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([1.0, 0.4, -0.6]))[0]
    pose[:3, 3] = IN_WORLD[name]
    return pose


def as_xtion_pixel(k, point):
    """Where a point of the world is seen: the camera looks along its third axis, its second points down."""
    pose = camera(k)
    offset = point - pose[:3, 3]
    right, down, forward = (offset @ pose[:3, i] for i in range(3))
    return 528 * right / forward + 320, 528 * down / forward + 240


def write_frame(images, k):
    stem = f"{k + 1:010d}"
    rng = np.random.default_rng(k)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    text = ""
    for name, label in sorted(OBJECTS.items(), key=lambda item: item[1]):
        u, v = as_xtion_pixel(k, np.array(IN_WORLD[name]))
        cv2.circle(labels, (round(u), round(v)), 12, label, -1)
        pose = np.linalg.inv(camera(k)) @ in_world(name)
        values = str([pose[:3, 3].tolist(), [float(q) for q in quaternion(pose[:3, :3])]])
        text += (
            f"{name}:\n  label: {label}\n  num_pixels: {float((labels == label).sum())}\n  pose: {values}\n"
        )
    cv2.imwrite(str(images / f"{stem}_rgb.png"), rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    cv2.imwrite(str(images / f"{stem}_depth.png"), np.full((HEIGHT, WIDTH), 750 + k, np.uint16))
    cv2.imwrite(str(images / f"{stem}_labels.png"), labels)
    cv2.imwrite(str(images / f"{stem}_color_labels.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (images / f"{stem}_poses.yaml").write_text(text)
    (images / f"{stem}_utime.txt").write_text(str(START + k * 33_366))


def write_log(log, frames=3):
    (log / "images").mkdir(parents=True)
    lines = []
    for k in range(frames):
        write_frame(log / "images", k)
        w, x, y, z = quaternion(camera(k)[:3, :3])
        numbers = [*camera(k)[:3, 3], x, y, z, w]
        lines.append(f"{(START + k * 33_366) / 1e6:.6f} " + " ".join(f"{n:g}" for n in numbers))
    (log / "posegraph.posegraph").write_text("\n".join(lines) + "\n")
    (log / "info.yaml").write_text('lcmlog: "original_log.lcmlog"\nobjects: ["oil_bottle", "drill"]\n')
    return log


@pytest.fixture
def log(tmp_path):
    data = tmp_path / "data"
    (data / "object-meshes").mkdir(parents=True)
    (data / "object-meshes" / "mobil1_v1.vtp").write_text(VTP)
    meshes = {"oil_bottle": "mobil1_v1.vtp", "drill": "blue_funnel.stl", "phone": "phone.vtp"}
    content = {
        name: {"label": {**OBJECTS, "phone": 2}[name], "mesh": f"object-meshes/{mesh}"}
        for name, mesh in meshes.items()
    }
    (data / "object_data.yaml").write_text(yaml.safe_dump(content))
    return write_log(data / "logs_test" / "2017-06-16-20")


def read(source, tmp_path):
    scratch = tmp_path / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return read_labelfusion(source, scratch)


def test_read(log, tmp_path):
    assert is_labelfusion(log)
    data = read(log, tmp_path)
    (recording,) = data.recordings
    assert (recording.name, recording.mode, recording.split) == ("2017-06-16-20", "scan", None)
    assert [moment.time for moment in recording.moments] == pytest.approx(
        [START / 1e6 + k * 0.033366 for k in range(3)], abs=1e-6
    )
    assert {n: m.family for n, m in data.objects.items()} == {1: "oil_bottle", 7: "drill"}
    bottle = load_mesh(data.objects[1])
    assert bottle.vertices.abs().max().item() == pytest.approx(0.2)
    assert len(bottle.faces) == 1
    assert data.objects[7].mesh is None  # STL is not read
    for k, view in enumerate(recording.views()):
        assert view.intrinsics.tolist() == [[528, 0, 320], [0, 528, 240], [0, 0, 1]]
        torch.testing.assert_close(
            view.world_from_camera, torch.from_numpy(camera(k)).float(), atol=1e-5, rtol=0
        )
        arrays = decode_view(view)
        assert (arrays.depth == 750 + k).all()
        assert arrays.metres_per_unit == 0.001
        assert [p.object_id for p in view.placements] == [1, 7]
        for placement in view.placements:
            labels = cv2.imread(str(view.image).replace("_rgb", "_labels"), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(decode_mask(placement.mask), labels == placement.object_id)


def test_convention_pose(log, tmp_path):
    """Through the camera's axes, as LabelFusion draws: a point of the world lies at the same pixel by our pose of the
    camera, and an object's origin by our pose of the object, and in its mask."""
    for k, view in enumerate(read(log, tmp_path).views()):
        for placement, name in zip(view.placements, ("oil_bottle", "drill"), strict=True):
            truth = as_xtion_pixel(k, np.array(IN_WORLD[name]))
            point = torch.tensor([IN_WORLD[name]])
            seen, _ = project(view.intrinsics, transform(invert(view.world_from_camera), point))
            assert seen[0].tolist() == pytest.approx(truth, abs=0.02)
            seen, _ = project(view.intrinsics, transform(placement.camera_from_object, torch.zeros(1, 3)))
            assert seen[0].tolist() == pytest.approx(truth, abs=1e-3)
            u, v = seen[0].round().int().tolist()
            assert decode_mask(placement.mask)[v, u]
            still = view.world_from_camera @ placement.camera_from_object
            torch.testing.assert_close(still, torch.from_numpy(in_world(name)).float(), atol=1e-4, rtol=0)


def test_the_nearest_pose_in_time(log, tmp_path):
    graph = log / "posegraph.posegraph"
    lines = graph.read_text().splitlines()
    graph.write_text("\n".join(reversed(lines)))  # any order
    (log / "images" / "0000000001_utime.txt").write_text(f"{START + 33_366 - 10_000}\n")
    (log / "images" / "0000000003_utime.txt").write_text(str(START + 2 * 33_366 + 60_000))
    first, second, third = read(log, tmp_path).views()
    torch.testing.assert_close(first.world_from_camera, second.world_from_camera)
    assert third.world_from_camera is None
    assert third.placements == ()  # its labels were drawn by another moment's pose
    assert third.depth is not None
    graph.write_text(lines[0])
    assert [v.world_from_camera is None for v in read(log, tmp_path).views()] == [False, False, True]


def test_parts_may_be_missing(log, tmp_path):
    images = log / "images"
    (images / "0000000001_depth.png").unlink()
    (images / "0000000001_labels.png").unlink()
    (images / "0000000002_poses.yaml").unlink()
    (images / "0000000003_labels.png").unlink()
    (images / "0000000003_poses.yaml").write_text("")  # nothing in view
    first, second, third = read(log, tmp_path).views()
    assert [v.depth is None for v in (first, second, third)] == [True, False, False]
    assert [(p.mask is None, p.camera_from_object is None) for p in first.placements] == [(True, False)] * 2
    assert [(p.mask is None, p.camera_from_object is None) for p in second.placements] == [(False, True)] * 2
    assert third.placements == ()
    (log / "posegraph.posegraph").unlink()
    (images / "0000000001_utime.txt").unlink()
    (recording,) = read(log, tmp_path).recordings
    assert all(v.world_from_camera is None for v in recording.views())
    assert [len(v.placements) for v in recording.views()] == [2, 2, 0]
    assert [m.time is None for m in recording.moments] == [True, False, False]


def test_folders(log, tmp_path):
    """A folder of logs, and a whole data set without the logs put aside."""
    write_log(log.parent / "2017-06-16-28", frames=1)
    write_log(log.parents[1] / "logs_arch" / "2017-05-01-00", frames=1)
    (log.parent / "2017-06-17-00").mkdir()  # not extracted
    for source in (log.parent, log.parents[1]):
        assert is_labelfusion(source)
        data = read(source, tmp_path)
        assert [r.name for r in data.recordings] == ["2017-06-16-20", "2017-06-16-28"]
        masks = [p.mask for view in data.views() for p in view.placements]
        assert len(set(masks)) == len(masks) == 8
        assert all(mask.is_file() for mask in masks)


def test_another_camera(log, tmp_path):
    camera = {"fx": 610.5, "fy": 611, "cx": 319.5, "cy": 239, "depth_unit_m": 0.0001, "width": 640}
    (log.parent / "intrinsics.json").write_text(json.dumps(camera))
    view = read(log, tmp_path).views()[0]
    assert view.intrinsics.tolist() == [[610.5, 0, 319.5], [0, 611, 239], [0, 0, 1]]
    assert view.depth.metres_per_unit == 0.0001


def test_small_numbers(log, tmp_path):
    """Python writes 1e-05, which YAML takes for a word."""
    path = log / "images" / "0000000001_poses.yaml"
    path.write_text(
        "drill:\n  label: 7\n  num_pixels: 4.0\n  pose: [[1e-05, 0.5, 0.8], [1.0, 1e-06, 0.0, 0.0]]\n"
    )
    placements = {p.object_id: p for p in read(log, tmp_path).views()[0].placements}
    assert placements[7].camera_from_object[:3, 3].tolist() == pytest.approx([1e-5, 0.5, 0.8])


def text(name, content):
    return lambda log: (log / name).write_text(content)


def poses(content):
    return text("images/0000000002_poses.yaml", content)


def known(**changes):
    def write(log):
        path = log.parents[1] / "object_data.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))

    return write


def resize(log):
    for path in (log / "images").glob("*_rgb.png"):
        cv2.imwrite(str(path), np.zeros((360, 480, 3), np.uint8))


POSE = "pose: [[0, 0, 1], [1, 0, 0, 0]]"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda log: shutil.rmtree(log / "images"), "holds no LabelFusion log with images; a log is"),
        (lambda log: (log / "images" / "0000000001_rgb.png").write_bytes(b"x"), "is not a readable image"),
        (
            resize,
            r"the images are 480x360, not the 640x480 of LabelFusion's own camera; write intrinsics\.json",
        ),
        (text("intrinsics.json", "{"), r"intrinsics\.json: is not valid JSON"),
        (text("intrinsics.json", "[]"), "lacks fx, fy, cx, cy"),
        (text("intrinsics.json", '{"fx": 500, "cx": 320}'), "lacks fy, cy"),
        (text("intrinsics.json", '{"fx": 0, "fy": 5, "cx": 3, "cy": 3}'), "camera matrix"),
        (
            text("intrinsics.json", '{"fx": 5, "fy": 5, "cx": 3, "cy": 3, "width": 6}'),
            r"is for images 6 pixels wide, but 0000000001_rgb\.png is 640x480",
        ),
        (
            text("intrinsics.json", '{"fx": 5, "fy": 5, "cx": 3, "cy": 3, "depth_unit_m": 0}'),
            "depth_unit_m is 0",
        ),
        (text("posegraph.posegraph", ""), r"posegraph\.posegraph: holds no poses"),
        (
            text("posegraph.posegraph", "1 0 0 0 0 0 1"),
            r"posegraph, line 1: is not a pose; write seconds x y z",
        ),
        (text("posegraph.posegraph", "\nt 0 0 0 0 0 0 1"), "line 2: is not a pose"),
        (text("posegraph.posegraph", "1 0 0 0 0 0 0 3"), "line 1: the quaternion .* has the length 3"),
        (text("posegraph.posegraph", "1 0 0 nan 0 0 0 1"), "line 1: .*finite"),
        (text("posegraph.posegraph", "inf 0 0 0 0 0 0 1"), "has a time that is not finite"),
        (text("posegraph.posegraph", "1 0 0 0 0 0 0 1"), "has no pose near the time of any image; it counts"),
        (lambda log: (log / "posegraph.posegraph").write_bytes(b"\xff\xfe\x00"), "cannot be read as text"),
        (lambda log: (log / "images" / "0000000002_utime.txt").unlink(), r"_utime\.txt: this file does not"),
        (text("images/0000000002_utime.txt", "noon"), r"0000000002_utime\.txt: is not a time; write whole"),
        (poses("drill: {"), r"0000000002_poses\.yaml: is not valid YAML"),
        (poses("drill: 7"), r"0000000002_poses\.yaml, drill: has no label and pose"),
        (poses("drill: {label: 7, pose: [0, 0, 1]}"), "drill: has no label and pose"),
        (poses("drill: {label: 7, pose: [[0, 0], [1, 0, 0, 0]]}"), "drill: expected 3 numbers"),
        (poses("drill: {label: 7, pose: [[0, 0, 1], [9, 0, 0, 0]]}"), "drill: the quaternion"),
        (
            poses(f"drill: {{label: 3, {POSE}}}"),
            "has the label 3 for drill, which .*object_data.yaml does not",
        ),
        (poses(f"hammer: {{label: 7, {POSE}}}"), "has the label 7 for hammer, which"),
        (
            lambda log: (log.parents[1] / "object_data.yaml").unlink(),
            r"0000000001_labels\.png: shows an object, but there is no object_data\.yaml; put it into",
        ),
        (
            known(drill={"label": 1}),
            r"object_data\.yaml: (drill|oil_bottle) has the label 1; give each object",
        ),
        (known(drill={"mesh": "x"}), "drill has the label None"),
        (known(drill=7), "drill has the label None"),
        (known(drill={"label": 9}), r"0000000001_labels\.png: has the label 7, which .* does not have"),
        (lambda log: (log / "images" / "0000000002_labels.png").write_bytes(b"x"), "damaged or truncated"),
        (
            lambda log: (log.parents[1] / "object-meshes" / "mobil1_v1.vtp").write_text("<VTKFile>"),
            r"mobil1_v1\.vtp: is not a VTP mesh",
        ),
    ],
)
def test_bad(log, tmp_path, break_it, message):
    break_it(log)
    with pytest.raises(DataError, match=message) as raised:
        read(log, tmp_path)
    assert "\n" not in str(raised.value)


def test_import(log, tmp_path):
    data = read(log, tmp_path)
    write_native(data, tmp_path / "bop")
    again = read_bop(tmp_path / "bop")
    assert {m.family for m in again.objects.values()} == {"oil_bottle", "drill"}
    for mine, theirs in zip(data.views(), again.views(), strict=True):
        torch.testing.assert_close(mine.world_from_camera, theirs.world_from_camera, atol=1e-6, rtol=1e-6)
        for p, q in zip(mine.placements, theirs.placements, strict=True):
            torch.testing.assert_close(p.camera_from_object, q.camera_from_object, atol=1e-6, rtol=1e-6)
        a, b = decode_view(mine), decode_view(theirs)
        assert np.array_equal(a.depth, b.depth)
        assert np.array_equal(a.labels, b.labels)


def test_poses_between_two_entries_and_what_is_said(log, tmp_path):
    images = log / "images"
    (images / "0000000002_utime.txt").write_text(str(START + 16_683))
    (images / "0000000003_utime.txt").write_text(str(START + 2 * 33_366 + 60_000))
    (images / "0000000001_depth.png").unlink()
    name = f"{log.name}: "
    notes = read(log, tmp_path).notes
    assert notes[0].startswith(
        f"{name}posegraph.posegraph: 1 of 3 images have no pose (none within 0.05 s), the pose taken for the others"
    )
    assert notes[1:] == (
        f"{name}1 of 3 images have no depth image",
        f"{name}1 of 3 images have no objects: none of their poses is of their time",
    )
    data = read_labelfusion(log, tmp_path / "between", PoseTiming(interpolate_poses=True))
    first, second, third = data.views()
    torch.testing.assert_close(
        first.world_from_camera, torch.from_numpy(camera(0)).float(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        second.world_from_camera, torch.from_numpy(camera(0.5)).float(), atol=1e-4, rtol=0
    )
    assert third.world_from_camera is None
    assert len(second.placements) == 2
    assert data.notes[0].startswith(
        f"{name}posegraph.posegraph: 1 of 3 images have a pose between two entries"
    )


def test_numbers_of_any_length_in_natural_order(log, tmp_path):
    for path in list((log / "images").iterdir()):
        number, _, kind = path.name.partition("_")
        path.rename(path.with_name(f"{int(number) * 5}_{kind}"))
    assert [v.image.name for v in read(log, tmp_path).views()] == ["5_rgb.png", "10_rgb.png", "15_rgb.png"]
