"""True correspondences of rendered views, checked by routes that share no code with how they were found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from samepoint.correspondence.depth import depth_at
from samepoint.data.decode import decode_image
from samepoint.data.make_pairs import make_pairs
from samepoint.data.matches import MatchFinder
from samepoint.data.mesh import load_mesh
from samepoint.data.open import open_dataset
from samepoint.data.partners import PairMixture
from samepoint.data.recording import Dataset, Moment, Recording, View
from samepoint.data.sampling import ImageSource, PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.cameras import unproject
from samepoint.geometry.motions import invert, transform
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(rendered):
    return open_dataset(rendered)


@pytest.fixture(scope="module")
def test_store(dataset):
    return FrameStore(dataset.split("test"), max_size=None)


def object_point(frame, placement, uv):
    """Where a pixel's surface point lies in the frame of the object it shows."""
    xyz = unproject(frame.intrinsics, uv, depth_at(frame.depth, uv))
    return transform(invert(placement.camera_from_object), xyz)


def frames_of_two_scenes(store):
    first = next(i for i, key in enumerate(store.index) if key[0] == 0)
    others = [i for i, key in enumerate(store.index) if key[0] == 1]
    return store[first], [store[i] for i in others]


def test_a_match_across_scenes_is_the_same_point_of_the_object(test_store, generator):
    finder = MatchFinder(test_store.dataset)
    a, others = frames_of_two_scenes(test_store)
    distances = []
    for b in others:
        matches = finder.sample(a, b, 200, generator)
        for number, (i, j) in enumerate(finder.shared(a, b), start=1):
            on = matches.found.visible & (matches.object == number)
            in_a = object_point(a, a.view.placements[i], matches.found.uv_a[on])
            in_b = object_point(b, b.view.placements[j], matches.found.uv_b[on])
            distances.append((in_a - in_b).norm(dim=-1))
    distance = torch.cat(distances)
    assert len(distance) > 100
    # a pixel is some millimetres wide here, more where the surface is seen at a slant
    assert distance.nanmedian() < 0.001
    assert distance.nanquantile(0.75) < 0.008


def test_matches_lie_on_equal_labels_of_both_images(test_store, generator):
    source = PairSource(test_store, PairSampling(pairs=3, points=64, mixture=PairMixture(within=0.0)))
    batch = source.sample(generator)
    assert batch.valid.sum() > 60
    for image in range(3):
        for n in batch.valid[image].nonzero()[:, 0]:
            (ua, va), (ub, vb) = batch.uv_a[image, n], batch.uv_b[image, n]
            assert batch.labels_a[image, int(va + 0.5), int(ua + 0.5)] == batch.object[image, n]
            assert batch.labels_b[image, int(vb + 0.5), int(ub + 0.5)] == batch.object[image, n]


def test_family_matches_have_equal_canonical_coordinates(dataset, generator):
    """Different mugs: the nearest vertices of both points have nearly the same canonical coordinates."""
    store = FrameStore(dataset.split("train"), max_size=None)
    finder = MatchFinder(dataset.split("train"), "family")
    checked = []
    for i in range(0, len(store), 5):
        for j in range(2, len(store), 7):
            a, b = store[i], store[j]
            matches = finder.sample(a, b, 60, generator)
            for number, (pa, pb) in enumerate(finder.shared(a, b), start=1):
                first, second = a.view.placements[pa], b.view.placements[pb]
                if first.object_id == second.object_id:
                    continue
                on = matches.found.visible & (matches.object == number)
                coordinates = []
                for frame, placement, uv in ((a, first, matches.found.uv_a), (b, second, matches.found.uv_b)):
                    mesh = load_mesh(dataset.objects[placement.object_id])
                    points = object_point(frame, placement, uv[on])
                    nearest = torch.cdist(torch.nan_to_num(points), mesh.vertices).argmin(1)
                    coordinates.append(mesh.coordinates[nearest])
                checked.append((coordinates[0] - coordinates[1]).norm(dim=-1))
    distance = torch.cat(checked)
    assert len(distance) > 50
    assert distance.median() < 0.06  # vertices are some hundredths apart


def test_sources_depend_on_the_generator_alone(test_store):
    source = PairSource(test_store, PairSampling(pairs=2, points=32))
    first, second = (source.sample(torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.image_a, second.image_a)
    assert torch.equal(first.uv_b, second.uv_b)
    images = ImageSource(test_store, 3, on_objects=True).sample(torch.Generator().manual_seed(4))
    assert images.image.shape == (3, 3, 96, 128)
    assert 0 < images.mask.float().mean() < 0.9


def test_pairs_are_deterministic_and_say_what_is_hidden(dataset):
    first, second = (make_pairs(dataset.split("test"), number=4, cross_scene=True, seed=1) for _ in range(2))
    for a, b in zip(first, second):
        assert a.image_a == b.image_a
        assert torch.equal(a.uv_b.nan_to_num(), b.uv_b.nan_to_num())
        assert a.image_a.parents[1] != a.image_b.parents[1]
        assert a.visible_b.sum() >= 8
        assert set(a.region) <= {"inside", "boundary"}
        assert all(name.split()[0] in ("mug", "box", "toy") for name in a.object)


def test_a_pairs_points_lie_on_all_objects_that_both_images_show(dataset):
    pairs = make_pairs(dataset.split("train"), number=12, cross_scene=False)
    several = [Counter(pair.object) for pair in pairs if len(set(pair.object)) > 1]
    assert len(several) >= 4
    for counts in several:  # drawn evenly, so that no object has nearly all of the points
        assert max(counts.values()) < 0.9 * sum(counts.values())


def test_pairs_within_a_scene_stay_in_it(dataset):
    for pair in make_pairs(dataset.split("test"), number=4, cross_scene=False):
        assert pair.image_a.parents[1] == pair.image_b.parents[1]


def test_pairs_of_instances_are_of_one_family_and_of_two_objects(dataset):
    shown = {view.image: view for view in dataset.views()}
    train = dataset.split("train")
    for pair in make_pairs(train, number=4, cross_scene=True, cross_instance=True):
        a, b = (
            FrameStore(photo(dataset, shown[path]), max_size=None)[0] for path in (pair.image_a, pair.image_b)
        )
        assert bool(pair.visible_b.all())
        for name, uv_a, uv_b in zip(pair.object, pair.uv_a, pair.uv_b, strict=True):
            own, other = (
                frame.view.placements[
                    int(frame.labels[round(float(uv[1])), round(float(uv[0]))]) - 1
                ].object_id
                for frame, uv in ((a, uv_a), (b, uv_b))
            )
            assert own != other
            assert dataset.objects[own].family == dataset.objects[other].family == name.split()[0]


def photo(dataset, view):
    """A data set of one view."""
    recording = Recording("one", "scan", (Moment((view,)),))
    return Dataset(dataset.root, (recording,), dataset.objects)


def test_too_few_partners_is_one_clear_line(dataset, realdata):
    with pytest.raises(DataError, match="no two views are related by geometry"):
        make_pairs(open_dataset(realdata / "photos_dreambooth" / "clock"), number=2)


def test_a_real_scan_is_matched_by_depth(realdata, generator):
    dataset = open_dataset(realdata / "rgbd_amazon_box").split("train")
    store = FrameStore(dataset, max_size=None, budget_bytes=0)
    matches = MatchFinder(dataset).sample(store[0], store[3], 300, generator)
    assert matches.found.visible.float().mean() > 0.3


def test_points_come_from_all_shared_objects_however_few_are_wanted(test_store):
    source = PairSource(test_store, PairSampling(pairs=8, points=24, mixture=PairMixture(within=0.0)))
    batch = source.sample(torch.Generator().manual_seed(2))
    several = [batch.object[i, batch.valid[i]].unique() for i in range(8)]
    assert max(len(found) for found in several) >= 2
    assert any(int(found.max()) == 3 for found in several)


def test_one_object_at_a_time(test_store, generator):
    sampling = PairSampling(pairs=6, points=24, objects="one", mixture=PairMixture(within=0.0))
    batch = PairSource(test_store, sampling).sample(generator)
    for i in range(6):
        assert batch.object[i, batch.valid[i]].unique().tolist() == [1]
        assert batch.labels_a[i].max() > 1  # the other objects are there, under other labels


def test_without_masks_points_lie_anywhere_and_carry_no_object(dataset, generator):
    store = FrameStore(dataset.split("train"), max_size=None)
    mixture = PairMixture(within=1.0, across=0.0)
    batch = PairSource(store, PairSampling(pairs=3, points=64, mixture=mixture, masks=False)).sample(
        generator
    )
    assert batch.labels_a is None
    assert batch.valid.float().mean() > 0.3
    assert store.dataset.recordings[0].static


def test_pairs_of_different_objects_have_rows_that_match_nothing(rendered, generator):
    store = FrameStore(open_dataset(rendered).split("train"), max_size=None)
    mixture = PairMixture(within=0.0, across=0.0, different=1.0)
    source = PairSource(store, PairSampling(pairs=4, points=32, mixture=mixture))
    batch = source.sample(generator)
    unrelated = batch.unmatched.any(1)
    assert unrelated.any()
    for i in unrelated.nonzero()[:, 0]:
        assert not batch.valid[i].any()
        assert set(batch.labels_a[i].unique().tolist()) & set(batch.labels_b[i].unique().tolist()) == {0}
        rows = batch.unmatched[i]
        u, v = (batch.uv_b[i, rows] + 0.5).long().unbind(-1)
        assert (batch.labels_b[i, v, u] > 0).all()


def test_nothing_of_an_object_is_in_a_recording_of_the_robot_alone(rendered, generator):
    """One of the recordings is declared such and loses its masks, depth and poses: its images are negatives."""
    data = open_dataset(rendered).split("train")
    bare = tuple(Moment((View("cam0", view.image),)) for view in data.recordings[-1].views())
    recordings = (*data.recordings[:-1], Recording("robot", "robot-only", bare, "train"))
    store = FrameStore(replace(data, recordings=recordings), max_size=None)
    mixture = PairMixture(within=0.0, across=0.0, robot_only=1.0)
    batch = PairSource(store, PairSampling(pairs=4, points=32, mixture=mixture)).sample(generator)
    assert batch.unmatched.all(1).all()
    assert not batch.valid.any()
    robot = [torch.from_numpy(decode_image(moment.views[0].image)) for moment in bare]
    for i in range(4):
        assert set(batch.labels_a[i].unique().tolist()) & set(batch.labels_b[i].unique().tolist()) <= {0}
        shown = (batch.image_b[i].permute(1, 2, 0) * 255).round().byte()
        assert any(torch.equal(shown, image) for image in robot)
    without = PairSource(FrameStore(data, max_size=None), PairSampling(pairs=2, points=32, mixture=mixture))
    assert without.sample(generator).valid.any()  # no such recording: gives way to what there is


def test_collages_hold_objects_of_two_pairs(rendered, generator):
    """With one object a pair: the collage shows two, and every valid row lies on its own object on both sides."""
    store = FrameStore(open_dataset(rendered).split("train"), max_size=None)
    mixture = PairMixture(within=0.0, across=0.0, collage=1.0)
    batch = PairSource(store, PairSampling(pairs=4, points=48, mixture=mixture)).sample(generator)
    assert batch.valid.any(1).all()
    for i in range(4):
        for n in batch.valid[i].nonzero()[:, 0]:
            (ua, va), (ub, vb) = (batch.uv_a[i, n] + 0.5).long(), (batch.uv_b[i, n] + 0.5).long()
            assert batch.labels_a[i, va, ua] == batch.labels_b[i, vb, ub] == batch.object[i, n]


def test_a_mixture_of_nothing_is_refused(test_store):
    with pytest.raises(DataError, match="give weights of 0 or more"):
        PairSource(test_store, PairSampling(mixture=PairMixture(within=0.0, across=0.0)))


def test_synchronised_cameras_match_through_what_moves(tmp_path, generator):
    """Objects move between moments of a rig: pairs of one moment agree in 3-D, without masks or object poses."""
    settings = RenderSettings(
        mode="rig", families=("mug", "box"), views=3, cameras=3, size=(96, 128), split_scenes=(2, 0, 0),
        instances=(2, 1, 1), workers=1,
    )  # fmt: skip
    dataset = open_dataset(render_dataset(tmp_path / "rig", settings))
    store = FrameStore(dataset, max_size=None)
    mixture = PairMixture(within=0.0, across=0.0, synchronised=1.0)
    source = PairSource(store, PairSampling(points=64, mixture=mixture, masks=False, min_overlap=0.1))
    for _ in range(6):
        a, b, matches = source.draw(generator)
        assert (a.recording, a.moment) == (b.recording, b.moment)
        on = matches.found.visible
        assert on.any()
        world = [
            transform(f.view.world_from_camera, unproject(f.intrinsics, uv, depth_at(f.depth, uv)))
            for f, uv in ((a, matches.found.uv_a[on]), (b, matches.found.uv_b[on]))
        ]
        assert (world[0] - world[1]).norm(dim=-1).nanmedian() < 0.005


def test_no_image_is_in_a_batch_twice(test_store):
    more = ImageSource(test_store, len(test_store) + 2).sample(torch.Generator().manual_seed(0))
    seen = {tuple(image.flatten()[::997].tolist()) for image in more.image}
    assert len(seen) == len(more.image) == len(test_store)


def test_images_together_are_of_one_recording(test_store):
    recordings = [index[0] for index in test_store.index]
    assert len(set(recordings)) > 1
    names = {tuple(test_store[i].image.flatten()[::997].tolist()): r for i, r in enumerate(recordings)}
    for seed in range(4):
        source = ImageSource(test_store, 3, together=True)
        batch = source.sample(torch.Generator().manual_seed(seed)).image
        of = {names[tuple((image.flatten()[::997] * 255).round().int().tolist())] for image in batch}
        assert len(of) == 1
        assert len(batch) == min(3, recordings.count(of.pop()))
