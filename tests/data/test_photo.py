"""Photos written and read again."""

import json

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.open import open_dataset
from samepoint.data.photo import Photo, default_depth_unit, write_photos
from samepoint.data.recording import DepthFile
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.cameras import project, unproject
from samepoint.geometry.lenses import Lens
from samepoint.geometry.motions import invert, transform

SIZE = (48, 64)
K = torch.tensor([[60.0, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])


@pytest.fixture
def folder(tmp_path):
    """Two photos and a tilted plane's depth, in millimetres and in metres, unknown in some columns."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8))
    metres = np.tile(np.linspace(0.4, 0.9, SIZE[1]), (SIZE[0], 1))
    metres[:, 10:14] = 0
    cv2.imwrite(str(tmp_path / "mm.png"), np.rint(metres * 1000).astype(np.uint16))
    np.save(tmp_path / "metres.npy", metres.astype(np.float32))
    cv2.imwrite(str(tmp_path / "metres.tiff"), metres.astype(np.float32))
    return tmp_path


def mask_of(u0=5, v0=8, u1=40, v1=30):
    mask = np.zeros(SIZE, bool)
    mask[v0 : v1 + 1, u0 : u1 + 1] = True
    return mask


def store_of(out, cache):
    return FrameStore(open_dataset(out), cache_dir=cache)


def test_what_is_unknown_is_absent(folder):
    write_photos([Photo(folder / "a.png", mask_of())], folder / "out")
    store = store_of(folder / "out", folder / "cache")
    (recording,) = store.dataset.recordings
    assert (recording.mode, recording.split) == ("photos", "train")
    frame = store[0]
    assert frame.depth is None
    assert frame.intrinsics is None
    assert frame.view.world_from_camera is None
    (placement,) = frame.view.placements
    assert placement.object_id == 1
    assert placement.camera_from_object is None
    assert placement.visible_fraction is None
    assert (frame.labels.numpy() == mask_of()).all()
    scene = folder / "out/train/000000"
    assert json.loads((scene / "scene_camera.json").read_text()) == {"0": {}}
    assert not (scene / "depth").exists()
    assert store.dataset.objects[1].mesh is None
    assert store.dataset.objects[1].diameter is None


@pytest.mark.parametrize(("name", "unit"), [("mm.png", 0.001), ("metres.npy", 1.0), ("metres.tiff", 1.0)])
def test_round_trip_with_depth(folder, name, unit):
    assert default_depth_unit(folder / name) == unit
    photo = Photo(folder / "a.png", mask_of(), 7, K, depth=DepthFile(folder / name, unit))
    write_photos([photo], folder / "out")
    frame = store_of(folder / "out", folder / "cache")[0]
    pixels = cv2.imread(str(folder / "a.png"))[..., ::-1]
    assert (frame.image.permute(1, 2, 0).numpy() == pixels).all()
    assert torch.equal(frame.intrinsics, K)
    truth = np.load(folder / "metres.npy")
    assert np.abs(frame.depth.numpy() - truth).max() < 0.00051
    assert (frame.depth[:, 10:14] == 0).all()
    (placement,) = frame.view.placements
    assert placement.object_id == 7
    pose = placement.camera_from_object
    assert torch.equal(pose[:3, :3], torch.eye(3))
    points = [
        (z * (u - 31.5) / 60, z * (v - 23.5) / 60, z)  # slow twin of lifting
        for v, u in np.argwhere(mask_of() & (truth > 0))
        for z in [truth[v, u]]
    ]
    assert np.allclose(pose[:3, 3], np.mean(points, axis=0), atol=1e-4)


def test_points_of_the_object_have_their_mean_at_its_origin(folder):
    depth = DepthFile(folder / "mm.png", 0.001)
    write_photos([Photo(folder / "a.png", mask_of(), intrinsics=K, depth=depth)], folder / "out")
    frame = store_of(folder / "out", folder / "cache")[0]
    v, u = torch.nonzero((frame.labels > 0) & (frame.depth > 0), as_tuple=True)
    uv = torch.stack((u, v), 1).float()
    camera_from_object = frame.view.placements[0].camera_from_object
    xyz = transform(invert(camera_from_object), unproject(K, uv, frame.depth[v, u]))
    assert xyz.mean(0).abs().max() < 1e-5
    again, _ = project(K, transform(camera_from_object, xyz))
    assert torch.allclose(again, uv, atol=1e-3)


def test_only_the_first_photo_defines_an_objects_frame(folder):
    depth = DepthFile(folder / "mm.png", 0.001)
    photos = [
        Photo(folder / name, mask_of(u1=u1), object_id, K, depth=depth)
        for name, u1, object_id in (("a.png", 40, 1), ("b.jpg", 50, 1), ("a.png", 30, 2), ("b.jpg", 40, 2))
    ]
    dataset = write_photos(iter(photos), folder / "out")
    assert sorted(dataset.objects) == [1, 2]
    placements = [view.placements[0] for view in dataset.views()]
    assert [p.object_id for p in placements] == [1, 1, 2, 2]
    assert [p.camera_from_object is not None for p in placements] == [True, False, True, False]
    assert len(dataset.recordings) == 4


def test_photos_are_copied_byte_for_byte_and_named(folder):
    write_photos([Photo(folder / "b.jpg", mask_of(), mask_from="hand.png")], folder / "out")
    copied = folder / "out/train/000000/rgb/000000.jpg"
    assert copied.read_bytes() == (folder / "b.jpg").read_bytes()
    header = json.loads((folder / "out/samepoint.json").read_text())
    assert header["generator"]["photos"] == {"train/000000": {"image": "b.jpg", "mask": "hand.png"}}


def test_a_bent_image_is_straightened_with_its_mask_and_depth(folder):
    """A dot that the lens moved comes to where a pinhole camera sees it, in image, mask, depth and pose."""
    lens = Lens("brown", (-0.4, 0.0, 0.0, 0.0))
    xy = np.array([0.35, 0.25])
    bent = xy * (1 - 0.4 * (xy @ xy))
    (u, v), straight = np.rint(bent * 60 + [31.5, 23.5]).astype(int), xy * 60 + [31.5, 23.5]
    image, depth = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint16)
    square = np.zeros(SIZE, bool)
    square[v - 4 : v + 5, u - 4 : u + 5] = True
    image[square], depth[square] = 255, 500
    cv2.imwrite(str(folder / "bent.png"), image)
    cv2.imwrite(str(folder / "bent_depth.png"), depth)
    photo = Photo(folder / "bent.png", square, 1, K, lens, DepthFile(folder / "bent_depth.png", 0.001))
    write_photos([photo], folder / "out")
    frame = store_of(folder / "out", folder / "cache")[0]
    for seen in (frame.image[0] > 127, frame.labels > 0, frame.depth > 0):
        middle = torch.nonzero(seen).float().mean(0).flip(0)
        assert np.allclose(middle, straight, atol=0.7)
    origin = frame.view.placements[0].camera_from_object[:3, 3]
    assert np.allclose(origin, [*(xy * 0.5), 0.5], atol=0.006)


def refused(folder, photo, words):
    with pytest.raises(DataError, match=words):
        write_photos([Photo(folder / "a.png", mask_of()), photo], folder / "out")
    assert not (folder / "out").exists()


def test_bad_photos_leave_nothing_behind(folder):
    mm = folder / "mm.png"
    refused(folder, Photo(folder / "none.png", mask_of()), "none.png: this image does not exist")
    refused(
        folder, Photo(folder / "b.jpg", mask_of()[:40]), "b.jpg: the mask is 64x40 but its image is 64x48"
    )
    refused(folder, Photo(folder / "b.jpg", np.zeros(SIZE, bool)), "b.jpg: the mask is empty")
    refused(folder, Photo(folder / "b.jpg", mask_of(5, 8, 9, 12)), "the mask has 25 pixels")
    no_camera = Photo(folder / "b.jpg", mask_of(), depth=DepthFile(mm, 0.001))
    refused(folder, no_camera, "mm.png: depth without intrinsics; give --intrinsics")
    far = Photo(folder / "b.jpg", mask_of(), intrinsics=K, depth=DepthFile(mm, 1.0))
    refused(folder, far, r"mm.png: the median depth on the mask is \d+ m, .*--depth-unit 0.001 ")
    unknown = Photo(folder / "b.jpg", mask_of(10, 0, 13, 40), intrinsics=K, depth=DepthFile(mm, 0.001))
    refused(folder, unknown, "mm.png: depth is unknown everywhere on the mask")


def test_millimetres_in_a_file_of_fractions_are_caught(folder):
    """Their depth does not fit into 16 bits of 1 mm, so it is looked at before it is rounded."""
    np.save(folder / "mm.npy", np.full(SIZE, 700.0))
    depth = DepthFile(folder / "mm.npy", 1.0)
    photo = Photo(folder / "b.jpg", mask_of(), intrinsics=K, depth=depth)
    refused(folder, photo, "mm.npy: the median depth on the mask is 700 m, .*--depth-unit 0.001 ")


def test_depth_of_another_size(folder):
    cv2.imwrite(str(folder / "small.png"), np.full((24, 32), 700, np.uint16))
    depth = DepthFile(folder / "small.png", 0.001)
    photo = Photo(folder / "b.jpg", mask_of(), intrinsics=K, depth=depth)
    refused(folder, photo, "small.png: the depth is 32x24 but its image is 64x48")


def test_no_photo_and_a_folder_in_use(folder):
    with pytest.raises(DataError, match="no photo is given"):
        write_photos([], folder / "out")
    with pytest.raises(DataError, match="is not empty"):
        write_photos([Photo(folder / "a.png", mask_of())], folder)
