"""The store returns what slow, direct decoding returns, from files that appear whole or not at all."""

import errno
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from samepoint.data import store_files
from samepoint.data.recording import Dataset, DepthFile, Moment, Placement, Recording, View
from samepoint.data.store import Frame, FrameStore
from samepoint.errors import DataError

K = torch.tensor([[50.0, 0.0, 31.5], [0.0, 50.0, 23.5], [0.0, 0.0, 1.0]])


def make(root: Path, sizes=((48, 64), (48, 64), (30, 20)), depth=True, masks=True) -> Dataset:
    """Views of different sizes; the last has neither depth nor masks."""
    rng = np.random.default_rng(0)
    moments = []
    root.mkdir(parents=True, exist_ok=True)
    for i, (h, w) in enumerate(sizes):
        image = root / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (h, w, 3), dtype=np.uint8)).save(image)
        bare = i == len(sizes) - 1
        file, placements = None, ()
        if depth and not bare:
            cv2.imwrite(str(root / f"{i}_depth.png"), rng.integers(0, 9000, (h, w), dtype=np.uint16))
            file = DepthFile(root / f"{i}_depth.png", 0.001)
        if masks and not bare:
            for k in range(2):
                mask = np.zeros((h, w), np.uint8)
                mask[5 * k : 5 * k + 10, 3:20] = 255
                cv2.imwrite(str(root / f"{i}_mask{k}.png"), mask)
            placements = tuple(Placement(k + 1, mask=root / f"{i}_mask{k}.png") for k in range(2))
        moments.append(Moment((View("cam0", image, K, None, file, placements),)))
    return Dataset(
        root, (Recording("a", "scan", tuple(moments[:2])), Recording("b", "photos", tuple(moments[2:])))
    )


def same(a: Frame, b: Frame) -> None:
    assert (a.recording, a.moment, a.source_size, a.view.image) == (
        b.recording,
        b.moment,
        b.source_size,
        b.view.image,
    )
    for name in ("image", "depth", "labels", "intrinsics"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None)
        assert x is None or (x.dtype == y.dtype and torch.equal(x, y))


def test_full_size_is_exact(tmp_path):
    data = make(tmp_path / "data")
    store = FrameStore(data, cache_dir=tmp_path / "cache")
    assert store.mapped
    assert len(store) == 3
    assert store.index == [(0, 0, 0), (0, 1, 0), (1, 0, 0)]
    assert store.position[(1, 0, 0)] == 2
    for i, view in enumerate(data.views()):
        frame = store[i]
        assert np.array_equal(frame.image.permute(1, 2, 0).numpy(), np.asarray(Image.open(view.image)))
        assert frame.image.is_contiguous()
        assert frame.image.dtype == torch.uint8
        if view.depth:
            units = cv2.imread(str(view.depth.path), cv2.IMREAD_UNCHANGED)
            torch.testing.assert_close(frame.depth, torch.from_numpy(units / 1000.0).float())
            for k, placement in enumerate(view.placements):
                mask = cv2.imread(str(placement.mask), cv2.IMREAD_UNCHANGED) > 0
                covered = (frame.labels == k + 1).numpy()
                assert np.array_equal(covered, mask if k == 1 else mask & (frame.labels.numpy() != 2))
    assert store[2].depth is None
    assert store[2].labels is None


def test_on_the_fly_equals_mapped(tmp_path):
    data = make(tmp_path / "data")
    mapped = FrameStore(data, max_size=32, cache_dir=tmp_path / "cache")
    direct = FrameStore(data, max_size=32, cache_dir=tmp_path / "other", budget_bytes=10)
    assert mapped.mapped
    assert not direct.mapped
    assert not (tmp_path / "other").exists()
    for i in range(3):
        same(mapped[i], direct[i])


def test_convention_resizing_keeps_pixel_centres(tmp_path):
    """A point keeps its ray; depth and labels come from the same source pixel."""
    data = make(tmp_path / "data")
    small = FrameStore(data, max_size=32, cache_dir=tmp_path / "cache")[0]
    full = FrameStore(data, max_size=None, cache_dir=tmp_path / "cache")[0]
    assert small.image.shape == (3, 24, 32)
    assert small.source_size == (48, 64)
    corner_small = torch.linalg.inv(small.intrinsics) @ torch.tensor([-0.5, -0.5, 1.0])
    corner_full = torch.linalg.inv(full.intrinsics) @ torch.tensor([-0.5, -0.5, 1.0])
    torch.testing.assert_close(corner_small, corner_full)
    area = full.image.float().reshape(3, 24, 2, 32, 2).mean((2, 4))
    assert (small.image.float() - area).abs().max() <= 1
    assert torch.equal(small.depth, full.depth[1::2, 1::2])
    assert torch.equal(small.labels, full.labels[1::2, 1::2])


def test_never_enlarges(tmp_path):
    assert FrameStore(make(tmp_path / "data"), max_size=500, cache_dir=tmp_path / "c")[2].image.shape == (
        3,
        30,
        20,
    )


def test_reused_and_rebuilt(tmp_path, monkeypatch):
    """Nothing is decoded a second time, until an image is another one."""
    data = make(tmp_path / "data")
    first = FrameStore(data, cache_dir=tmp_path / "cache")
    decoded = []
    decode = store_files.decode_straight
    monkeypatch.setattr(
        store_files, "decode_straight", lambda view, *a: decoded.append(view) or decode(view, *a)
    )
    again = FrameStore(data, cache_dir=tmp_path / "cache")
    assert again.fingerprint == first.fingerprint
    same(again[0], first[0])
    assert not decoded
    Image.new("RGB", (64, 48)).save(data.views()[0].image)
    changed = FrameStore(data, cache_dir=tmp_path / "cache")
    assert changed.fingerprint != first.fingerprint
    assert len(decoded) == 3
    assert not changed[0].image.any()


def test_damaged_cache_is_rebuilt(tmp_path):
    data = make(tmp_path / "data")
    store = FrameStore(data, cache_dir=tmp_path / "cache")
    (store.folder / "images.bin").write_bytes(b"short")
    same(FrameStore(data, cache_dir=tmp_path / "cache")[0], FrameStore(data, budget_bytes=0)[0])


def test_truncated_image_names_the_file_and_leaves_nothing(tmp_path):
    data = make(tmp_path / "data")
    path = data.views()[1].image
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"1\.png.*truncated"):
        FrameStore(data, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("which", ["mask", "depth"])
def test_wrong_size(tmp_path, which):
    data = make(tmp_path / "data")
    view = data.views()[0]
    path = view.depth.path if which == "depth" else view.placements[0].mask
    cv2.imwrite(str(path), np.zeros((10, 12), np.uint16 if which == "depth" else np.uint8))
    with pytest.raises(DataError, match=rf"the {which} is 12x10 but its image is 64x48"):
        FrameStore(data, cache_dir=tmp_path / "cache")


def test_missing_file(tmp_path):
    data = make(tmp_path / "data")
    data.views()[0].depth.path.unlink()
    with pytest.raises(DataError, match=r"0_depth\.png: this depth image does not exist"):
        FrameStore(data, cache_dir=tmp_path / "cache")


def test_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_files, "_append", full)
    with pytest.raises(DataError, match="the disk is full; free some space"):
        FrameStore(make(tmp_path / "data"), cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_builds_at_once(tmp_path):
    data = make(tmp_path / "data")
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: FrameStore(data, cache_dir=tmp_path / "cache"), range(4)))
    for store in stores:
        same(store[0], stores[0][0])
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [stores[0].fingerprint]


def test_pickle_is_small_and_works_in_another_process(tmp_path):
    store = FrameStore(make(tmp_path / "data"), cache_dir=tmp_path / "cache")
    store[0]
    content = pickle.dumps(store)
    assert len(content) < 10_000
    same(pickle.loads(content)[1], store[1])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(store.__getitem__, [0])[0].image.sum() == store[0].image.sum()


def test_empty_data_set(tmp_path):
    assert len(FrameStore(Dataset(tmp_path, ()), cache_dir=tmp_path / "cache")) == 0
