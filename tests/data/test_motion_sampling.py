"""Pairs of views of an object: the motion must take points of A to where B shows them."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from samepoint.data.mesh import load_mesh
from samepoint.data.motion_sampling import PosedViews, SingleViews, sights
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


def test_posed_groups_have_every_pair(store, generator):
    batch = PosedViews(store, CUTTING, 8, 4, max_turn=180.0).sample(generator)
    assert batch.image.shape == (8, 3, 64, 64)
    assert batch.pairs.tolist() == [[i + s, j + s] for s in (0, 4) for i in range(4) for j in range(i + 1, 4)]
    assert (batch.residual == 0).all()
    assert batch.mask.flatten(1).any(1).all()


def test_what_moves_with_the_object_covers_its_mask_in_the_other_view(store, generator):
    """The mesh, placed in A and moved as the pair says, fills the box of B's mask: pose, cut and motion agree."""
    errors = []
    for number in range(len(PosedViews(store, CUTTING).objects)):
        source = PosedViews(store, CUTTING, 4, 4, max_turn=180.0)
        source.objects, source._towards = [source.objects[number]], [source._towards[number]]
        sight = source.objects[0][0]
        placement = store.view(sight.frame).placements[sight.placement]
        vertices = load_mesh(store.dataset.objects[placement.object_id]).vertices.float()
        group = source._group(generator)
        for (i, j), (moved, _) in group.motions.items():
            a, b = group.views[i], group.views[j]
            uv, _ = project(b.intrinsics, transform(moved, transform(a.pose, vertices)))
            rows, columns = b.mask.nonzero().unbind(-1)
            box = torch.stack((columns.min(), rows.min(), columns.max(), rows.max())).float()
            errors.append((torch.cat((uv.amin(0), uv.amax(0))) - box).abs().max())
    assert torch.stack(errors).median() < 1.5  # others hide parts of some objects


def test_the_object_is_where_its_pose_says(store, generator):
    """The mesh's middle, projected by the cut's camera, lies within the mask's box."""
    source = PosedViews(store, CUTTING, 2, 2)
    inside = 0
    for _ in range(20):
        side = source._group(generator).views[0]
        uv, _ = project(side.intrinsics, transform(side.pose, torch.tensor([[0.0, 0.0, 0.03]])))
        rows, columns = side.mask.nonzero().unbind(-1)
        inside += int(
            columns.min() - 3 <= uv[0, 0] <= columns.max() + 3
            and rows.min() - 3 <= uv[0, 1] <= rows.max() + 3
        )
    assert inside >= 17  # parts of objects are hidden now and then


def test_views_are_no_farther_apart_than_asked(store, generator):
    source = PosedViews(store, replace(CUTTING, rotation=0.0), 2, 2, max_turn=40.0)
    for _ in range(20):
        group = source._group(generator)
        (a, b), (moved, _) = group.views, group.motions[0, 1]
        places = [invert(side.pose)[:3, 3] for side in (a, b)]
        cosine = torch.nn.functional.cosine_similarity(places[0], places[1], dim=0)
        assert float(cosine) > 0.76 - 1e-3
        torch.testing.assert_close(moved, b.pose @ invert(a.pose))


def test_the_same_generator_gives_the_same_batch(store):
    for source in (PosedViews(store, CUTTING, 4, 2), SingleViews(store, CUTTING, 4)):
        one, two = (source.sample(torch.Generator().manual_seed(4)) for _ in range(2))
        assert torch.equal(one.image, two.image)
        assert torch.equal(one.b_from_a, two.b_from_a)


def test_single_pairs_need_a_mask_only(store, generator):
    bare = FrameStore(without_poses(store.dataset))
    batch = SingleViews(bare, CUTTING, 16).sample(generator)
    assert batch.image.shape == (16, 3, 64, 64)
    assert (batch.residual > 0).any()  # rendered depth has relief
    assert (batch.residual < 0.02).all()
    assert (rotation_angle(batch.b_from_a) < torch.deg2rad(torch.tensor(66.0))).all()
    with pytest.raises(DataError, match="--views single"):
        PosedViews(bare, CUTTING)


def test_the_survey_says_how_far_and_how_large_objects_are(store):
    found = PosedViews(store, CUTTING).survey(300.0)
    assert 0.02 < found.radius < 0.2
    doubled = PosedViews(store, CUTTING).survey(600.0)
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
        SingleViews(store, CUTTING)


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


def test_two_cuts_of_one_image_have_one_camera(store, generator):
    batch = SingleViews(store, CUTTING, 6).sample(generator)
    assert batch.pairs.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert torch.equal(batch.intrinsics[::2], batch.intrinsics[1::2])
    torch.testing.assert_close(focal_length(batch.intrinsics), batch.intrinsics[:, 0, 0])


@pytest.mark.parametrize(("images", "group"), [(2, 4), (8, 1)])
def test_groups_that_cannot_be_made(store, images, group):
    with pytest.raises(DataError, match="groups"):
        PosedViews(store, CUTTING, images, group)
