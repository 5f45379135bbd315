"""Pairs of views of an object: the motion must take points of A to where B shows them."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from samepoint.data.motion_sampling import PosedPairs, SinglePairs, sights
from samepoint.data.object_views import Cutting
from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.cameras import focal_length, project
from samepoint.geometry.motions import invert, rotation_angle, transform

CUTTING = Cutting((64, 64), 30.0, (0.5, 0.9))


@pytest.fixture(scope="module")
def store(rendered):
    return FrameStore(open_dataset(rendered).split("train"))


def without_poses(dataset):
    def bare(view):
        placements = tuple(replace(p, camera_from_object=None) for p in view.placements)
        return replace(view, placements=placements)

    return Dataset(dataset.root, tuple(r.with_views(bare) for r in dataset.recordings), dataset.objects)


def test_posed_pairs_agree_with_the_object(store, generator):
    """The object's axis, projected into both, is one and the same pair of points after the motion."""
    source = PosedPairs(store, CUTTING, 6, max_turn=120.0)
    batch = source.sample(generator)
    assert batch.image_a.shape == (6, 3, 64, 64)
    assert (batch.residual == 0).all()
    assert batch.mask_a.flatten(1).any(1).all()
    for k in range(6):
        a, b = source._pair(generator)[:2]
        moved = b.pose @ invert(a.pose)
        ends_a = transform(a.pose, torch.tensor([[0.03, 0, 0.02], [-0.03, 0, 0.02]]))
        uv_b, _ = project(b.intrinsics, transform(moved, ends_a))
        again, _ = project(b.intrinsics, transform(b.pose, torch.tensor([[0.03, 0, 0.02], [-0.03, 0, 0.02]])))
        torch.testing.assert_close(uv_b, again, rtol=0, atol=1e-2)
        assert bool(b.mask.any())
        assert k < 6


def test_the_object_is_where_its_pose_says(store, generator):
    """The mesh's middle, projected by the cut's camera, lies within the mask's box."""
    source = PosedPairs(store, CUTTING, 1)
    inside = 0
    for _ in range(20):
        side = source._pair(generator)[0]
        uv, _ = project(side.intrinsics, transform(side.pose, torch.tensor([[0.0, 0.0, 0.03]])))
        rows, columns = side.mask.nonzero().unbind(-1)
        inside += int(
            columns.min() - 3 <= uv[0, 0] <= columns.max() + 3 and rows.min() - 3 <= uv[0, 1] <= rows.max() + 3
        )
    assert inside >= 17  # parts of objects are hidden now and then


def test_views_are_no_farther_apart_than_asked(store, generator):
    source = PosedPairs(store, replace(CUTTING, rotation=0.0), 1, max_turn=40.0)
    for _ in range(20):
        a, b, moved, _ = source._pair(generator)
        places = [invert(side.pose)[:3, 3] for side in (a, b)]
        cosine = torch.nn.functional.cosine_similarity(places[0], places[1], dim=0)
        assert float(cosine) > 0.76 - 1e-3
        torch.testing.assert_close(moved, b.pose @ invert(a.pose))


def test_the_same_generator_gives_the_same_batch(store):
    for source in (PosedPairs(store, CUTTING, 2), SinglePairs(store, CUTTING, 2)):
        one, two = (source.sample(torch.Generator().manual_seed(4)) for _ in range(2))
        assert torch.equal(one.image_a, two.image_a)
        assert torch.equal(one.b_from_a, two.b_from_a)


def test_single_pairs_need_a_mask_only(store, generator):
    bare = FrameStore(without_poses(store.dataset))
    batch = SinglePairs(bare, CUTTING, 8).sample(generator)
    assert batch.image_a.shape == (8, 3, 64, 64)
    assert (batch.residual > 0).any()  # rendered depth has relief
    assert (batch.residual < 0.02).all()
    assert (rotation_angle(batch.b_from_a) < 1.1 * torch.deg2rad(torch.tensor(60.0))).all()
    with pytest.raises(DataError, match="--views single"):
        PosedPairs(bare, CUTTING)


def test_the_survey_says_how_far_and_how_large_objects_are(store):
    found = PosedPairs(store, CUTTING).survey(300.0)
    assert 0.02 < found.radius < 0.2
    doubled = PosedPairs(store, CUTTING).survey(600.0)
    assert doubled.depth == pytest.approx(2 * found.depth)
    assert found.pixels > 0


def test_depth_in_the_wrong_unit_is_caught(rendered, tmp_path):
    root = shutil.copytree(rendered, tmp_path / "data")
    for path in root.glob("train/*/scene_camera.json"):
        cameras = json.loads(path.read_text())
        for camera in cameras.values():
            camera["depth_scale"] *= 1000
        path.write_text(json.dumps(cameras))
    store = FrameStore(open_dataset(root).split("train"))
    with pytest.raises(DataError, match=r"median depth .* --depth-unit"):
        SinglePairs(store, CUTTING)


def test_without_a_mask_nothing_can_be_learnt(tmp_path):
    import cv2
    import numpy as np

    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), np.full((80, 80, 3), 90, np.uint8))
    with pytest.raises(DataError, match="no image has a mask"):
        sights(FrameStore(open_dataset(tmp_path)))
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), np.zeros((80, 80), np.uint8))
    with pytest.raises(DataError, match="mask is empty"):
        sights(FrameStore(open_dataset(tmp_path)))
    dot = np.zeros((80, 80), np.uint8)
    dot[:3, :3] = 255
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), dot)
    with pytest.raises(DataError, match="only 9 pixels"):
        sights(FrameStore(open_dataset(tmp_path)))


def test_cameras_stay_square(store, generator):
    batch = SinglePairs(store, CUTTING, 3).sample(generator)
    assert torch.equal(batch.intrinsics_a, batch.intrinsics_b)
    torch.testing.assert_close(focal_length(batch.intrinsics_a), batch.intrinsics_a[:, 0, 0])
