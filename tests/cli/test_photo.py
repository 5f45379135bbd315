"""`samepoint data photo`: what a user types, and the one line for each bad input."""

import json
from functools import partial

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

from samepoint.cli.main import run
from samepoint.data.open import open_dataset
from samepoint.data.store import FrameStore
from samepoint.workflows import photographed

DISC_BOX = ["40", "20", "100", "80"]
CAMERA = {"fx": 90.0, "fy": 90.0, "cx": 79.5, "cy": 59.5, "width": 160, "height": 120}


@pytest.fixture
def folder(tmp_path):
    """Three photos of a disc, a mask and a depth image of each, an intrinsics file."""
    rng = np.random.default_rng(0)
    disc = np.hypot(*(np.indices((120, 160)) - np.array([50, 70])[:, None, None])) <= 25
    for k in range(3):
        ground = cv2.resize(rng.integers(60, 140, (24, 32), dtype=np.uint8), (160, 120))
        image = np.stack([ground] * 3, axis=-1)
        image[disc] = (30, 60, 200)
        cv2.imwrite(str(tmp_path / f"{k}.png"), image)
        cv2.imwrite(str(tmp_path / f"m{k}.png"), disc.astype(np.uint8))
        depth = np.where(disc, 500 + 100 * k, 900).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f"d{k}.png"), depth)
    (tmp_path / "camera.json").write_text(json.dumps(CAMERA))
    return tmp_path


@pytest.fixture
def photo(folder, capsys, monkeypatch):
    """Runs the command in the folder; returns its status and the lines of output and of errors."""
    monkeypatch.chdir(folder)

    def call(*arguments):
        capsys.readouterr()
        code = run(["data", "photo", *arguments, "--out", "out"])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err.splitlines()

    return call


def frames_of(folder):
    return FrameStore(open_dataset(folder / "out"), cache_dir=folder / "cache")


def disc_of(folder):
    return cv2.imread(str(folder / "m0.png"), cv2.IMREAD_UNCHANGED) > 0


def test_mask_files(folder, photo):
    code, lines, _ = photo("0.png", "1.png", "2.png", "--mask", "m0.png", "m1.png", "m2.png")
    assert code == 0
    assert lines[-1] == "wrote 3 photos of 1 object to out"
    assert lines[1].startswith("1.png: object 1 covers 10.2%, see out/train/000001/mask_visib/")
    store = frames_of(folder)
    assert len(store) == len(store.dataset.recordings) == 3
    assert sorted(store.dataset.objects) == [1]
    for k in range(3):
        assert (store[k].labels.numpy() == disc_of(folder)).all()
        assert store[k].depth is None
        assert store[k].intrinsics is None


def test_a_box(folder, photo):
    assert photo("0.png", "--box", *DISC_BOX)[0] == 0
    mask, disc = frames_of(folder)[0].labels.numpy() > 0, disc_of(folder)
    assert (mask & disc).sum() / (mask | disc).sum() > 0.95
    header = json.loads((folder / "out/samepoint.json").read_text())
    source = {"image": "0.png", "mask": "GrabCut in the box 40 20 100 80"}
    assert header["generator"]["photos"]["train/000000"] == source


def test_different_objects_with_a_box_each(folder, photo):
    code, lines, _ = photo("0.png", "1.png", "--box", *DISC_BOX, *DISC_BOX, "--different-objects")
    assert code == 0
    assert lines[-1] == "wrote 2 photos of 2 objects to out"
    assert [view.placements[0].object_id for view in open_dataset(folder / "out").views()] == [1, 2]


DEPTH = ["0.png", "1.png", "--mask", "m0.png", "m1.png", "--depth", "d0.png", "d1.png"]


@pytest.mark.parametrize(
    ("camera", "focal"),
    [(["--intrinsics", "camera.json"], 90.0), (["--field-of-view", "90"], 80.0)],
)
def test_depth_and_camera(folder, photo, camera, focal):
    assert photo(*DEPTH, *camera)[0] == 0
    store = frames_of(folder)
    for k, depth in enumerate((0.5, 0.6)):
        assert store[k].depth[50, 70] == pytest.approx(depth)
        assert store[k].depth[0, 0] == pytest.approx(0.9)
        assert store[k].intrinsics[0].tolist() == pytest.approx([focal, 0, 79.5])
        assert store[k].intrinsics[1].tolist() == pytest.approx([0, focal, 59.5])
    first, second = (view.placements[0].camera_from_object for view in store.dataset.views())
    assert second is None
    assert torch.equal(first[:3, :3], torch.eye(3))
    expected = [0.5 * (70 - 79.5) / focal, 0.5 * (50 - 59.5) / focal, 0.5]
    assert first[:3, 3].tolist() == pytest.approx(expected, abs=1e-4)


def test_the_unit_of_depth(folder, photo):
    """The option is before the file, the file before the default."""
    camera = {**CAMERA, "depth_unit_m": 0.002}
    (folder / "camera.json").write_text(json.dumps(camera))
    for more, metres in (([], 1.0), (["--depth-unit", "0.0005"], 0.25)):
        assert photo(*DEPTH, "--intrinsics", "camera.json", *more)[0] == 0
        assert open_dataset(folder / "out").views()[0].placements[0].camera_from_object[
            2, 3
        ] == pytest.approx(metres)
        (folder / "out").rename(folder / f"out{metres}")


def test_the_field_of_view_is_along_the_long_side():
    wide, high = (photographed.matrix_of_field(60.0, size) for size in ((300, 400), (400, 300)))
    assert wide[0, 0] == high[0, 0] == high[1, 1]
    corner = (torch.linalg.inv(wide) @ torch.tensor([-0.5, 149.5, 1.0]))[0]
    assert corner == pytest.approx(-np.tan(np.radians(30.0)))
    assert high[:2, 2].tolist() == [149.5, 199.5]


def test_a_segmenter(folder, photo, monkeypatch):
    """Through a fake detector that finds the disc and the upper left corner."""
    disc = torch.from_numpy(disc_of(folder)).float()
    corner = torch.zeros_like(disc)
    corner[:20, :20] = 1

    def load(path, threshold):
        assert path.name == "w.pth"
        boxes = torch.tensor([[0.0, 0, 20, 20], [45, 25, 96, 76]])
        found = {
            "boxes": boxes,
            "scores": torch.tensor([0.9, 0.6]),
            "masks": torch.stack([corner, disc])[:, None],
        }
        return photographed.Segmenter(lambda images: [found], path, threshold)

    monkeypatch.setattr(photographed, "load_segmenter", load)
    assert photo("0.png", "--segmenter", "w.pth", "--box", *DISC_BOX)[0] == 0
    assert (frames_of(folder)[0].labels.numpy() == disc_of(folder)).all()
    (folder / "out").rename(folder / "out1")
    assert photo("0.png", "--segmenter", "w.pth")[0] == 0
    assert (frames_of(folder)[0].labels.numpy() == corner.numpy()).all()
    (folder / "out").rename(folder / "out2")
    code, _, errors = photo("0.png", "--segmenter", "w.pth", "--segmenter-score", "0.95")
    assert code == 2
    assert "0.png: no object found with a score of 0.95 or more (best score 0.90)" in errors[0]
    assert photo("0.png", "--segmenter", "w.pth", "--box", "0", "0", "200", "20")[0] == 2


def test_a_segmenter_from_a_file(folder, photo, monkeypatch):
    """Random weights whose masks fill their boxes; small, so that it is quick."""
    monkeypatch.setattr(photographed, "load_segmenter", partial(photographed.load_segmenter, side=64))
    torch.manual_seed(0)
    network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2)
    state = network.state_dict()
    state["roi_heads.mask_predictor.mask_fcn_logits.bias"] += 100.0
    safetensors.torch.save_file(state, folder / "w.safetensors")
    code, lines, errors = photo(
        "0.png", "--segmenter", "w.safetensors", "--segmenter-score", "0", "--box", "5", "5", "150", "110"
    )  # fmt: skip
    assert code == 0, errors
    assert lines[-1] == "wrote 1 photo of 1 object to out"
    header = json.loads((folder / "out/samepoint.json").read_text())
    assert header["generator"]["photos"]["train/000000"]["mask"] == "segmenter w.safetensors"


MASK = ["--mask", "m0.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*MASK], "no photo is given; name at least one image"),
        (["0.png"], "nothing says where the object is; give --mask FILE, --box U0 V0 U1 V1 or --segmenter"),
        (["0.png", *MASK, "--box", *DISC_BOX], "--mask: a mask file needs no box and no segmenter"),
        (["0.png", "1.png", *MASK], "--mask: 1 given for 2 photos; give one a photo"),
        (["0.png", "1.png", "--box", *DISC_BOX], "--box: 1 given for 2 photos"),
        (["0.png", *MASK, "--depth", "d0.png", "d1.png"], "--depth: 2 given for 1 photo;"),
        (["none.png", *MASK], "none.png: this image does not exist"),
        (["0.png", "--mask", "none.png"], "none.png: this mask does not exist"),
        (["0.png", "--mask", "empty.png"], "empty.png: the mask is empty"),
        (["0.png", "--mask", "small.png"], "small.png: the mask is 80x60 but its image is 160x120"),
        (["text.png", *MASK], "text.png: is not a readable image"),
        (["0.png", "--box", "0", "0", "159", "119"], "0.png: the box 0 0 159 119 is the whole image"),
        (["0.png", "--box", "50", "50", "10", "10"], "0.png: the box 50 50 10 10 is empty"),
        (["0.png", "--box", "50", "50", "160", "80"], "leaves the image, which is 160x120"),
        (["0.png", "--segmenter", "none.pth"], "none.pth: no weights file there"),
        (["0.png", "--segmenter", "none.pth", "--segmenter-score", "1.5"], "--segmenter-score: 1.5 is no score"),
        (["0.png", *MASK, "--depth", "d0.png"], "--depth: depth without intrinsics; give --intrinsics FILE or"),
        (["0.png", *MASK, "--depth-unit", "0.001"], "--depth-unit: there is no depth"),
        (["0.png", *MASK, "--field-of-view", "180"], "180 degrees is no field of view"),
        (["0.png", *MASK, "--field-of-view", "60", "--intrinsics", "camera.json"], "--intrinsics says it already"),
        (["0.png", *MASK, "--intrinsics", "none.json"], "none.json: this file does not exist"),
        (["0.png", *MASK, "--intrinsics", "other.json"], "is for images 320 pixels wide, but 0.png is 160x120"),
        (["0.png", *MASK, "--depth", "d0.png", "--field-of-view", "60", "--depth-unit", "1"],
         "d0.png: the median depth on the mask is 500 m, not 0.02 to 20 m; give --depth-unit 0.001 "),
        (["0.png", *MASK, "--depth", "d0.png", "--field-of-view", "60", "--depth-unit", "0"], "0 is no unit"),
        (["0.png", *MASK, "--depth", "none.png", "--field-of-view", "60"], "none.png: this depth image does not"),
        (["0.png", *MASK, "--depth", "small.png", "--field-of-view", "60"], "the depth is 80x60 but its image"),
        (["0.png", *MASK, "--depth", "0.png", "--field-of-view", "60"], "0.png: depth has shape (120, 160, 3)"),
    ],
)  # fmt: skip
def test_bad_input(folder, photo, arguments, words):
    cv2.imwrite(str(folder / "empty.png"), np.zeros((120, 160), np.uint8))
    cv2.imwrite(str(folder / "small.png"), np.full((60, 80), 255, np.uint8))
    (folder / "text.png").write_text("not an image")
    (folder / "other.json").write_text(json.dumps({**CAMERA, "width": 320}))
    code, lines, errors = photo(*arguments)
    assert (code, lines, len(errors)) == (2, [], 1), (lines, errors)
    assert errors[0].startswith("samepoint: ")
    assert words in errors[0]
    assert not (folder / "out").exists()
    assert not list(folder.glob(".out*"))


def test_a_folder_in_use(folder, photo):
    (folder / "out").mkdir()
    (folder / "out" / "note").write_text("mine")
    code, _, errors = photo("0.png", *MASK)
    assert code == 2
    assert "out: this folder is not empty" in errors[0]
    assert (folder / "out" / "note").read_text() == "mine"
