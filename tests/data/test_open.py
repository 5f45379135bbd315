import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data.info import describe
from samepoint.data.open import open_dataset
from samepoint.data.readers.bop import BopWriter, ObjectMesh, WrittenView
from samepoint.errors import DataError


@pytest.fixture
def bop(tmp_path):
    writer = BopWriter(tmp_path / "bop")
    vertices, faces = torch.rand(3, 3), torch.tensor([[0, 1, 2]])
    writer.add_object(ObjectMesh("mug", vertices, faces, keypoints={"rim": torch.zeros(3)}))
    image, labels = np.zeros((12, 16, 3), np.uint8), np.ones((12, 16), np.uint8)
    view = WrittenView("cam0", image, np.eye(3), np.eye(4), np.ones((12, 16)), labels, [(1, np.eye(4))])
    with writer.scene("train", 0, "scan") as scene:
        scene.add_moment([view])
        scene.add_moment([view])
    writer.close()
    return tmp_path / "bop"


def test_bop_and_its_description(bop):
    summary = describe(open_dataset(bop))
    assert json.loads(json.dumps(summary)) == summary
    assert summary == {
        "root": str(bop),
        "recordings": 1,
        "moments": 2,
        "views": 2,
        "modes": {"scan": 1},
        "splits": {"train": 1},
        "cameras": {"cam0": 2},
        "sizes": {"16x12": 2},
        "with_intrinsics": 2,
        "with_pose": 2,
        "with_depth": 2,
        "with_masks": 2,
        "with_object_poses": 2,
        "objects": 1,
        "families": {"mug": 1},
        "keypoints": ["rim"],
    }


def test_real_forms(realdata):
    assert open_dataset(realdata / "rgbd_amazon_box").recordings[0].mode == "scan"
    assert open_dataset(str(realdata / "photos_dreambooth" / "can")).recordings[0].mode == "photos"
    summary = describe(open_dataset(realdata / "rgbd_amazon_box"))
    assert (summary["with_depth"], summary["with_pose"], summary["sizes"]) == (50, 50, {"640x480": 50})
    assert set(summary["splits"]) == {"train", "test"}


def test_video_and_image(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    assert len(open_dataset(tmp_path / "a.png").views()) == 1
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    writer.release()
    assert len(open_dataset(tmp_path / "v.avi", cache_dir=tmp_path / "c").views()) == 1


def test_what_it_does_not_know(tmp_path):
    with pytest.raises(DataError, match="nowhere: does not exist"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="this folder is empty; give a BOP data set"):
        open_dataset(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match="is no known form of data set; give a BOP"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"a\.txt: is neither an image nor a video"):
        open_dataset(tmp_path / "a.txt")
    (tmp_path / "v.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match=r"but a video; give the file .*v\.mp4"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("lerobot", ["meta/info.json"]),
        ("tum", ["rgb.txt", "depth.txt", "rgb/1.png", "depth/1.png"]),
        ("pdc", ["processed/images/camera_info.yaml", "processed/images/pose_data.yaml"]),
        ("nerfstudio", ["transforms.json", "images/1.png", "colmap/sparse/0/cameras.bin"]),
        ("colmap", ["sparse/0/cameras.bin", "sparse/0/images.bin", "images/1.png"]),
    ],
)
def test_a_form_that_is_imported_is_named(form, files, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=f"form {form!r}.*samepoint data import {form} "):
        open_dataset(tmp_path)
