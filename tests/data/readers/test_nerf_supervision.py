import shutil

import cv2
import numpy as np
import pytest
import torch

from samepoint.data.corrections import Corrections, corrected
from samepoint.data.decode import decode_view
from samepoint.data.importers import write_native
from samepoint.data.open import open_dataset
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.nerf_supervision import is_nerf_supervision, read_nerf_supervision
from samepoint.data.readers.nerf_supervision.quantiles import ray_quantiles
from samepoint.errors import DataError
from samepoint.geometry.cameras import project, unproject
from samepoint.geometry.motions import invert, transform

H, W, F, N = 12, 16, 20.0, 128


def nerf_ray(c2w, i, j):
    """Origin and direction of the ray of column i and row j, as NeRF casts it (OpenGL axes, not unit length)."""
    direction = np.array([(i - W * 0.5) / F, -(j - H * 0.5) / F, -1.0])
    return c2w[:3, 3], c2w[:3, :3] @ direction


def write_rendering(folder, frames=3, seed=0):
    """A folder as run_nerf.py --render_only writes it; returns the expected depth of each frame."""
    rng = np.random.default_rng(seed)
    for name in ("rgb", "depth", "weight", "z", "pose"):
        (folder / name).mkdir(parents=True)
    np.savetxt(folder / "intrinsics.txt", np.array([[F, 0, W / 2], [0, F, H / 2], [0, 0, 1]]))
    for i in range(frames):
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(rng.normal(size=3))[0]
        pose[:3, 3] = rng.normal(size=3)
        z = np.sort(1 / rng.uniform(0.1, 1, (H, W, N)), axis=2).astype(np.float32)
        weight = rng.exponential(size=(H, W, N)) ** 4
        weight = (weight / weight.sum(axis=2, keepdims=True)).astype(np.float32)
        depth = (weight * z).sum(axis=2)
        cv2.imwrite(str(folder / "rgb" / f"{i:06d}.png"), rng.integers(0, 255, (H, W, 3), dtype=np.uint8))
        cv2.imwrite(str(folder / "depth" / f"{i:06d}.png"), (depth * 1000).astype(np.uint16))
        np.save(folder / "z" / f"{i:06d}.npy", z)
        np.save(folder / "weight" / f"{i:06d}.npy", weight)
        np.savetxt(folder / "pose" / f"{i:06d}.txt", pose)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_rendering(tmp_path / "fork" / "renderonly_train_049999")


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_read(folder, scratch):
    (recording,) = read_nerf_supervision(folder, scratch).recordings
    assert (recording.name, recording.mode, recording.split) == ("renderonly_train_049999", "scan", "train")
    views = tuple(recording.views())
    assert [v.image.name for v in views] == ["000000.png", "000001.png", "000002.png"]
    for i, view in enumerate(views):
        assert view.intrinsics.tolist() == [[F, 0, W / 2], [0, F, H / 2], [0, 0, 1]]
        z, weight = (np.load(folder / name / f"{i:06d}.npy") for name in ("z", "weight"))
        depth = np.load(view.depth.path)
        assert (depth.dtype, view.depth.metres_per_unit) == (np.float32, 1.0)
        assert np.array_equal(depth, np.take_along_axis(z, weight.argmax(2)[..., None], 2)[..., 0])
        assert view.depth_quantiles.metres_per_unit == 1.0
        quantiles = np.load(view.depth_quantiles.path)
        assert (quantiles.dtype, quantiles.shape) == (np.float32, (8, H, W))
        assert np.array_equal(quantiles, ray_quantiles(z, weight, 8))
        assert scratch in view.depth.path.parents


def test_convention_points_of_a_ray_lie_on_its_pixel(folder, scratch):
    views = read_nerf_supervision(folder, scratch).views()
    for k, view in enumerate(views):
        c2w = np.loadtxt(folder / "pose" / f"{k:06d}.txt")
        for i, j, z in ((3, 5, 2.0), (12, 1, 0.7), (0, 11, 5.0)):
            origin, direction = nerf_ray(c2w, i, j)
            world = torch.from_numpy(origin + z * direction).float()[None]
            uv, depth = project(view.intrinsics, transform(invert(view.world_from_camera), world))
            torch.testing.assert_close(uv, torch.tensor([[i, j]]).float(), atol=1e-4, rtol=0)
            torch.testing.assert_close(depth, torch.tensor([z]), atol=1e-5, rtol=0)
            back = unproject(view.intrinsics, uv, depth)
            torch.testing.assert_close(transform(view.world_from_camera, back), world, atol=1e-4, rtol=0)


def test_without_rays_the_depth_images_count(folder, scratch):
    for name in ("z", "weight"):
        shutil.rmtree(folder / name)
    for view in read_nerf_supervision(folder, scratch).views():
        assert view.depth.metres_per_unit == 0.001
        assert view.depth.path == folder / "depth" / view.image.name
        assert view.depth_quantiles is None
    assert not list(scratch.iterdir())
    shutil.rmtree(folder / "depth")
    assert all(view.depth is None for view in read_nerf_supervision(folder, scratch).views())


def test_the_newest_of_each_kind(folder, scratch):
    write_rendering(folder.with_name("renderonly_train_100000"), frames=2)
    write_rendering(folder.with_name("renderonly_test_100000"), frames=1)
    write_rendering(folder.with_name("renderonly_path_100000"), frames=1)
    write_rendering(folder.with_name("testset_050000"), frames=1)
    (folder.parent / "tensorboard").mkdir()
    data = read_nerf_supervision(folder.parent, scratch)
    assert {(r.name, r.split, len(r.moments)) for r in data.recordings} == {
        ("renderonly_train_100000", "train", 2),
        ("renderonly_test_100000", "test", 1),
        ("renderonly_path_100000", None, 1),
        ("testset_050000", "test", 1),
    }


def test_to_metres_and_the_native_form(folder, scratch, tmp_path):
    data = read_nerf_supervision(folder, scratch)
    scaled = corrected(data, Corrections(world_scale=0.2, depth_scale=0.2))
    write_native(scaled, tmp_path / "out")
    for mine, theirs in zip(data.views(), read_bop(tmp_path / "out").views(), strict=True):
        expected = mine.world_from_camera.clone()
        expected[:3, 3] *= 0.2
        torch.testing.assert_close(theirs.world_from_camera, expected, atol=1e-5, rtol=1e-5)
        arrays = decode_view(theirs)
        np.testing.assert_allclose(
            arrays.depth * arrays.metres_per_unit, np.load(mine.depth.path) * 0.2, atol=1e-4
        )


def test_normalised_device_coordinates_are_refused(folder, scratch):
    arguments = folder.parent / "args.txt"
    arguments.write_text("dataset_type = llff\nno_ndc = True\n")
    read_nerf_supervision(folder, scratch)
    arguments.write_text("dataset_type = llff\nno_ndc = False\n")
    with pytest.raises(DataError, match=r"args\.txt: this NeRF is in normalised device coordinates.*; train"):
        read_nerf_supervision(folder, scratch)


def save(folder, name, values):
    np.save(folder / name, values)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: shutil.rmtree(f / "rgb"), "holds no rgb/ with intrinsics"),
        (lambda f: shutil.rmtree(f / "rgb") or (f / "rgb").mkdir(), "rgb: holds no images"),
        (lambda f: (f / "intrinsics.txt").unlink(), r"intrinsics\.txt: this file does not exist"),
        (lambda f: (f / "intrinsics.txt").write_text("20 0 8"), r"intrinsics\.txt: has 3 numbers, not 9"),
        (lambda f: (f / "intrinsics.txt").write_bytes(b"\xff\xfe\xfa"), r"intrinsics\.txt: cannot be read"),
        (
            lambda f: np.savetxt(f / "intrinsics.txt", [[40, 0, 16], [0, 40, 12], [0, 0, 1]]),
            r"has its centre at 16, 12, but the images are 16x12",
        ),
        (lambda f: (f / "pose" / "000001.txt").unlink(), r"000001\.txt: this file does not exist"),
        (
            lambda f: (f / "pose" / "000001.txt").write_text("one two"),
            r"000001\.txt: holds 'one' among its numbers",
        ),
        (lambda f: np.savetxt(f / "pose" / "000001.txt", np.eye(3)), r"000001\.txt: has 9 numbers, not 16"),
        (lambda f: np.savetxt(f / "pose" / "000001.txt", np.eye(4) * 2), r"000001\.txt: the last row"),
        (lambda f: np.savetxt(f / "pose" / "000001.txt", np.diag([1, 1, -1, 1])), r"001\.txt: .*mirrored"),
        (lambda f: shutil.rmtree(f / "z"), r"has weight/ only, of z/ and weight/"),
        (lambda f: (f / "z" / "000002.npy").unlink(), r"z/000002\.npy: this file does not exist"),
        (lambda f: (f / "weight" / "000002.npy").write_bytes(b""), r"weight/000002\.npy: is empty"),
        (
            lambda f: (f / "z" / "000002.npy").write_bytes((f / "z" / "000002.npy").read_bytes()[:5000]),
            r"z/000002\.npy: is not a readable array",
        ),
        (
            lambda f: save(f, "weight/000000.npy", np.zeros((H, W, 64), np.float32)),
            r"weight/000000\.npy: has 64 samples a ray, z has 128",
        ),
        (
            lambda f: save(f, "weight/000000.npy", np.zeros((W, H, N), np.float32)),
            r"weight/000000\.npy: is float32 \(16, 12, 128\), not floating point 12 16 n",
        ),
        (
            lambda f: save(f, "z/000000.npy", np.zeros((H, W, N), np.int32)),
            r"z/000000\.npy: is int32",
        ),
        (
            lambda f: save(f, "z/000000.npy", np.load(f / "z/000000.npy")[..., ::-1]),
            r"z/000000\.npy: the depths fall along a ray",
        ),
    ],
)
def test_bad(folder, scratch, break_it, message):
    break_it(folder)
    with pytest.raises(DataError, match=message):
        read_nerf_supervision(folder, scratch)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "depth" / "000001.png").unlink(), r"depth/000001\.png: this image does not exist"),
        (
            lambda f: cv2.imwrite(str(f / "depth" / "000001.png"), np.zeros((5, 5), np.uint16)),
            r"depth/000001\.png: has another size than its image",
        ),
    ],
)
def test_bad_depth_images(folder, scratch, break_it, message):
    for name in ("z", "weight"):
        shutil.rmtree(folder / name)
    break_it(folder)
    with pytest.raises(DataError, match=message):
        read_nerf_supervision(folder, scratch)


def test_it_is_not_taken_for_plain_frames(folder, scratch):
    """Its poses have OpenGL's axes."""
    with pytest.raises(
        DataError, match="is a recording in the form 'nerf-supervision', which is imported first"
    ):
        open_dataset(folder)
    assert is_nerf_supervision(folder.parent)
    assert read_nerf_supervision(folder, scratch).notes == ()


def test_older_renderings_are_named(folder, scratch):
    shutil.copytree(folder, folder.with_name("renderonly_train_000100"))
    notes = read_nerf_supervision(folder.parent, scratch).notes
    assert notes
    assert all(note.startswith("renderonly_train_000100/") for note in notes)
    assert all(note.endswith("of an older iteration") for note in notes)
