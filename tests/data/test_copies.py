"""Matches on symmetric objects: every right answer, and no wrong one, by the exact geometry of the solids."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.data.symmetric import BOX, CYLINDER, SIZE, SOLIDS, seen, surface_distance, write_data

from samepoint.correspondence.copies import visible_copies
from samepoint.correspondence.depth import depth_at
from samepoint.correspondence.outcomes import correspond_by_object
from samepoint.data.augmentation import Augmentation, augment_pairs
from samepoint.data.make_pairs import make_pairs
from samepoint.data.matches import POSED_OBJECT, MatchFinder
from samepoint.data.open import open_dataset
from samepoint.data.pairs import read_pairs, write_pairs
from samepoint.data.partners import PairMixture
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.data.symmetries import symmetry_motions
from samepoint.geometry.cameras import project, unproject
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import in_frame
from samepoint.types import Outcome

NEAR = 0.004
"""Metres: the test of visibility allows so much, which a point round the corner of an edge may use."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("symmetric") / "data")


@pytest.fixture(scope="module")
def store(root):
    return FrameStore(open_dataset(root), max_size=None)


@pytest.fixture(scope="module")
def bare(store):
    """The same, and no object is declared symmetric."""
    data = store.dataset
    objects = {number: replace(model, symmetry=None) for number, model in data.objects.items()}
    return FrameStore(replace(data, objects=objects), max_size=None)


def rows(store, number=60):
    """Pairs of frames with their matches and, a row, the solid's number."""
    finder, generator = MatchFinder(store.dataset), torch.Generator().manual_seed(5)
    for i, j in ((0, 1), (0, 6), (5, 3), (2, 7)):
        a, b = store[i], store[j]
        matches = finder.sample(a, b, number, generator)
        label = torch.tensor([i + 1 for i, _ in finder.shared(a, b)])[matches.object - 1]
        yield a, b, matches, label


def shown_points(frame, label, uv):
    """The same from the frame's depth image."""
    xyz = unproject(frame.intrinsics, uv, depth_at(frame.depth, uv))
    return transform(invert(frame.view.placements[label - 1].camera_from_object), xyz)


def object_points(frame, label, uv):
    """Where pixels' surface points lie in the frame of solid `label`, by casting rays."""
    poses = [frame.view.world_from_camera @ p.camera_from_object for p in frame.view.placements]
    depth, index = seen(frame.view.world_from_camera, poses, uv)
    assert (index == label).all()
    return transform(
        invert(frame.view.placements[label - 1].camera_from_object), unproject(frame.intrinsics, uv, depth)
    )


def copies_by_rays(frame, label, points):
    """The slow twin: of n points and all motions, where the copies are (n s 2) and whether a ray meets them first.

    Also whether that would be so if the ray went a pixel beside: at an outline no two ways agree.
    """
    solid, placement = SOLIDS[label - 1], frame.view.placements[label - 1]
    poses = [frame.view.world_from_camera @ p.camera_from_object for p in frame.view.placements]
    motions = symmetry_motions(solid.symmetry, turns=12)
    places, visible, sure = [], [], []
    for motion in motions:
        xyz = transform(placement.camera_from_object @ motion, points)
        uv, z = project(frame.intrinsics, xyz)
        flags = []
        for shift in ((0.0, 0.0), (1.5, 0.0), (-1.5, 0.0), (0.0, 1.5), (0.0, -1.5)):
            depth, index = seen(frame.view.world_from_camera, poses, uv + torch.tensor(shift))
            flags.append((index == label) & ((depth - z).abs() < (NEAR if not any(shift) else 3 * NEAR)))
        places.append(uv)
        visible.append(flags[0] & in_frame(uv, SIZE))
        sure.append(torch.stack(flags).all(0) | ~torch.stack(flags).any(0))
    return torch.stack(places, 1), torch.stack(visible, 1), torch.stack(sure, 1)


def orbit_distance(label, point, others):
    """Metres from each of `others` to the nearest place that the solid's symmetry gives `point`, without sampling."""
    solid = SOLIDS[label - 1]
    own, rest = (p - torch.tensor(solid.centre) for p in (point, others))
    if solid.round:

        def cylindrical(p):
            return torch.stack((p[..., :2].norm(dim=-1), p[..., 2].abs()), -1)

        return (cylindrical(own) - cylindrical(rest)).norm(dim=-1)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    copies = torch.stack([torch.linalg.matrix_power(quarter, k) @ own for k in range(4)])
    return torch.cdist(rest, copies).min(-1).values


@pytest.mark.parametrize("side", ["a", "b"])
def test_every_alternative_is_a_copy_of_the_point_that_the_image_shows(store, side):
    """But for some round the corner of an edge, which the test of visibility cannot tell from the edge."""
    errors = []
    for a, b, matches, label in rows(store):
        frame, others = (a, matches.alternatives_a) if side == "a" else (b, matches.alternatives_b)
        assert not others[label == 3].isfinite().any()
        for n in others.isfinite().all(-1).any(1).nonzero()[:, 0].tolist():
            uv, number = others[n][others[n].isfinite().all(-1)], int(label[n])
            point = object_points(a, number, matches.found.uv_a[n, None])[0]
            xyz = shown_points(frame, number, uv)
            assert surface_distance(SOLIDS[number - 1], xyz).max() < NEAR
            errors.append(orbit_distance(number, point, xyz))
    error = torch.cat(errors)
    assert len(error) > 1200
    assert error.median() < 0.0005
    assert error.quantile(0.95) < NEAR
    assert error.max() < 4 * NEAR


def test_the_own_answer_is_a_copy_too_and_the_foremost_where_the_point_itself_is_hidden(store, bare):
    """The same draws with and without declared symmetry: what was visible is unchanged, some of the rest is found."""
    gained, depth_errors = 0, []
    for (a, b, with_, label), (_, _, without, _) in zip(rows(store), rows(bare)):
        old, new = without.found, with_.found
        assert torch.equal(old.uv_a, new.uv_a)
        kept = old.visible | ~new.visible
        assert torch.equal(old.uv_b[kept].nan_to_num(), new.uv_b[kept].nan_to_num())
        assert torch.equal(old.outcome[kept], new.outcome[kept])
        assert without.alternatives_a is without.alternatives_b is None
        for n in (~kept).nonzero()[:, 0].tolist():
            number = int(label[n])
            point = object_points(a, number, old.uv_a[n, None])[0]
            answers = torch.cat((new.uv_b[n, None], with_.alternatives_b[n]))
            answers = answers[answers.isfinite().all(-1)]
            xyz = shown_points(b, number, answers)
            assert orbit_distance(number, point, xyz[:1]) < 4 * NEAR
            depth = depth_at(b.depth, answers)
            assert depth[0] < depth.min() + 2 * NEAR
            depth_errors.append((new.depth_b[n] - depth[0]).abs())
            gained += 1
        hidden = ~new.visible
        assert with_.alternatives_b[hidden].isnan().all()
    assert gained > 20
    assert torch.stack(depth_errors).quantile(0.9) < NEAR


def test_the_visible_copies_are_those_that_a_ray_meets_first(store):
    """Completeness: against casting a ray to every copy."""
    right = wrong = total = 0
    for a, b, matches, label in rows(store, 80):
        for number in (1, 2):
            points = object_points(a, number, matches.found.uv_a[label == number])
            placement = b.view.placements[number - 1]
            uv, _, found = visible_copies(
                points, symmetry_motions(SOLIDS[number - 1].symmetry, turns=12), placement.camera_from_object,
                b.intrinsics, b.depth, b.labels == number, POSED_OBJECT,
            )  # fmt: skip
            places, visible, sure = copies_by_rays(b, number, points)
            torch.testing.assert_close(uv, places, rtol=0, atol=1e-2)
            right += int((found & visible & sure).sum())
            wrong += int(((found != visible) & sure).sum())
            total += int((visible & sure).sum())
    assert total > 500
    assert wrong <= 0.01 * total
    assert right >= 0.99 * total


def test_the_first_copy_is_judged_as_a_match_without_symmetry(store):
    for a, b, matches, label in rows(store):
        for number in (1, 2, 3):
            uv = matches.found.uv_a[label == number]
            pose_a, pose_b = (f.view.placements[number - 1].camera_from_object for f in (a, b))
            plain = correspond_by_object(
                uv,
                depth_at(a.depth, uv),
                a.intrinsics,
                pose_a,
                b.intrinsics,
                pose_b,
                b.depth,
                None,
                POSED_OBJECT,
            )
            points = transform(invert(pose_a), unproject(a.intrinsics, uv, depth_at(a.depth, uv)))
            places, z, visible = visible_copies(
                points, torch.eye(4)[None], pose_b, b.intrinsics, b.depth, None, POSED_OBJECT
            )
            assert torch.equal(visible[:, 0], plain.outcome == Outcome.VISIBLE)
            torch.testing.assert_close(places[:, 0], plain.uv_b, rtol=0, atol=1e-3)
            torch.testing.assert_close(z[:, 0], plain.depth_b)


def test_copies_about_an_axis_are_as_close_as_asked(store):
    """In the image, along the ring of a point of the cylinder's wall that B shows."""
    finder = MatchFinder(store.dataset, spacing=4.0)
    a, b = store[0], store[1]
    matches = finder.sample(a, b, 100, torch.Generator().manual_seed(0))
    label = torch.tensor([i + 1 for i, _ in finder.shared(a, b)])[matches.object - 1]
    for n in ((label == 2) & matches.found.visible).nonzero()[:, 0].tolist():
        ring = torch.cat((matches.found.uv_b[n, None], matches.alternatives_b[n]))
        ring = ring[ring.isfinite().all(-1)]
        gap = (torch.cdist(ring, ring) + 1e6 * torch.eye(len(ring))).min(1).values
        assert gap.quantile(0.9) < 4.0  # single ones are seen at the foot or the rim
        assert len(ring) > 3


SAMPLING = PairSampling(pairs=4, points=48, mixture=PairMixture(within=1.0, across=1.0), min_overlap=0.1)


def test_a_batch_holds_the_sets_and_a_data_set_without_symmetry_none(store, bare, tmp_path, generator):
    batch = PairSource(store, SAMPLING).sample(generator)
    for others, uv in ((batch.alternatives_a, batch.uv_a), (batch.alternatives_b, batch.uv_b)):
        assert others.shape[:2] == uv.shape[:2]
        known = others.isfinite().all(-1)
        assert known[batch.valid].any()
        assert not known[~batch.valid].any()  # padding
        assert in_frame(others[known], SIZE).all()
    for source in (PairSource(bare, SAMPLING), PairSource(store, replace(SAMPLING, symmetries=False))):
        plain = source.sample(generator)
        assert plain.alternatives_a is plain.alternatives_b is None
        assert plain.valid.any()
    without = PairSource(store, replace(SAMPLING, masks=False)).sample(generator)
    assert without.alternatives_b is None


def test_a_pair_without_a_symmetric_object_has_no_alternatives(tmp_path, generator):
    """Only the box is in both images: same fields, nothing in them."""
    data = open_dataset(write_data(tmp_path / "one", (BOX,), scenes=1))
    objects = {1: replace(data.objects[1]), 9: replace(data.objects[1], symmetry=SOLIDS[0].symmetry)}
    store = FrameStore(replace(data, objects=objects), max_size=None)
    batch = PairSource(store, replace(SAMPLING, mixture=PairMixture(across=0.0))).sample(generator)
    assert batch.valid.any()
    assert batch.alternatives_a.shape == batch.alternatives_b.shape == (4, 48, 0, 2)


@pytest.mark.parametrize("kind", ["different", "collage"])
def test_other_kinds_of_pairs(tmp_path, generator, kind):
    """Unrelated pairs have rows without alternatives; what a collage says to be there is there."""
    root = tmp_path / "scenes"
    data = open_dataset(write_data(root, SOLIDS))
    recordings = []
    for k, recording in enumerate(
        data.recordings
    ):  # one scene shows the first solid only, the other the rest
        keep = {1} if k == 0 else {2, 3}
        moments = tuple(
            replace(m, views=tuple(
                replace(v, placements=tuple(p for p in v.placements if p.object_id in keep)) for v in m.views
            ))
            for m in recording.moments
        )  # fmt: skip
        recordings.append(replace(recording, moments=moments))
    store = FrameStore(replace(data, recordings=tuple(recordings)), max_size=None)
    mixture = PairMixture(within=0.0, across=0.0, **{kind: 1.0})
    batch = PairSource(store, replace(SAMPLING, mixture=mixture, pairs=6)).sample(generator)
    if kind == "different":
        assert batch.unmatched.any()
        assert batch.alternatives_b[batch.unmatched].isnan().all()
        return
    known = batch.alternatives_b.isfinite().all(-1)
    assert (known & batch.valid[..., None]).any()
    for i, n, k in known.nonzero().tolist():
        u, v = (batch.alternatives_b[i, n, k] + 0.5).long().tolist()
        assert batch.labels_b[i, v, u] == batch.object[i, n]


def test_augmentation_moves_alternatives_with_their_images(store, generator):
    """On the colours of the solids: an alternative stays on its own object."""
    batch = PairSource(store, SAMPLING).sample(generator)
    still = Augmentation(rotation=60.0, translation=0.6, colour=0.0, grey=0.0, noise=0.0, background=0.0)
    for view in (None, (90, 100)):
        moved = augment_pairs(batch, replace(still, view=view), torch.Generator().manual_seed(1))
        plain = augment_pairs(
            replace(batch, alternatives_a=None, alternatives_b=None),
            replace(still, view=view),
            torch.Generator().manual_seed(1),
        )
        assert torch.equal(moved.uv_a, plain.uv_a)
        assert torch.equal(moved.image_b, plain.image_b)
        for uv, labels, before in (
            (moved.alternatives_a, moved.labels_a, batch.alternatives_a),
            (moved.alternatives_b, moved.labels_b, batch.alternatives_b),
        ):
            known = uv.isfinite().all(-1)
            assert known.any()
            assert (before.isfinite().all(-1) & ~known).any()  # some have left
            assert in_frame(uv[known], (labels.shape[1], labels.shape[2])).all()
            row, column = (uv.nan_to_num()[..., 1] + 0.5).long(), (uv.nan_to_num()[..., 0] + 0.5).long()
            image = torch.arange(len(uv))[:, None, None].expand_as(row)
            agree = labels[image, row, column] == batch.object[..., None].expand_as(row)
            assert agree[known].float().mean() > 0.95  # labels go by the nearest pixel


@pytest.mark.parametrize("cross_scene", [False, True])
def test_pairs_files_list_the_other_right_answers(store, tmp_path, cross_scene):
    pairs = make_pairs(store.dataset, number=3, points=20, cross_scene=cross_scene)
    write_pairs(tmp_path / "pairs.json", pairs)
    for pair, back in zip(pairs, read_pairs(tmp_path / "pairs.json").pairs, strict=True):
        counts = [len(others) for others in back.alternatives_b]
        assert counts == [len(others) for others in pair.alternatives_b]
        names = list(back.object)
        assert all(count == 0 for count, name in zip(counts, names) if name == "object 3")
        assert max(count for count, name in zip(counts, names) if name == "object 1") in (1, 2, 3)
        assert not any(counts[n] for n in (~back.visible_b).nonzero()[:, 0].tolist())


def test_pairs_files_of_a_cylinder_list_its_rings_and_of_a_box_nothing(tmp_path):
    for solid in (CYLINDER, BOX):
        data = open_dataset(write_data(tmp_path / str(solid.round), (solid,), scenes=1))
        pairs = make_pairs(data, number=2, points=20)
        if solid is BOX:
            assert all(pair.alternatives_b is None for pair in pairs)
            continue
        for pair in pairs:
            for uv, others in zip(pair.uv_b, pair.alternatives_b):
                ring = torch.cat((uv[None], others))
                gap = (torch.cdist(ring, ring) + 1e6 * torch.eye(len(ring))).min(1).values
                assert len(ring) > 12
                assert gap.quantile(0.9) < 3.5


def test_a_quarter_turn_of_the_prism_seen_from_the_next_side_leaves_the_pixels_where_they_were(store):
    """A declared symmetry seen by eye: the object turned by it gives the same picture, and answers swap roles."""
    finder = MatchFinder(store.dataset)
    a = store[0]
    placements = list(a.view.placements)
    turned = placements[0].camera_from_object @ SOLIDS[0].symmetry.discrete[0]
    placements[0] = replace(placements[0], camera_from_object=turned)
    b = replace(a, view=replace(a.view, placements=tuple(placements)))
    matches = finder.sample(a, b, 200, torch.Generator().manual_seed(0))
    on = matches.object == 1
    assert matches.found.visible[on].float().mean() > 0.95
    answers = torch.cat((matches.found.uv_b[:, None], matches.alternatives_b), 1)[on]
    distance = (answers - matches.found.uv_a[on, None]).norm(dim=-1).nan_to_num(math.inf).amin(1)
    assert (distance < 0.2).float().mean() > 0.95
