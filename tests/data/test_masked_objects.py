"""Objects that have masks and numbers, but no poses: what pairs are made of them, and what their batches say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.data.flat_scene import CAMERAS, RADIUS, Discs, scan, world_at

from samepoint.data.augmentation import Augmentation, augment_pairs
from samepoint.data.make_pairs import make_pairs
from samepoint.data.matches import MatchFinder
from samepoint.data.partners import PairMixture
from samepoint.data.recording import Moment, Recording
from samepoint.data.sampling import ImageSource, PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.types import Outcome

LEFT, RIGHT, FAR = (-0.07, 0.0), (0.07, 0.01), (0.0, 0.09)
SAMPLING = PairSampling(pairs=6, points=24)


@pytest.fixture
def discs(tmp_path):
    return Discs(tmp_path)


def source(dataset, **changes):
    return PairSource(FrameStore(dataset, max_size=None), replace(SAMPLING, **changes))


def labels_at(labels, uv):
    u, v = (uv + 0.5).long().unbind(-1)
    return labels[v, u]


def drawn(pairs, number=12):
    """Pairs of frames with their matches."""
    generator = torch.Generator().manual_seed(0)
    return [pairs.draw(generator) for _ in range(number)]


def assert_on_objects(batch):
    """Every row lies on its own object on both sides."""
    assert batch.labels_a is not None
    assert batch.valid.any(1).all()
    for i in range(len(batch.valid)):
        rows = batch.valid[i]
        assert torch.equal(labels_at(batch.labels_a[i], batch.uv_a[i, rows]), batch.object[i, rows])
        assert torch.equal(labels_at(batch.labels_b[i], batch.uv_b[i, rows]), batch.object[i, rows])


def test_points_of_a_scan_lie_on_masks_and_match_by_depth(discs, generator):
    dataset = discs.dataset(discs.scan("log", {1: LEFT, 2: RIGHT}))
    pairs = source(dataset)
    batch = pairs.sample(generator)
    assert_on_objects(batch)
    assert set(batch.object[batch.valid].tolist()) == {1, 2}
    for a, b, matches in drawn(pairs, 5):
        rows = matches.found.visible
        assert rows.float().mean() > 0.5
        apart = world_at(a.view, matches.found.uv_a[rows]) - world_at(b.view, matches.found.uv_b[rows])
        assert apart.norm(dim=1).max() < 1e-3


def test_backgrounds_are_replaced_and_objects_are_not(discs, generator):
    batch = source(discs.dataset(discs.scan("log", {1: LEFT}))).sample(generator)
    still = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, background=1.0)
    changed = augment_pairs(batch, still, generator).image_a - batch.image_a
    moved = changed.abs().amax(1)
    assert (moved[batch.labels_a == 0] > 0.02).float().mean() > 0.5
    assert moved[batch.labels_a > 0].max() < 0.02


def test_a_match_lands_on_the_mask_of_its_object(discs, generator):
    """B's mask lacks its left half, and what is under object 2's mask in B is object 1's in A."""
    half = discs.dataset(
        scan("half", [discs.view({1: LEFT}), discs.view({1: LEFT}, CAMERAS[1], shrink=RADIUS)])
    )
    store = FrameStore(half, max_size=None)
    matches = MatchFinder(half).sample(store[0], store[1], 400, generator)
    left = world_at(store[0].view, matches.found.uv_a)[:, 0] < LEFT[0] - 0.012
    assert left.float().mean() > 0.2
    assert not matches.found.visible[left].any()
    assert (matches.found.outcome[left] == Outcome.NO_DEPTH).all()  # depth sees it, the mask leaves it out
    assert matches.found.visible[~left].float().mean() > 0.7

    taken = discs.dataset(scan("taken", [discs.view({1: LEFT}), discs.view({1: FAR, 2: LEFT}, CAMERAS[1])]))
    store = FrameStore(taken, max_size=None)
    matches = MatchFinder(taken).sample(store[0], store[1], 200, generator)
    assert not matches.found.visible.any()
    assert (matches.found.outcome == Outcome.OCCLUDED).any()


def test_an_object_that_b_has_no_mask_of_has_no_match_there(discs, generator):
    dataset = discs.dataset(
        scan("log", [discs.view({1: LEFT, 2: RIGHT}), discs.view({2: RIGHT}, CAMERAS[1])])
    )
    store = FrameStore(dataset, max_size=None)
    matches = MatchFinder(dataset).sample(store[0], store[1], 100, generator)
    rows = matches.found.visible
    assert rows.any()
    assert (world_at(store[0].view, matches.found.uv_a[rows])[:, 0] > 0).all()


def test_images_without_masks_are_partners_of_those_with_masks(discs, generator):
    places = {1: LEFT, 2: RIGHT}
    views = [discs.view(places, CAMERAS[k % 4], masks=k < 2) for k in range(4)]
    pairs = source(discs.dataset(scan("log", views)), pairs=12)
    assert pairs.starts == [0, 1]
    bare = [(a, matches) for a, b, matches in drawn(pairs) if b.labels is None]
    assert bare
    for a, matches in bare:
        assert (labels_at(a.labels, matches.found.uv_a[matches.found.visible]) > 0).all()
    batch = pairs.sample(generator)
    whole = [labels for labels in batch.labels_b if labels.min() > 0]
    assert whole  # one thing all over: nothing of it is background
    assert all(labels.max() == 1 for labels in whole)


def test_recordings_with_and_without_masks_are_mixed(discs, generator):
    dataset = discs.dataset(discs.scan("masked", {1: LEFT}), discs.scan("raw", {2: RIGHT}, masks=False))
    pairs = source(dataset, pairs=16)
    batch = pairs.sample(generator)
    assert_on_objects(batch)
    raw = batch.labels_a.flatten(1).min(1).values > 0
    assert 0 < raw.sum() < 16
    assert {a.recording for a, _, _ in drawn(pairs)} == {0, 1}
    still = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, background=1.0)
    changed = augment_pairs(batch, still, generator).image_a
    assert torch.allclose(changed[raw], batch.image_a[raw], atol=2e-3)


MOVING = ({1: LEFT, 2: RIGHT}, {1: RIGHT, 2: FAR}, {1: FAR, 2: LEFT})


def test_moving_objects_of_a_rig_are_paired_within_a_moment_by_default(discs, generator):
    pairs = source(discs.dataset(discs.rig("rig", *MOVING)))
    assert pairs.sampling.mixture.synchronised == 0
    assert_on_objects(pairs.sample(generator))
    for a, b, matches in drawn(pairs):
        assert a.moment == b.moment
        assert a.view.camera != b.view.camera
        rows = matches.found.visible
        apart = world_at(a.view, matches.found.uv_a[rows]) - world_at(b.view, matches.found.uv_b[rows])
        assert apart.norm(dim=1).max() < 1e-3


def test_an_object_without_pose_beside_one_with_a_pose_has_points_too(discs):
    """Of a rig: the one is related across moments, the other only within one, by a kind of weight 0."""
    pairs = source(discs.dataset(discs.rig("rig", *MOVING, poses=(1,))))
    on: set[int] = set()
    for a, b, matches in drawn(pairs):
        rows = matches.found.visible
        shown = labels_at(a.labels, matches.found.uv_a[rows]).unique().tolist()
        on |= {a.view.placements[k - 1].object_id for k in shown}
        if a.moment != b.moment:
            assert {a.view.placements[k - 1].object_id for k in shown} <= {1}
    assert on == {1, 2}


def test_poses_in_some_frames_only(discs, generator):
    """Of a scan: by poses where both have them, else by depth; all frames are used and all rows are right."""
    views = [discs.view({1: LEFT, 2: RIGHT}, CAMERAS[k], poses=k < 2) for k in range(4)]
    pairs = source(discs.dataset(scan("scene", views)))
    assert pairs.starts == [0, 1, 2, 3]
    assert_on_objects(pairs.sample(generator))
    for a, b, matches in drawn(pairs):
        rows = matches.found.visible
        apart = world_at(a.view, matches.found.uv_a[rows]) - world_at(b.view, matches.found.uv_b[rows])
        assert apart.norm(dim=1).max() < 1e-3


def test_one_object_at_a_time_has_the_others_under_other_labels(discs, generator):
    batch = source(discs.dataset(discs.scan("log", {1: LEFT, 2: RIGHT})), objects="one").sample(generator)
    for i in range(6):
        assert batch.object[i, batch.valid[i]].unique().tolist() == [1]
        assert set(batch.labels_a[i].unique().tolist()) == {0, 1, 2}


def test_equal_numbers_in_two_recordings_are_neither_matched_nor_different(discs):
    dataset = discs.dataset(discs.scan("first", {1: LEFT}), discs.scan("second", {1: RIGHT}))
    pairs = source(dataset, mixture=PairMixture(within=1.0, across=5.0, different=5.0))
    for i in pairs.starts:
        assert pairs.partners.of_kind(i, "across") == []
        assert pairs.partners.of_kind(i, "different") == []
    assert all(a.recording == b.recording for a, b, _ in drawn(pairs))


def test_different_objects_without_poses_make_rows_that_match_nothing(discs, generator):
    dataset = discs.dataset(discs.scan("first", {1: LEFT}), discs.scan("second", {2: LEFT}))
    batch = source(dataset, mixture=PairMixture(within=0.0, across=0.0, different=1.0)).sample(generator)
    assert batch.unmatched.all()
    assert not batch.valid.any()
    for i in range(6):
        assert (labels_at(batch.labels_a[i], batch.uv_a[i]) > 0).all()
        assert (labels_at(batch.labels_b[i], batch.uv_b[i]) > 0).all()
        assert set(batch.labels_a[i].unique().tolist()) & set(batch.labels_b[i].unique().tolist()) == {0}


def test_a_mask_of_several_objects_is_not_another_thing_than_one_of_them(discs, generator):
    recordings = [discs.scan(f"log {n}", {n: LEFT}) for n in (1, 2, 3)]
    dataset = discs.dataset(*recordings, families={1: "shoe+cap", 2: "shoe", 3: "mug"})
    pairs = source(dataset, mixture=PairMixture(collage=1.0, within=0.0, across=0.0))
    of = {r: [i for i, (n, _, _) in enumerate(pairs.store.index) if n == r] for r in range(3)}
    assert pairs.partners.of_kind(of[0][0], "different") == of[2]
    assert pairs.partners.of_kind(of[1][0], "different") == of[2]
    assert pairs.partners.of_kind(of[2][0], "different") == of[0] + of[1]


def test_collages_of_objects_without_poses(discs, generator):
    dataset = discs.dataset(discs.scan("first", {1: LEFT}), discs.scan("second", {2: RIGHT}))
    pairs = source(dataset, mixture=PairMixture(within=0.0, across=0.0, collage=1.0), pairs=8)
    batch = pairs.sample(generator)
    assert_on_objects(batch)
    both = [labels.unique().tolist() for labels in batch.labels_a]
    assert any(len(found) == 3 for found in both)


def test_masks_that_show_nothing_are_passed_over(discs):
    away = {1: (3.0, 3.0)}
    dataset = discs.dataset(discs.scan("log", {1: LEFT}, 2), discs.scan("nothing", away, 2))
    assert source(dataset).starts == [0, 1]
    with pytest.raises(DataError, match="the masks of 2 views show nothing of known depth"):
        source(discs.dataset(discs.scan("nothing", away, 2)))


def test_a_declared_symmetry_without_a_pose_gives_no_alternatives(discs, generator):
    from samepoint.data.recording import Symmetry

    dataset = discs.dataset(discs.scan("log", {1: LEFT, 2: RIGHT}, poses=(1,)))
    axis = (torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3))
    objects = {n: replace(model, symmetry=Symmetry((), (axis,))) for n, model in dataset.objects.items()}
    batch = source(replace(dataset, objects=objects)).sample(generator)
    known = batch.alternatives_b.isfinite().all(-1).any(-1)
    assert known[batch.valid & (batch.object == 1)].any()
    assert not known[batch.object == 2].any()


def test_pairs_files_have_points_on_masks_with_object_and_region(discs):
    dataset = discs.dataset(discs.scan("log", {1: LEFT, 2: RIGHT}), families={1: "shoe", 2: "cap"})
    views = {view.image: view for view in dataset.views()}
    for pair in make_pairs(dataset, number=4, points=16):
        assert set(pair.object) == {"shoe 1", "cap 2"}
        assert set(pair.region) <= {"inside", "boundary"}
        middles = torch.tensor([LEFT if name == "shoe 1" else RIGHT for name in pair.object])
        assert ((world_at(views[pair.image_a], pair.uv_a) - middles).norm(dim=1) < RADIUS + 1e-3).all()


def test_pairs_across_scenes_without_poses_are_refused_in_one_line(discs):
    dataset = discs.dataset(discs.scan("first", {1: LEFT}), discs.scan("second", {1: RIGHT}))
    with pytest.raises(DataError, match=r"no object has poses in two recordings.*a mask does not say"):
        make_pairs(dataset, number=2, cross_scene=True)
    with pytest.raises(DataError, match="need two recordings, and there is one"):
        make_pairs(discs.dataset(discs.scan("only", {1: LEFT}, poses=True)), number=2, cross_scene=True)


def test_photos_with_masks_say_what_they_lack(discs):
    view = replace(discs.view({1: LEFT}, depth=False), world_from_camera=None, intrinsics=None)
    photos = Recording("photos", "photos", (Moment((view,)), Moment((view,))))
    with pytest.raises(DataError, match="no view has depth, intrinsics, camera poses"):
        source(discs.dataset(photos))


def test_one_view_and_rearranged_objects_are_told(discs):
    with pytest.raises(DataError, match="there is one view"):
        source(discs.dataset(discs.scan("log", {1: LEFT}, 1)))
    rearranged = replace(discs.scan("log", {1: LEFT}), mode="shuffle")
    with pytest.raises(DataError, match="objects are rearranged between the images"):
        source(discs.dataset(rearranged))


def test_image_batches_keep_masks_beside_images_without(discs, generator):
    views = [discs.view({1: LEFT}, masks=k < 2) for k in range(4)]
    store = FrameStore(discs.dataset(scan("log", views)), max_size=None)
    inside = ImageSource(store, 4, on_objects=True).sample(generator).mask.flatten(1).float().mean(1)
    assert (inside < 1).sum() == 2
