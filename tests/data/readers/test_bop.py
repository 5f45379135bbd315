"""What the writer writes the reader reads; foreign BOP folders are read too."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import roma
import torch

from samepoint.data.decode import decode_view
from samepoint.data.mesh import load_mesh
from samepoint.data.open import open_dataset
from samepoint.data.readers.bop import BopWriter, ObjectMesh, SceneWriter, WrittenView, is_bop, read_bop
from samepoint.data.recording import Dataset, DepthFile, Symmetry
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens

K = np.array([[60.0, 0, 15.5], [0, 61.0, 11.5], [0, 0, 1]])
SIZE = (24, 32)


def pose(generator: torch.Generator) -> torch.Tensor:
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, :3] = roma.rotvec_to_rotmat(torch.randn(3, generator=generator, dtype=torch.float64))
    motion[:3, 3] = torch.randn(3, generator=generator, dtype=torch.float64)
    return motion


def view(generator: torch.Generator, camera="cam0", objects=(1, 2)) -> WrittenView:
    labels = torch.randint(0, len(objects) + 1, SIZE, generator=generator).to(torch.uint8)
    depth = torch.rand(SIZE, generator=generator) * 5
    depth[0, 0], depth[0, 1] = 0, float("nan")
    return WrittenView(
        camera,
        torch.randint(0, 256, (*SIZE, 3), generator=generator).to(torch.uint8).numpy(),
        K,
        pose(generator),
        depth.numpy(),
        labels.numpy(),
        [(number, pose(generator)) for number in objects],
        visible_fractions=[0.25 * (k + 1) for k in range(len(objects))],
    )


def mesh(generator: torch.Generator, family: str) -> ObjectMesh:
    turn = torch.eye(4)
    turn[:3, 3] = torch.tensor([0.01, 0.02, 0.03])
    axis, offset = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.1, 0.0, 0.0])
    vertices, faces = torch.rand(6, 3, generator=generator), torch.tensor([[0, 1, 2], [3, 4, 5]])
    keypoints = {"handle": torch.rand(3, generator=generator), "rim": torch.rand(3, generator=generator)}
    symmetry = Symmetry((turn,), ((axis, offset),))
    return ObjectMesh(family, vertices, faces, torch.rand(6, 3, generator=generator), keypoints, symmetry)


@pytest.fixture
def written(tmp_path, generator):
    """A scan (three moments), a rig with two cameras, and what was written."""
    root = tmp_path / "data"
    writer = BopWriter(root, {"seed": 7})
    meshes = [mesh(generator, "mug"), mesh(generator, "cap")]
    assert [writer.add_object(m) for m in meshes] == [1, 2]
    scan = [view(generator) for _ in range(3)]
    with writer.scene("train", 0, "scan") as scene:
        for i, v in enumerate(scan):
            scene.add_moment([v], time=0.5 * i)
    rig = [view(generator, "left"), view(generator, "right", (2,))]
    with SceneWriter(root, "test", 3, "rig") as scene:
        scene.add_moment(rig, time=1.5, sync_group="g")
    writer.close()
    return root, meshes, scan, rig


def test_round_trip_of_recordings(written):
    root, _, scan, rig = written
    data = read_bop(root)
    assert [(r.name, r.mode, r.split) for r in data.recordings] == [
        ("test/000003", "rig", "test"),
        ("train/000000", "scan", "train"),
    ]
    assert [r.name for r in data.split("train").recordings] == ["train/000000"]
    assert [moment.time for moment in data.recordings[1].moments] == [0, 0.5, 1.0]
    (moment,) = data.recordings[0].moments
    assert (moment.time, moment.sync_group) == (1.5, "g")
    assert [v.camera for v in moment.views] == ["left", "right"]
    for source, back in zip([*rig, *scan], data.views(), strict=True):
        torch.testing.assert_close(back.intrinsics, torch.from_numpy(K).float())
        torch.testing.assert_close(
            back.world_from_camera, source.world_from_camera.float(), atol=1e-6, rtol=1e-6
        )
        assert [p.object_id for p in back.placements] == [number for number, _ in source.placements]
        assert [p.visible_fraction for p in back.placements] == source.visible_fractions
        for placement, (_, truth) in zip(back.placements, source.placements, strict=True):
            torch.testing.assert_close(placement.camera_from_object, truth.float(), atol=1e-6, rtol=1e-6)


def test_round_trip_of_pixels(written):
    root, _, scan, _ = written
    for source, back in zip(scan, read_bop(root).split("train").views(), strict=True):
        arrays = decode_view(back)
        assert np.array_equal(arrays.image, source.image)
        assert np.array_equal(arrays.labels, source.labels)
        metres = arrays.depth * arrays.metres_per_unit
        assert np.abs(metres - np.nan_to_num(source.depth)).max() < 0.51e-4
        assert (arrays.depth[0, :2] == 0).all()


def test_round_trip_of_objects(written):
    root, meshes, _, _ = written
    data = read_bop(root)
    assert sorted(data.objects) == [1, 2]
    for source, model in zip(meshes, data.objects.values(), strict=True):
        assert model.family == source.family
        assert sorted(model.keypoints) == ["handle", "rim"]
        for name, xyz in source.keypoints.items():
            torch.testing.assert_close(model.keypoints[name], xyz)
        back = load_mesh(model)
        torch.testing.assert_close(back.vertices, source.vertices)
        torch.testing.assert_close(back.coordinates, source.coordinates)
        assert torch.equal(back.faces, source.faces)
        torch.testing.assert_close(model.symmetry.discrete[0], source.symmetry.discrete[0])
        for got, want in zip(model.symmetry.continuous[0], source.symmetry.continuous[0], strict=True):
            torch.testing.assert_close(got, want)
        assert model.diameter == pytest.approx(
            torch.cdist(source.vertices, source.vertices).max().item(), rel=1e-5
        )


def test_bare_view(tmp_path):
    """A view without intrinsics, pose, depth, labels comes back without them."""
    writer = BopWriter(tmp_path)
    with writer.scene("validation", 0, "photos") as scene:
        scene.add_moment([WrittenView("phone", np.zeros((4, 6, 3), np.uint8))])
    writer.close()
    (recording,) = read_bop(tmp_path).recordings
    (back,) = recording.views()
    assert (recording.mode, recording.split, back.camera) == ("photos", "validation", "phone")
    assert back.intrinsics is None
    assert back.world_from_camera is None
    assert back.depth is None
    assert back.placements == ()


def test_far_depth_is_kept_to_a_millimetre(tmp_path):
    depth = np.full((4, 6), 12.3456, np.float32)
    writer = BopWriter(tmp_path)
    with writer.scene("train", 0) as scene:
        scene.add_moment([WrittenView("c", np.zeros((4, 6, 3), np.uint8), K, depth=depth)])
    writer.close()
    arrays = decode_view(read_bop(tmp_path).views()[0])
    assert arrays.depth[0, 0] * arrays.metres_per_unit == pytest.approx(12.346)


def test_files_are_copied_as_they_are(tmp_path, generator):
    image = tmp_path / "photo.JPG"
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((8, 8, 3), 90, np.uint8))
    (tmp_path / "photo.jpg").rename(image)
    depth = tmp_path / "depth.png"
    cv2.imwrite(str(depth), np.full((8, 8), 1234, np.uint16))
    writer = BopWriter(tmp_path / "data")
    with writer.scene("train", 0) as scene:
        scene.add_moment([WrittenView("c", image, K, depth=DepthFile(depth, 0.001))])
    writer.close()
    (back,) = read_bop(tmp_path / "data").views()
    assert back.image.read_bytes() == image.read_bytes()
    assert back.depth.path.read_bytes() == depth.read_bytes()
    assert back.depth.metres_per_unit == pytest.approx(0.001)


def test_a_failed_scene_leaves_nothing(tmp_path, generator):
    with pytest.raises(DataError, match="different cameras"), SceneWriter(tmp_path, "train", 0) as scene:
        scene.add_moment([view(generator), view(generator)])
    assert list((tmp_path / "train").iterdir()) == []


def test_writer_refuses(tmp_path, generator, written):
    with pytest.raises(DataError, match="not empty"):
        BopWriter(written[0])
    with pytest.raises(DataError, match="already there"):
        SceneWriter(written[0], "train", 0)
    scene = SceneWriter(tmp_path / "new", "train", 0)
    good = view(generator)
    with pytest.raises(DataError, match="different cameras"):
        scene.add_moment([good, good])
    with pytest.raises(DataError, match="uint8"):
        scene.add_moment([WrittenView("c", np.zeros((4, 4, 3), np.float32))])
    with pytest.raises(DataError, match="label 3 has no placement"):
        scene.add_moment([WrittenView("c", good.image, labels=np.full(SIZE, 3, np.uint8))])
    with pytest.raises(DataError, match="labels are"):
        scene.add_moment([WrittenView("c", good.image, labels=np.zeros((3, 3), np.uint8))])
    with pytest.raises(DataError, match="depth is"):
        scene.add_moment([WrittenView("c", good.image, depth=np.zeros((3, 3), np.float32))])


def foreign(root: Path, written: Path, *, moved: bool = False) -> Path:
    """The scan as another program would leave it, with the objects' world places fixed or not."""
    shutil.copytree(written, root)
    (root / "samepoint.json").unlink()
    scene = root / "train_pbr" / "000017"
    scene.parent.mkdir()
    (root / "train" / "000000").rename(scene)
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "test")
    (scene / "scene_samepoint.json").unlink()
    cameras = json.loads((scene / "scene_camera.json").read_text())
    truth = json.loads((scene / "scene_gt.json").read_text())
    for number, camera in cameras.items():
        for k, entry in enumerate(truth[number]):
            entry["cam_R_m2c"] = camera["cam_R_w2c"]
            entry["cam_t_m2c"] = (
                np.array(camera["cam_t_w2c"]) + 500 * k + moved * 900 * int(number)
            ).tolist()
            offset = np.array(camera["cam_R_w2c"]).reshape(3, 3) @ np.array([100.0 * k, 0, 0])
            if not moved:
                entry["cam_t_m2c"] = (np.array(camera["cam_t_w2c"]) + offset).tolist()
    (scene / "scene_gt.json").write_text(json.dumps(truth))
    return scene


def test_foreign(tmp_path, written):
    scene = foreign(tmp_path / "f", written[0])
    data = read_bop(tmp_path / "f")
    (recording,) = data.recordings
    assert (recording.name, recording.mode, recording.split) == ("train_pbr/000017", "scan", "train")
    assert [len(moment.views) for moment in recording.moments] == [1, 1, 1]
    assert all(moment.time is None for moment in recording.moments)
    assert data.objects[1].family is None
    assert data.objects[1].diameter > 0
    for part, split in ((scene.parent, "train"), (scene, "train")):
        (again,) = read_bop(part).recordings
        assert (len(again.moments), again.split) == (3, split)


def test_foreign_with_little(tmp_path, written):
    """gray/ instead of rgb/, no masks, no depth, no scene_gt, no world poses, no models."""
    scene = foreign(tmp_path / "f", written[0])
    (scene / "rgb").rename(scene / "gray")
    for folder in ("depth", "mask_visib"):
        shutil.rmtree(scene / folder)
    shutil.rmtree(tmp_path / "f" / "models")
    for name in ("scene_gt.json", "scene_gt_info.json"):
        (scene / name).unlink()
    cameras = json.loads((scene / "scene_camera.json").read_text())
    (scene / "scene_camera.json").write_text(
        json.dumps({k: {"cam_K": v["cam_K"]} for k, v in cameras.items()})
    )
    scene.parent.rename(scene.parent.with_name("odd"))
    data = read_bop(tmp_path / "f")
    assert data.objects == {}
    assert data.recordings[0].split is None
    for back in data.views():
        assert back.world_from_camera is None
        assert back.depth is None
        assert back.placements == ()


def test_foreign_scene_with_moving_objects_is_no_scan(tmp_path, written):
    foreign(tmp_path / "f", written[0], moved=True)
    assert read_bop(tmp_path / "f").recordings[0].mode == "shuffle"


def test_parts_of_a_native_data_set_keep_its_objects(written):
    for part in (written[0] / "train", written[0] / "train" / "000000"):
        data = read_bop(part)
        assert [r.split for r in data.recordings] == ["train"]
        assert data.objects[1].family == "mug"


def test_unfinished_data_set(written):
    (written[0] / "samepoint.json").unlink()
    with pytest.raises(DataError, match="was not finished"):
        read_bop(written[0])


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def mirror(cameras: dict) -> None:
    r = np.array(cameras["1"]["cam_R_w2c"]).reshape(3, 3)
    cameras["1"]["cam_R_w2c"] = (np.diag([1, 1, -1]) @ r).ravel().tolist()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scene_camera.json", mirror, r"scene_camera\.json, image 1: .*mirrored"),
        ("scene_camera.json", lambda c: c["0"].update(cam_t_w2c=[0, float("nan"), 0]), "image 0: .*finite"),
        ("scene_camera.json", lambda c: c["0"].update(cam_K=[1, 2, 3]), "expected 9 numbers"),
        ("scene_camera.json", lambda c: c["0"].update(cam_K=[0] * 9), "camera matrix"),
        ("scene_camera.json", lambda c: c["0"].pop("cam_K"), "depth without cam_K"),
        ("scene_camera.json", lambda c: c["0"].pop("depth_scale"), "depth without cam_K"),
        ("scene_camera.json", lambda c: c.update({"9": c["0"]}), "image 9 of scene_camera.json is missing"),
        ("scene_gt.json", lambda c: c["0"][1].pop("obj_id"), "do not fit together"),
        (
            "scene_gt.json",
            lambda c: c["0"][1].update(cam_R_m2c=[2, 0, 0, 0, 2, 0, 0, 0, 2]),
            "object 1: .*orthonorm",
        ),
        ("scene_samepoint.json", lambda c: c.update(mode="film"), "choose one of: scan, shuffle"),
        ("scene_samepoint.json", lambda c: c["moments"][0].update(views={"cam0": 44}), "do not fit together"),
    ],
)
def test_bad_scene(written, name, change, message):
    edit(written[0] / "train" / "000000" / name, change)
    with pytest.raises(DataError, match=message):
        read_bop(written[0])


def test_bad_header(written):
    edit(written[0] / "samepoint.json", lambda c: c.update(version=2))
    with pytest.raises(DataError, match="has version 2"):
        read_bop(written[0])
    edit(written[0] / "samepoint.json", lambda c: c.update(format="x"))
    with pytest.raises(DataError, match="not a data set header"):
        read_bop(written[0])


def test_truncated_json(written):
    path = written[0] / "train" / "000000" / "scene_gt.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match=r"scene_gt\.json: is not valid JSON"):
        read_bop(written[0])


def test_is_bop(tmp_path, written):
    assert is_bop(written[0])
    assert not is_bop(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="holds no BOP scene"):
        read_bop(tmp_path / "elsewhere")


def test_unfinished_scene_is_not_read(written, generator):
    SceneWriter(written[0], "train", 5).add_moment([view(generator)])
    data = read_bop(written[0])
    assert isinstance(data, Dataset)
    assert len(data.recordings) == 2


def some(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).iterdir())


def test_a_copy_of_keyframes_is_read_and_counted(tmp_path, written):
    scene = foreign(tmp_path / "f", written[0])
    some(scene, "rgb")[1].unlink()
    data = read_bop(tmp_path / "f")
    assert [v.image.stem for v in data.views()] == ["000000", "000002"]
    assert data.notes[0] == (
        f"1 of 3 images of scene_camera.json are not there and left out ({scene / 'scene_camera.json'})"
    )
    for path in some(scene, "rgb"):
        path.unlink()
    with pytest.raises(DataError, match=r"rgb: image 0 of scene_camera\.json is missing"):
        read_bop(tmp_path / "f")


def test_what_stands_beside_is_counted(tmp_path, written):
    scene = foreign(tmp_path / "f", written[0])
    shutil.copy(some(scene, "rgb")[0], scene / "rgb" / "000077.png")
    some(scene, "depth")[0].unlink()
    some(scene, "mask_visib")[0].unlink()
    shutil.copytree(scene / "mask_visib", scene / "mask")
    masks, depth, unused = read_bop(tmp_path / "f").notes
    assert depth == f"1 of 3 images have no depth image ({scene / 'depth'})"
    assert masks == f"1 of 6 objects have no mask file ({scene / 'mask_visib'})"
    assert unused == (
        "train_pbr/000017/rgb: 1 of 4 .png files is not used (000077.png): scene_camera.json does not name them"
    )


@pytest.mark.parametrize("kind", ["JPEG", "whole"])
def test_masks_of_other_kinds(tmp_path, written, kind):
    """JPEG masks, and whole silhouettes where there are no visible parts."""
    scene = foreign(tmp_path / "f", written[0])
    wanted = [decode_view(v).labels for v in read_bop(tmp_path / "f").views()]
    for path in some(scene, "mask_visib") if kind == "JPEG" else ():
        content = cv2.imread(str(path), 0)
        cv2.imwrite(str(path.with_suffix(".jpg")), content, [cv2.IMWRITE_JPEG_QUALITY, 100])
        path.unlink()
    if kind == "whole":
        (scene / "mask_visib").rename(scene / "mask")
    data = read_bop(tmp_path / "f")
    for view, labels in zip(data.views(), wanted, strict=True):
        assert (decode_view(view).labels == labels).mean() > 0.95
    whole = "6 masks are whole silhouettes, also where objects are hidden"
    assert [note.startswith(whole) for note in data.notes] == [True] * (kind == "whole")


def of_sensor(scene: Path, name: str, image: str) -> None:
    """The scene's files as those of one of several sensors as well."""
    for kind in ("scene_camera", "scene_gt", "scene_gt_info"):
        shutil.copy(scene / f"{kind}.json", scene / f"{kind}_{name}.json")
    for kind, folder in (("rgb", image), ("depth", f"depth_{name}"), ("mask_visib", f"mask_visib_{name}")):
        if folder != kind:
            shutil.copytree(scene / kind, scene / folder)


def without_its_own(scene: Path, *folders: str) -> None:
    for kind in ("scene_camera", "scene_gt", "scene_gt_info"):
        (scene / f"{kind}.json").unlink()
    for kind in folders:
        shutil.rmtree(scene / kind)


def test_several_sensors(tmp_path, written):
    """As IPD has them (rgb_cam1, depth_cam1 ...) and HOT3D (a folder named like the sensor)."""
    scene = foreign(tmp_path / "f", written[0])
    before = [decode_view(view) for view in read_bop(tmp_path / "f").views()]
    of_sensor(scene, "cam1", "rgb_cam1")
    of_sensor(scene, "gray2", "gray2")
    without_its_own(scene, "rgb", "depth", "mask_visib")
    assert is_bop(tmp_path / "f")
    data = read_bop(tmp_path / "f")
    assert [r.name for r in data.recordings] == ["train_pbr/000017/cam1", "train_pbr/000017/gray2"]
    assert data.notes == ()
    for recording in data.recordings:
        for view, known in zip(recording.views(), before, strict=True):
            assert np.array_equal(decode_view(view).labels, known.labels)
            assert np.array_equal(decode_view(view).depth, known.depth)
    shutil.rmtree(scene / "gray2")
    data = read_bop(tmp_path / "f")
    assert len(data.recordings) == 1
    assert data.notes[0].startswith("3 images of scene_camera_gray2.json are not there and left out")


def as_hot3d(scene: Path, distortion: list[float]) -> None:
    def change(cameras):
        for camera in cameras.values():
            k = camera.pop("cam_K")
            kind = "CameraModelType.FISHEYE624"
            parameters = [k[0], k[2], k[5], *distortion]
            camera["cam_model"] = {"projection_model_type": kind, "projection_params": parameters}

    of_sensor(scene, "rgb", "rgb")
    without_its_own(scene, "depth", "depth_rgb", "mask_visib")
    edit(scene / "scene_camera_rgb.json", change)


def test_camera_models_of_hot3d(tmp_path, written):
    as_hot3d(foreign(tmp_path / "f", written[0]), [0.1, -0.02] + [0.0] * 10)
    data = read_bop(tmp_path / "f")
    assert {view.lens for view in data.views()} == {Lens("fisheye", (0.1, -0.02, 0.0, 0.0))}
    assert all(view.placements[0].mask is not None for view in data.views())
    with pytest.raises(
        DataError, match=r"its images are bent .*; samepoint data import bop .* straightens them"
    ):
        open_dataset(tmp_path / "f")


def test_a_camera_model_that_is_not_read_is_said(tmp_path, written):
    as_hot3d(foreign(tmp_path / "f", written[0]), [0.1, -0.02, 0, 0, 0, 0, 0.01, 0, 0, 0, 0, 0])
    data = read_bop(tmp_path / "f")
    assert all(v.intrinsics is None and v.world_from_camera is not None for v in data.views())
    assert data.notes[0].startswith("3 images have the camera model FISHEYE624, which is not read (")
