"""Where poses are looked for, what they are held against, and when what was learnt counts, with planted answers."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.mesh import Mesh, write_ply
from samepoint.data.object_shape import ObjectShape
from samepoint.data.open import open_dataset
from samepoint.data.readers.bop import BopWriter, ObjectMesh, WrittenView
from samepoint.data.recording import Dataset, ObjectModel
from samepoint.errors import DataError, RunError
from samepoint.geometry.motions import exp
from samepoint.inference.pose import ObjectKeypoints, ObjectPose, PoseFinder
from samepoint.models import NetworkConfig
from samepoint.models.keypoints import KeypointConfig, KeypointNetwork
from samepoint.models.weights import save_network
from samepoint.workflows.poses import (
    OBJECTS,
    FoundPose,
    find_poses,
    load_pose_finder,
    read_objects,
    score_poses,
)

SIZE = (48, 64)
CAMERA = np.array([[60.0, 0.0, 31.5], [0.0, 60.0, 23.5], [0.0, 0.0, 1.0]])
CUBE = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
FACES = torch.tensor([[0, 1, 2], [3, 2, 1], [4, 5, 6], [7, 6, 5]])
PLACES = {1: (slice(4, 24), slice(4, 24)), 2: (slice(20, 40), slice(30, 60)), 3: (slice(0, 3), slice(40, 60))}


def pose(number, k):
    twist = torch.tensor([0.02 * number, 0.01 * k, 0.5, 0.1 * k, 0.05 * number, 0.0], dtype=torch.float64)
    return exp(twist).float()


def written_view(numbers, k, masks=True):
    rng, labels = np.random.default_rng(k), np.zeros(SIZE, np.uint8)
    for j, number in enumerate(numbers):
        labels[PLACES[number]] = j + 1
    image = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    placements = [(number, pose(number, k).numpy()) for number in numbers]
    depth = np.full(SIZE, 0.5, np.float32)
    return WrittenView("cam0", image, CAMERA, np.eye(4), depth, labels if masks else None, placements)


def write(root, half=(0.02, 0.05, 0.03), masks=True, **splits):
    """Cubes of these half sides, named a, b, c with the ids 1, 2, 3; three views of each split's objects. Object 3
    has a mask of less than 64 pixels."""
    writer = BopWriter(root)
    for name, size in zip("abc", half, strict=True):
        writer.add_object(ObjectMesh(name, size * CUBE, FACES))
    for split, numbers in splits.items():
        with writer.scene(split, 0, "scan") as scene:
            for k in range(3):
                scene.add_moment([written_view(numbers, k, masks)])
    writer.close()
    return root


@pytest.fixture
def data(tmp_path):
    """Object 1 to train on, 2 in both splits, 3 too small to look at."""
    return write(tmp_path / "data", train=(1, 2, 3), test=(2,))


class Told(PoseFinder):
    """Answers one pose, and keeps what it was asked."""

    def __init__(self, numbers, shapes=None):
        points, weight = torch.rand(8, 3), torch.ones(8)
        shapes = shapes or {}
        objects = {n: ObjectKeypoints(points, weight, shapes.get(n, ObjectShape())) for n in numbers}
        super().__init__(lambda image: None, objects)
        self.asked = []

    def find_pose(self, number, image, intrinsics, *, depth=None, lift=None, mask=None):
        self.asked.append((number, lift, None if mask is None else int(mask.sum())))
        return ObjectPose(torch.eye(4), 8, 0.0)


def frames(root, *, depth=0.5, unit=0.001, intrinsics=True):
    """color/ and depth/ as a camera writes them: nothing is said of objects. `depth` metres."""
    for folder in ("color", "depth"):
        (root / folder).mkdir(parents=True)
    for k in range(2):
        Image.fromarray(np.full((*SIZE, 3), 40 * k, np.uint8)).save(root / "color" / f"{k}.png")
        Image.fromarray(np.full(SIZE, round(depth / 0.001), np.uint16)).save(root / "depth" / f"{k}.png")
    camera = {"fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5, "depth_unit_m": unit}
    (root / "intrinsics.json").write_text(json.dumps(camera))
    if not intrinsics:
        (root / "intrinsics.json").unlink()
        shutil.rmtree(root / "depth")
        (root / "pose").mkdir()
    return open_dataset(root)


def scaled_depth(root, factor):
    for path in root.glob("*/*/scene_camera.json"):
        cameras = json.loads(path.read_text())
        for camera in cameras.values():
            camera["depth_scale"] *= factor
        path.write_text(json.dumps(cameras))


def test_the_objects_of_a_view_are_those_that_the_data_names(data):
    finder = Told((1, 2, 3, 9))
    found = find_poses(finder, open_dataset(data))
    assert {f.object_id for f in found} == {1, 2}  # 3 has too small a mask, 9 is not there
    assert len(found) == 3 * (2 + 1) * 3
    assert all(mask is None for _, _, mask in finder.asked)
    truths = {tuple(f.truth.flatten().tolist()) for f in found if f.object_id == 1}
    assert truths == {
        tuple(p.camera_from_object.flatten().tolist())
        for view in open_dataset(data).split("train").views()
        for p in view.placements
        if p.object_id == 1
    }
    finder.asked.clear()
    find_poses(finder, open_dataset(data), masked=True)
    assert set(finder.asked) == {
        (number, lift, area)
        for number, area in ((1, 400), (2, 600))
        for lift in ("camera", "regressed", "pixels")
    }


def test_objects_without_masks_are_looked_for_in_the_whole_image(tmp_path):
    root, finder = write(tmp_path / "data", masks=False, test=(1, 3)), Told((1, 3))
    found = find_poses(finder, open_dataset(root), ("pixels",))
    assert [f.object_id for f in found] == [1, 3] * 3
    assert all(f.truth is not None for f in found)
    with pytest.raises(DataError, match="no view has a mask of an object; leave out --masked"):
        find_poses(finder, open_dataset(root), masked=True)


def test_where_no_objects_are_named_all_that_are_known_are_looked_for(tmp_path):
    finder, dataset = Told((1, 4)), frames(tmp_path / "frames")
    found = find_poses(finder, dataset)
    assert [(f.object_id, f.lift) for f in found[:6]] == [
        (number, lift) for number in (1, 4) for lift in ("camera", "regressed", "pixels")
    ]
    assert len(found) == 12
    assert all(f.truth is None for f in found)
    assert score_poses(found, dataset) == {}
    with pytest.raises(DataError, match="no view has a mask"):
        find_poses(finder, dataset, masked=True)


def test_what_leaves_nothing_to_look_for(tmp_path, data):
    with pytest.raises(DataError, match=r"no view has intrinsics; .*intrinsics\.json"):
        find_poses(Told((1,)), frames(tmp_path / "frames", intrinsics=False))
    with pytest.raises(
        DataError, match=r"shows none of the objects of the run; known are: 3, 8 \(on masks of 64"
    ):
        find_poses(Told((3, 8)), open_dataset(data))


def test_depth_in_another_unit_is_refused_with_the_right_one(tmp_path, data):
    scaled_depth(data, 1000)
    line = r"000000.png: the median depth on the mask is 500 m, not 0.02 to 20 m; .*--depth-scale (\S+) "
    with pytest.raises(DataError, match=line) as raised:
        find_poses(Told((1, 2)), open_dataset(data))
    offered = float(str(raised.value).split("--depth-scale ")[1].split()[0])
    (unit,) = {view.depth.metres_per_unit for view in open_dataset(data).views()}
    assert offered == pytest.approx(unit / 1000)
    scaled_depth(data, 1e-3)
    find_poses(Told((1, 2)), open_dataset(data))
    with pytest.raises(
        DataError, match=r"0.png: the median depth is 500 m, not 0.05 to 30 m; .*--depth-scale 0.001 "
    ):
        find_poses(Told((1,)), frames(tmp_path / "frames", unit=1.0))
    assert find_poses(Told((1,)), frames(tmp_path / "without", unit=1.0), ("pixels",))
    with pytest.raises(DataError, match=r"depth is unknown in every view; samepoint data doctor"):
        find_poses(Told((1,)), frames(tmp_path / "zero", depth=0.0))


def test_another_object_of_the_same_id_is_not_scored(data, tmp_path):
    def shaped(diameter, family, lowest):
        box = torch.tensor([[lowest] * 3, [0.02] * 3])
        return Told((1,), {1: ObjectShape(diameter, box, family)})

    dataset, own = open_dataset(data), 0.04 * 3**0.5
    find_poses(shaped(own * 1.01, "a", -0.02), dataset)
    find_poses(shaped(own, "by another name", -0.02), dataset)
    find_poses(Told((1,)), dataset)
    line = r"object 1 is not the object 1 that the run has learnt: its diameter is 6.93 cm, not 10 cm"
    with pytest.raises(DataError, match=line + "; give --reference"):
        find_poses(shaped(0.1, "a", -0.02), dataset)
    with pytest.raises(DataError, match=r"not 10 cm \('a', not 'mug'\)"):
        find_poses(shaped(0.1, "mug", -0.02), dataset)
    with pytest.raises(DataError, match="bounding boxes of their meshes are 1 cm apart"):
        find_poses(shaped(own, "a", -0.03), dataset)
    find_poses(Told((1,), {2: ObjectShape(0.3)}), dataset)  # 2 is not looked for


def test_names_count_where_sizes_are_unknown():
    assert ObjectShape(family="mug").difference(ObjectShape(0.1, family="cap")) == "it is 'mug', not 'cap'"
    assert ObjectShape(0.1, family="mug").difference(ObjectShape(0.1, family="cap")) is None
    assert ObjectShape(family="mug").difference(ObjectShape()) is None
    small, large = ObjectShape(0.1), ObjectShape(0.2)
    assert small.difference(small) is None
    assert small.difference(large) == "its diameter is 10 cm, not 20 cm"
    assert large.difference(small) == "its diameter is 20 cm, not 10 cm"


@pytest.mark.parametrize("declared", [False, True])
def test_each_object_has_its_own_threshold(tmp_path, declared):
    """Off by 4 mm, right for the large object (3.5 cm and 17 cm across); before, both had the threshold of one."""
    objects = {}
    for number, half in ((1, 0.01), (2, 0.05)):
        path = tmp_path / f"{number}.ply"
        write_ply(path, Mesh(half * CUBE, FACES))
        objects[number] = ObjectModel(number, mesh=path, diameter=2 * half * 3**0.5 if declared else None)
    found = []
    for number in (1, 2, 2):
        truth = pose(number, 0)
        off = truth.clone()
        off[0, 3] += 0.004
        found.append(FoundPose(number, tmp_path / "0.png", "pixels", ObjectPose(off, 8, 1.0), truth))
    row = score_poses(found, Dataset(tmp_path, (), objects))["pixels"]
    assert row["views"] == 3
    assert row["add_10_percent"] == row["add_s_10_percent"] == pytest.approx(2 / 3)
    assert row["median_centimetres"] == pytest.approx(0.4, abs=1e-3)
    assert row["median_degrees"] == pytest.approx(0, abs=0.1)


@pytest.fixture
def run(tmp_path, data):
    """A run folder as a training leaves it, with random weights."""
    folder = tmp_path / "run"
    folder.mkdir()
    _save(folder, data, 0)
    return folder


def _save(folder, data, seed):
    described = NetworkConfig("resnet10t", "pyramid", dim=4, width=8, stride=4)
    generator = torch.Generator().manual_seed(seed)
    network = KeypointNetwork(described, KeypointConfig(number=8), generator=generator)
    about = {"path": str(data), "fingerprint": "f", "images": 3}
    save_network(folder, network, {"data": about, "max_size": 64})


def test_the_default_reference_is_what_was_trained_on(run, tmp_path):
    """Of the training split: 2 is in both, 3 too small; an object of the test split alone is not known."""
    root = write(tmp_path / "other", train=(1,), test=(2,))
    _save(run, root, 0)
    assert sorted(load_pose_finder(run).objects) == [1]
    assert sorted(read_objects(run / OBJECTS)) == [1]


def test_what_was_learnt_is_kept_for_the_same_weights_and_data(run, data, tmp_path, monkeypatch):
    first = load_pose_finder(run)
    assert sorted(first.objects) == [1, 2]
    shape = read_objects(run / OBJECTS)[1].shape
    assert shape.family == "a"
    assert shape.diameter == pytest.approx(0.04 * 3**0.5)
    torch.testing.assert_close(shape.box, torch.tensor([[-0.02] * 3, [0.02] * 3]))

    def never(*_):
        raise AssertionError("learnt again")

    monkeypatch.setattr("samepoint.workflows.poses.learn_objects", never)
    again = load_pose_finder(run)
    for number, of in first.objects.items():
        torch.testing.assert_close(again.objects[number].xyz, of.xyz)
        torch.testing.assert_close(again.objects[number].weight, of.weight)
    _save(run, data, 1)  # trained on
    with pytest.raises(AssertionError, match="learnt again"):
        load_pose_finder(run)
    _save(run, write(tmp_path / "other", train=(2,)), 0)  # the same weights, other data
    with pytest.raises(AssertionError, match="learnt again"):
        load_pose_finder(run)
    monkeypatch.undo()
    assert sorted(load_pose_finder(run).objects) == [2]
    assert sorted(read_objects(run / OBJECTS)) == [2]


def test_another_reference_leaves_no_trace(run, tmp_path):
    other = write(tmp_path / "other", test=(2,))
    assert sorted(load_pose_finder(run, other).objects) == [2]
    assert not (run / OBJECTS).exists()
    assert sorted(load_pose_finder(run).objects) == [1, 2]
    before = (run / OBJECTS).read_bytes()
    load_pose_finder(run, other)
    assert (run / OBJECTS).read_bytes() == before


def test_files_that_hold_no_objects(run, tmp_path):
    for content in ("[1, 2", "[1, 2]"):
        (run / OBJECTS).write_text(content)
        with pytest.raises(RunError, match=r"does not hold keypoints of objects; remove it"):
            load_pose_finder(run)
    (run / OBJECTS).write_text(
        '{"1": {"xyz": [[0.0, 0.0, 0.0]], "weight": [1.0]}}'
    )  # of an earlier samepoint
    with pytest.raises(RunError, match=r"does not hold keypoints"):
        read_objects(run / OBJECTS)
    assert sorted(load_pose_finder(run).objects) == [1, 2]
    content = json.loads((run / OBJECTS).read_text())
    del content["objects"]["1"]["weight"]
    (run / OBJECTS).write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"does not hold keypoints"):
        load_pose_finder(run)


def test_devices_and_data_that_are_not_there(run, data):
    with pytest.raises(RunError, match="device 'gpu' is unknown; choose one of: auto, cpu"):
        load_pose_finder(run, device="gpu")
    with pytest.raises(RunError, match="there is no device 'cuda:99' here"):
        load_pose_finder(run, device="cuda:99")
    shutil.rmtree(data)
    with pytest.raises(
        RunError, match=r"the data that it was trained on is not there; bring back .*--reference"
    ):
        load_pose_finder(run)
