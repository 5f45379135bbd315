"""Objects that touched, told apart by a second scan of the place in which something is gone."""

import numpy as np
import pytest
from tests.fusion.tabletop import Box, cast, frames_of, ring

from samepoint.fusion.changes import (
    GONE,
    STANDS,
    UNKNOWN,
    looked_through,
    parts,
    split_by_change,
    still_standing,
)
from samepoint.fusion.objects import find_objects, within_box
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.surface_graph import SurfaceGraph
from samepoint.fusion.views import MeshViews, triangle_labels
from samepoint.fusion.volume import Volume, fuse

BOX = (-0.3, -0.3, -0.05, 0.3, 0.3, 0.3)
SETTINGS = FusionSettings()
SIZE = (240, 320)
K = np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]])
NOISE = 0.0015
FLUSH = (Box((-0.08, -0.05, 0.0), (0.0, 0.05, 0.08)), Box((0.0, -0.05, 0.0), (0.07, 0.05, 0.08)))
"""Side by side and of one height: there is no crease between them."""
AWAY = Box((0.12, 0.05, 0.0), (0.19, 0.15, 0.08))


def scanned(boxes, nearer=0.0):
    frames = frames_of(boxes, ring(16, 0.5 + nearer), NOISE, SIZE, K)
    surface = within_box(fuse(Volume(SETTINGS.voxel, box=BOX), frames, far=2.0).surface(2.0), BOX)
    eyes = np.stack([frame.world_from_camera[:3, 3] for frame in frames])
    return frames, surface, find_objects(surface, eyes, SETTINGS)


def seen_by(surface):
    return MeshViews(surface, np.zeros(len(surface.triangles), dtype=np.int64))


def cut(surface, found, frames, other):
    return split_by_change(surface, found.labels, found.clear, seen_by(other), frames, SETTINGS)


def shares(boxes, surface, labels):
    """The best intersection over union of each box's mask, median over the cameras that see the box."""
    rendered, out = MeshViews(surface, triangle_labels(labels, surface.triangles)), []
    views = [
        (cast(pose, boxes, SIZE, K)[1], rendered.render(K, pose, SIZE)[1]) for pose in ring(6, 0.45, 0.45)
    ]
    for k in range(len(boxes)):
        seen = [(truth == k, found) for truth, found in views if (truth == k).any()]
        best = [
            max((t & (f == j)).sum() / (t | (f == j)).sum() for j in range(labels.max() + 1)) for t, f in seen
        ]
        out.append(np.median(best))
    return np.array(out)


@pytest.fixture(scope="module")
def before():
    return {"flush": scanned(FLUSH)}


@pytest.mark.parametrize("taken", [0, 1])
@pytest.mark.parametrize("where", [None, AWAY])
def test_flush_boxes_are_told_apart_when_one_is_taken_away_or_moved(before, taken, where):
    _, surface, found = before["flush"]
    assert found.number == 1
    left = (FLUSH[1 - taken],) + (() if where is None else (where,))
    frames, other, _ = scanned(left, 0.02)
    labels = cut(surface, found, frames, other)
    assert labels.max() == 1
    assert (shares(FLUSH, surface, labels) > 0.9).all()
    assert ((labels >= 0) == (found.labels >= 0)).all()


def test_it_works_in_the_other_direction_too(before):
    """The scan in which they touch may be the later one."""
    frames, other, _ = before["flush"]
    _, surface, found = scanned((FLUSH[0],), 0.02)
    assert (cut(surface, found, frames, other) == found.labels).all()


@pytest.mark.parametrize("left", [0, 1])
def test_a_tall_and_a_low_box_are_cut_where_they_met(together, left):
    _, surface, found = scanned(together)
    frames, other, _ = scanned((together[left],), 0.02)
    assert found.number == 1
    labels = cut(surface, found, frames, other)
    assert labels.max() == 1
    found_shares = shares(together, surface, labels)
    assert found_shares[0] > 0.9
    assert found_shares[1] > 0.85  # the low one's seam with the table is wide


@pytest.mark.parametrize("left", [FLUSH, (), (AWAY,)])
def test_nothing_changes_when_nothing_moved_or_all_is_gone(before, left):
    _, surface, found = before["flush"]
    frames, other, _ = scanned(left, 0.02)
    assert (cut(surface, found, frames, other) == found.labels).all()


def test_what_changes_less_than_the_smallest_object_stays_with_its_object():
    chip = Box((-0.01, -0.06, 0.0), (0.005, -0.05, 0.012))
    _, surface, found = scanned((*FLUSH, chip))
    frames, other, _ = scanned(FLUSH, 0.02)
    assert (cut(surface, found, frames, other) == found.labels).all()


def test_strips_are_no_parts_and_pieces_far_apart_are_parts_of_their_own():
    u, v = (grid.ravel() for grid in np.meshgrid(np.arange(0, 0.2, 0.0025), np.arange(0, 0.1, 0.0025)))
    points = np.stack((u, v, 0 * u), axis=1)
    graph = SurfaceGraph(points, np.tile([0.0, 0, 1], (len(u), 1)), SETTINGS.gap / 3)
    x, y = graph.points[:, 0], graph.points[:, 1]
    for strip in (y < 0.005, np.abs(x - 0.1) < 0.007):
        assert not parts(graph, np.where(strip, GONE, STANDS), SETTINGS).any()
    middle = np.where((x > 0.07) & (x < 0.11), GONE, STANDS)
    middle[x > 0.19] = UNKNOWN
    found = parts(graph, middle, SETTINGS)
    assert sorted(set(found)) == [0, 1, 2]
    assert (found[x > 0.11] == 0).all()  # the largest, with what is unknown beside it
    assert (found[x < 0.07] == 1).all()
    assert (found[middle == GONE] == 2).all()
    assert not parts(graph, np.full(len(x), UNKNOWN), SETTINGS).any()


def test_unseen_by_the_other_scan_is_unknown_and_goes_with_its_neighbours(before):
    """Cameras on one side only: nothing is known of the far sides."""
    _, surface, found = before["flush"]
    frames = frames_of(FLUSH[:1], [pose for pose in ring(16) if pose[1, 3] > 0.1], NOISE, SIZE, K)
    other = within_box(fuse(Volume(SETTINGS.voxel, box=BOX), frames, far=2.0).surface(2.0), BOX)
    labels = cut(surface, found, frames, other)
    assert labels.max() == 1
    assert (shares(FLUSH, surface, labels) > 0.85).all()


def test_looked_through_is_what_lies_before_what_most_frames_saw():
    frames = frames_of(FLUSH[:1], ring())
    points = np.array(
        [
            [-0.04, 0.0, 0.08],  # on the box that stands
            [0.05, 0.0, 0.08],  # where the other was
            [-0.04, 0.0, 0.04],  # inside of the box
            [0.1, 0.1, 0.0],  # on the table
            [0.0, 0.0, 5.0],  # behind all cameras
        ]
    )
    assert looked_through(points, frames, 0.01).tolist() == [False, True, False, False, False]
    assert not looked_through(points, [], 0.01).any()


def test_standing_is_near_facing_and_not_beside():
    surface = fuse(Volume(SETTINGS.voxel, box=BOX), frames_of(FLUSH[:1], ring()), far=2.0).surface(2.0)
    points = np.array([[-0.04, 0.0, 0.082], [-0.04, 0.0, 0.1], [0.009, 0.0, 0.08], [-0.004, 0.0, 0.083]])
    up, aside = np.tile([0.0, 0.0, 1.0], (4, 1)), np.tile([0.0, 1.0, 0.0], (4, 1))
    other = seen_by(surface)
    assert still_standing(points, up, other, SETTINGS).tolist() == [True, False, False, True]
    assert not still_standing(points, aside, other, SETTINGS).any()
