import numpy as np
import pytest

from samepoint.data.readers.nerf_supervision import quantiles as module
from samepoint.data.readers.nerf_supervision.quantiles import likeliest_depth, ray_quantiles

SHAPE = (7, 5, 11)


def obvious_quantiles(z, weight, number):
    """Ray by ray: walk along the ray until the sum of weights has reached its share."""
    h, w, _ = z.shape
    found = np.full((number, h, w), np.nan, dtype=np.float32)
    for i in range(h):
        for j in range(w):
            shares = [float(x) for x in weight[i, j]]
            total = sum(shares)
            if not (np.isfinite(total) and total > 0 and min(shares) >= 0):
                continue
            for k in range(number):
                passed = 0.0
                for depth, share in zip(z[i, j], shares, strict=True):
                    passed += share
                    if passed >= (k + 0.5) / number * total:
                        found[k, i, j] = depth
                        break
    return found


@pytest.fixture
def rays():
    rng = np.random.default_rng(0)
    z = np.sort(rng.uniform(1, 9, SHAPE), axis=2).astype(np.float32)
    weight = rng.exponential(size=SHAPE).astype(np.float32) ** 3
    weight[rng.uniform(size=SHAPE) < 0.3] = 0
    weight /= weight.sum(axis=2, keepdims=True) * rng.uniform(1, 3, (*SHAPE[:2], 1))
    weight[0, 0] = 0
    weight[1, 1, 3] = np.nan
    weight[2, 2, 3] = -0.1
    weight[3, 3, 3] = np.inf
    return z, weight.astype(np.float32)


@pytest.mark.parametrize("number", [1, 2, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_against_the_obvious(rays, number, dtype):
    z, weight = (values.astype(dtype) for values in rays)
    found = ray_quantiles(z, weight, number)
    assert found.dtype == np.float32
    assert np.array_equal(found, obvious_quantiles(z, weight, number), equal_nan=True)
    unknown = np.isnan(found).all(axis=0)
    assert [tuple(p) for p in np.argwhere(unknown)] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert np.array_equal(unknown, np.isnan(found).any(axis=0))


def test_they_ascend_and_are_depths_of_samples(rays):
    z, weight = rays
    found = ray_quantiles(z, weight, 8)
    known = ~np.isnan(found[0])
    assert (np.diff(found[:, known], axis=0) >= 0).all()
    match = (z[None] == found[..., None]) & (weight > 0)[None]
    assert match.any(axis=3)[:, known].all()


def test_in_blocks_of_rows(rays, tmp_path, monkeypatch):
    whole = ray_quantiles(*rays, 8)
    files = []
    for name, values in zip("zw", rays, strict=True):
        np.save(tmp_path / f"{name}.npy", values)
        files.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    for block in (1, 2 * SHAPE[1] * SHAPE[2], 10**9):
        monkeypatch.setattr(module, "BLOCK", block)
        assert np.array_equal(ray_quantiles(*files, 8), whole, equal_nan=True)
        assert np.array_equal(likeliest_depth(*files), likeliest_depth(*rays))


def test_two_surfaces_are_not_mixed():
    z = np.linspace(1, 4, 7, dtype=np.float32)[None, None]
    weight = np.array([0, 0.3, 0, 0, 0, 0.6, 0], dtype=np.float32)[None, None]
    assert ray_quantiles(z, weight, 8).ravel().tolist() == [1.5] * 3 + [3.5] * 5
    assert likeliest_depth(z, weight).item() == 3.5


def test_opacity_decides_whether_the_likeliest_is_known(rays):
    z, weight = rays
    depth = likeliest_depth(z, weight)
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            total = float(weight[i, j].astype(np.float64).sum())
            if np.isfinite(total):
                assert depth[i, j] == (z[i, j, weight[i, j].argmax()] if total >= 0.5 else 0)
    assert depth[1, 1] == 0
    assert 0 < (depth > 0).sum() < depth.size


def test_no_rays():
    nothing = np.zeros((0, 5, 3), dtype=np.float32)
    assert ray_quantiles(nothing, nothing, 8).shape == (8, 0, 5)
    assert likeliest_depth(nothing, nothing).shape == (0, 5)
