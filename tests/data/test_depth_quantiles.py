"""The density along rays, from the files of a radiance field to the matches of a training."""

import hashlib
import json
import math
import os
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.corrections import Corrections, corrected
from samepoint.data.decode import decode_view
from samepoint.data.importers import import_dataset, write_native
from samepoint.data.make_pairs import make_pairs
from samepoint.data.matches import MatchFinder
from samepoint.data.open import open_dataset
from samepoint.data.partners import PairMixture
from samepoint.data.quantile_files import QUANTILES
from samepoint.data.readers.bop import SceneWriter, WrittenView
from samepoint.data.recording import Dataset, DepthFile, DepthQuantiles, Moment, Recording, View
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens, undistort_image
from samepoint.types import Outcome

H, W, F = 24, 32, 50.0
K = torch.tensor([[F, 0, W / 2], [0, F, H / 2], [0, 0, 1]])
NEAR, FAR, STEP = 1.0, 3.0, 0.06
MEAN = 0.3 * NEAR + 0.7 * FAR
SHIFT = {depth: F * STEP / depth for depth in (NEAR, FAR, MEAN)}
"""How many pixels a point at that depth moves to the left from one view to the next."""


def scan(root, depths, quantiles=None):
    """Views STEP apart along x. `depths`: the depth image of each; `quantiles`: m h w of each, or None."""
    root.mkdir(parents=True)
    moments = []
    for i, depth in enumerate(depths):
        pose = torch.eye(4)
        pose[0, 3] = i * STEP
        cv2.imwrite(str(root / f"{i}.png"), np.full((H, W, 3), 90 + i, np.uint8))
        np.save(root / f"{i}.npy", np.broadcast_to(np.float32(depth), (H, W)))
        file = None
        if quantiles is not None:
            np.save(root / f"{i}_q.npy", quantiles[i])
            file = DepthQuantiles(root / f"{i}_q.npy")
        view = View(
            "cam0", root / f"{i}.png", K, pose, DepthFile(root / f"{i}.npy", 1.0), depth_quantiles=file
        )
        moments.append(Moment((view,)))
    return Dataset(root, (Recording("a", "scan", tuple(moments)),))


def planes(*depths):
    """The same depths in every pixel."""
    return np.broadcast_to(np.float32(depths)[:, None, None], (len(depths), H, W)).copy()


VEIL = planes(*[NEAR] * 3, *[FAR] * 7)
"""A veil in front of a wall: 30 % of every ray ends at the veil."""


def matched(data, tmp_path, generator, **how):
    store = FrameStore(data, max_size=None, cache_dir=tmp_path / "cache")
    found = MatchFinder(data, **how).sample(store[0], store[1], 4000, generator).found
    return found, (found.uv_a - found.uv_b)[:, 0]


def share(shift, depth):
    return ((shift - SHIFT[depth]).abs() < 0.02).float().mean().item()


def test_matches_are_distributed_as_the_density_says(tmp_path, generator):
    """And lie on one of the two surfaces each, where the twin with the mean depth lies on none."""
    data = scan(tmp_path / "data", (FAR, FAR), (VEIL, VEIL))
    found, shift = matched(data, tmp_path, generator)
    inside = found.outcome != Outcome.OUT_OF_FRAME
    assert (found.outcome[inside] == Outcome.VISIBLE).all()
    bound = 4 * math.sqrt(0.3 * 0.7 / len(shift))
    assert abs(share(shift, NEAR) - 0.3) < bound
    assert share(shift, NEAR) + share(shift, FAR) == pytest.approx(1)

    twin, empty_air = matched(scan(tmp_path / "mean", (MEAN, MEAN)), tmp_path, generator)
    assert twin.visible.float().mean() > 0.8
    assert share(empty_air, MEAN) == 1
    assert share(empty_air, NEAR) == share(empty_air, FAR) == 0


def test_without_density_the_likeliest_depth_counts(tmp_path, generator):
    data = scan(tmp_path / "data", (FAR, FAR), (VEIL, VEIL))
    _, shift = matched(data, tmp_path, generator, density=False)
    assert share(shift, FAR) == 1
    pairs = make_pairs(data, number=2, points=16)
    for pair in pairs:
        moved = (pair.uv_a - pair.uv_b)[pair.visible_b, 0].abs()
        torch.testing.assert_close(moved, torch.full_like(moved, SHIFT[FAR]), atol=0.02, rtol=0)


def test_a_source_draws_from_the_density_unless_told_not_to(tmp_path, generator):
    store = FrameStore(scan(tmp_path / "data", (FAR, FAR), (VEIL, VEIL)), cache_dir=tmp_path / "cache")
    mixture = PairMixture(within=1.0, across=0.0)
    for density, expected in ((True, 2), (False, 1)):
        sampling = PairSampling(pairs=2, points=128, mixture=mixture, density=density)
        batch = PairSource(store, sampling).sample(generator)
        moved = (batch.uv_a - batch.uv_b)[batch.valid][:, 0].abs()
        assert len(((moved * 10).round() / 10).unique()) == expected


def test_opaque_scenes_are_matched_as_by_plain_depth(tmp_path):
    slope = np.float32(np.linspace(0.8, 1.4, W)[None].repeat(H, 0))
    plain, dense = (
        matched(
            scan(tmp_path / name, (slope, slope), q), tmp_path, torch.Generator().manual_seed(3)
        )[0]
        for name, q in (("plain", None), ("dense", (slope[None].repeat(8, 0),) * 2))
    )  # fmt: skip
    assert torch.equal(plain.uv_a, dense.uv_a)
    # half a thousandth of the depth is half a thousandth of at most 4 pixels
    torch.testing.assert_close(plain.uv_b, dense.uv_b, atol=0.003, rtol=0)
    assert (plain.outcome == dense.outcome).float().mean() > 0.99


def test_what_b_does_not_see_at_all_is_hidden(tmp_path, generator):
    """In B the veil is opaque: the wall behind it is not seen."""
    data = scan(tmp_path / "data", (FAR, NEAR), (VEIL, planes(*[NEAR] * 10)))
    found, shift = matched(data, tmp_path, generator)
    inside = found.outcome != Outcome.OUT_OF_FRAME
    near = (shift - SHIFT[NEAR]).abs() < 0.02
    assert torch.equal(found.visible[inside], near[inside])
    assert (found.outcome == Outcome.OCCLUDED).any()


def test_points_are_drawn_where_the_ray_is_opaque(tmp_path, generator):
    depth = np.full((H, W), FAR, np.float32)
    depth[:, : W // 2] = 0
    found, _ = matched(scan(tmp_path / "data", (depth, FAR), (VEIL, VEIL)), tmp_path, generator)
    assert len(found.uv_a) == 4000
    assert (found.uv_a[:, 0] >= W // 2).all()


def rendered_rod(folder):
    """A radiance field's views of a rod, three pixels wide, that takes 40 % of its rays, before a far wall.

    Returns the first column of the rod in each view. Depths are samples 3 and 9 of a ray."""
    for name in ("rgb", "z", "weight", "pose"):
        (folder / name).mkdir(parents=True)
    np.savetxt(folder / "intrinsics.txt", K.numpy())
    z = np.full((H, W, 12), 0, np.float32) + np.linspace(0.5, 0.5 + 11 / 4, 12, dtype=np.float32)
    near, far = 2, 10
    assert (z[0, 0, near], z[0, 0, far]) == (NEAR, FAR)
    first = []
    for i in range(2):
        columns = slice(18 - 3 * i, 21 - 3 * i)  # SHIFT[NEAR] is three pixels
        weight = np.zeros_like(z)
        weight[..., far] = 1
        weight[:, columns, near], weight[:, columns, far] = 0.4, 0.6
        weight[:2] *= 0.3  # the upper rows are nearly transparent
        pose = np.diag([1.0, -1, -1, 1])
        pose[0, 3] = i * STEP
        cv2.imwrite(str(folder / "rgb" / f"{i:06d}.png"), np.full((H, W, 3), 50, np.uint8))
        np.save(folder / "z" / f"{i:06d}.npy", z)
        np.save(folder / "weight" / f"{i:06d}.npy", weight)
        np.savetxt(folder / "pose" / f"{i:06d}.txt", pose)
        first.append(columns.start)
    return first


def test_from_a_radiance_field_to_matches(tmp_path, generator):
    """Imported, written, read, stored, drawn: rays through the rod match the rod and the wall and nothing between."""
    first = rendered_rod(tmp_path / "renderonly_train_1")
    assert first[0] - first[1] == pytest.approx(SHIFT[NEAR])
    import_dataset("nerf-supervision", tmp_path / "renderonly_train_1", tmp_path / "native")
    data = open_dataset(tmp_path / "native")
    for view in data.views():
        quantiles = decode_view(view).depth_quantiles
        assert quantiles.shape == (QUANTILES, H, W)
        assert np.isnan(quantiles[:, :2]).all()
        assert set(np.unique(quantiles[:, 2:])) == {NEAR, FAR}
    found, shift = matched(data, tmp_path, generator)
    assert (found.uv_a[:, 1] >= 2).all()
    rod = ((found.uv_a[:, 0] - first[0] - 1).abs() <= 1) & found.visible
    assert rod.sum() > 100
    bound = 4 * math.sqrt(0.4 * 0.6 / int(rod.sum()))
    assert abs(share(shift[rod], NEAR) - 0.4) < 0.5 / QUANTILES + bound
    assert share(shift[rod], NEAR) + share(shift[rod], FAR) == pytest.approx(1)
    assert share(shift[~rod & found.visible], FAR) == 1


def test_scales_are_those_of_the_depth(tmp_path):
    rendered_rod(tmp_path / "renderonly_train_1")
    scale = Corrections(world_scale=0.2, depth_scale=0.2)
    out = import_dataset("nerf-supervision", tmp_path / "renderonly_train_1", tmp_path / "native", scale)
    arrays = decode_view(out.views()[0])
    known = ~np.isnan(arrays.depth_quantiles)
    values = np.unique(arrays.depth_quantiles[known]).astype(np.float32)
    np.testing.assert_allclose(values, [0.2 * NEAR, 0.2 * FAR], rtol=5e-4)
    # a native set has another unit for depth than for quantiles: both double
    twice = corrected(out, Corrections(depth_scale=2 * out.views()[0].depth.metres_per_unit)).views()[0]
    assert twice.depth_quantiles.metres_per_unit == pytest.approx(2)
    doubled = decode_view(twice).depth_quantiles
    np.testing.assert_allclose(doubled[known], 2 * arrays.depth_quantiles[known], rtol=1e-3)


@pytest.fixture
def random_scan(tmp_path):
    """Two views with random quantiles, some unknown, and a third without."""
    rng = np.random.default_rng(0)
    quantiles = np.sort(rng.uniform(0.5, 3, (2, 5, H, W)), axis=1).astype(np.float32)
    quantiles[:, :, 3, 4] = np.nan
    data = scan(tmp_path / "data", (1.0, 1.0, 1.0), (*quantiles, quantiles[0]))
    (recording,) = data.recordings
    bare = Moment((replace(recording.moments[2].views[0], depth_quantiles=None),))
    moments = (*recording.moments[:2], bare)
    return replace(data, recordings=(replace(recording, moments=moments),)), quantiles


def test_round_trip_through_the_native_form(random_scan, tmp_path):
    data, quantiles = random_scan
    write_native(data, tmp_path / "native")
    back = open_dataset(tmp_path / "native").views()
    for view, expected in zip(back, quantiles):
        found = decode_view(view).depth_quantiles
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        np.testing.assert_allclose(found, expected, rtol=5e-4)
    assert back[2].depth_quantiles is None
    folder = tmp_path / "native" / "train" / "000000" / "depth_quantiles"
    assert sorted(p.name for p in folder.iterdir()) == ["000000.npy", "000001.npy"]
    again = tmp_path / "again"
    write_native(open_dataset(tmp_path / "native"), again)
    for file in folder.iterdir():
        assert (again / file.relative_to(tmp_path / "native")).read_bytes() == file.read_bytes()


def test_16_bit_files(tmp_path):
    units = np.random.default_rng(0).integers(0, 65536, (4, H, W), dtype=np.uint16)
    (view,) = scan(tmp_path / "data", (1.0,), (units,)).views()
    view = replace(view, depth_quantiles=replace(view.depth_quantiles, metres_per_unit=1e-4))
    found = decode_view(view).depth_quantiles
    expected = np.where(units > 0, units * 1e-4, np.nan)
    np.testing.assert_allclose(found, expected, rtol=5e-4)


def test_a_bent_lens_is_straightened_layer_by_layer(random_scan, tmp_path):
    data, _ = random_scan
    view, lens = data.views()[0], Lens("brown", (-0.3, 0.1, 0.0, 0.0))
    bent = replace(data, recordings=(Recording("a", "scan", (Moment((replace(view, lens=lens),)),)),))
    write_native(bent, tmp_path / "native")
    found = decode_view(open_dataset(tmp_path / "native").views()[0]).depth_quantiles
    for layer, before in zip(found, decode_view(view).depth_quantiles, strict=True):
        expected = undistort_image(before.astype(np.float32), K, lens, "nearest")
        assert np.array_equal(layer, np.where(expected > 0, expected, np.nan), equal_nan=True)
        assert not np.array_equal(layer, before, equal_nan=True)


@pytest.mark.parametrize("max_size", [None, 16])
def test_the_store_returns_what_the_files_hold(random_scan, tmp_path, max_size):
    data, quantiles = random_scan
    mapped = FrameStore(data, max_size=max_size, cache_dir=tmp_path / "cache")
    direct = FrameStore(data, max_size=max_size, cache_dir=tmp_path / "other", budget_bytes=10)
    assert (mapped.mapped, direct.mapped) == (True, False)
    for store in (mapped, direct, pickle.loads(pickle.dumps(mapped))):
        for i in range(2):
            frame = store[i]
            expected = quantiles[i] if max_size is None else quantiles[i][:, 1::2, 1::2]
            found = frame.depth_quantiles
            assert (found.dtype, found.shape[1:]) == (torch.float16, frame.depth.shape)
            np.testing.assert_allclose(found.numpy(), expected, rtol=5e-4)
        assert store[2].depth_quantiles is None


def test_frames_do_not_write_to_the_store(random_scan, tmp_path):
    store = FrameStore(random_scan[0], cache_dir=tmp_path / "cache")
    before = (store.folder / "quantiles.bin").read_bytes()
    store[0].depth_quantiles.zero_()
    assert (store.folder / "quantiles.bin").read_bytes() == before
    fresh = FrameStore(random_scan[0], cache_dir=tmp_path / "cache")
    assert (fresh[0].depth_quantiles > 0).any()


def test_other_data_sets_are_stored_as_ever(tmp_path):
    """No file, index entry or part of the name speaks of quantiles."""
    data = scan(tmp_path / "data", (1.0, 1.0))
    store = FrameStore(data, max_size=None, cache_dir=tmp_path / "cache")
    assert {p.name for p in store.folder.iterdir()} == {
        "images.bin",
        "depth.bin",
        "labels.bin",
        "index.json",
        ".used",
    }
    index = json.loads((store.folder / "index.json").read_text())
    assert set(index["entries"][0]) == {
        "size", "source_size", "image", "depth", "metres_per_unit", "labels"
    }  # fmt: skip
    digest = hashlib.sha256(b"2 None")
    for i in range(2):
        digest.update(b"\nview")
        for kind, name, scale in (("image", f"{i}.png", 0), ("depth image", f"{i}.npy", 1.0)):
            status = os.stat(tmp_path / "data" / name)
            digest.update(f"\n{kind} {name} {status.st_size} {status.st_mtime_ns} {scale}".encode())
    assert store.fingerprint == digest.hexdigest()[:32]


def test_other_quantiles_are_another_store(random_scan, tmp_path):
    data, quantiles = random_scan
    first = FrameStore(data, cache_dir=tmp_path / "cache").fingerprint
    np.save(data.views()[1].depth_quantiles.path, quantiles[1, :3])
    store = FrameStore(data, cache_dir=tmp_path / "cache")
    assert store.fingerprint != first
    assert [len(store[i].depth_quantiles) for i in range(2)] == [5, 3]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p: np.save(p, np.ones((4, W, H), np.float16)), rf"are \(4, {W}, {H}\), not m {H} {W}"),
        (lambda p: np.save(p, np.ones((H, W), np.float16)), rf"are \({H}, {W}\), not m h w"),
        (lambda p: np.save(p, np.ones((0, H, W), np.float16)), rf"are \(0, {H}, {W}\), not m h w"),
        (lambda p: np.save(p, np.ones((4, H, W), np.int32)), "are int32; write"),
        (lambda p: np.save(p, np.array([{}], dtype=object)), "is not a readable array"),
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), "is not a readable array"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.unlink(), "does not exist"),
    ],
)
def test_bad_files(random_scan, tmp_path, break_it, message):
    write_native(random_scan[0], tmp_path / "native")
    data = open_dataset(tmp_path / "native")
    file = data.views()[1].depth_quantiles.path
    break_it(file)
    for budget in (8 << 30, 0):
        with pytest.raises(DataError, match=message) as caught:
            FrameStore(data, cache_dir=tmp_path / "cache", budget_bytes=budget)[1]
        assert "depth_quantiles/000001.npy" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("*"))


def test_quantiles_need_a_depth(random_scan, tmp_path):
    write_native(random_scan[0], tmp_path / "native")
    (tmp_path / "native" / "train" / "000000" / "depth" / "000001.png").unlink()
    with pytest.raises(DataError, match=r"depth_quantiles/000001\.npy: depth quantiles of an image without"):
        open_dataset(tmp_path / "native")


@pytest.mark.parametrize(
    ("depth", "quantiles", "message"),
    [
        (None, np.ones((2, 4, 6)), "depth quantiles without depth"),
        (np.ones((4, 6)), np.ones((2, 6, 4)), r"depth quantiles are \(2, 6, 4\)"),
        (np.ones((4, 6)), np.ones((4, 6)), r"depth quantiles are \(4, 6\)"),
        (np.ones((4, 6)), np.ones((0, 4, 6)), r"depth quantiles are \(0, 4, 6\)"),
    ],
)
def test_bad_arrays_are_not_written(tmp_path, depth, quantiles, message):
    image = np.zeros((4, 6, 3), np.uint8)
    view = WrittenView("c", image, K.numpy(), depth=depth, depth_quantiles=quantiles)
    with pytest.raises(DataError, match=message), SceneWriter(tmp_path, "train", 0) as scene:
        scene.add_moment([view])
    assert not list((tmp_path / "train").iterdir())
