"""Objects of a fused surface: found, told apart, split by clicks, seen again in every frame."""

import numpy as np
import pytest
from tests.fusion.tabletop import SIZE, Box, K, cast, frames_of, ring

from samepoint.errors import DataError
from samepoint.fusion.clusters import cluster, spread, thinned
from samepoint.fusion.objects import find_objects, find_workspace, within_box
from samepoint.fusion.planes import Plane, find_plane, is_open, on_plane
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.touching import split, touching
from samepoint.fusion.views import MeshViews, triangle_labels
from samepoint.fusion.volume import Volume, fuse

BOX = (-0.3, -0.3, -0.05, 0.3, 0.3, 0.3)
SETTINGS = FusionSettings(voxel=0.004)


def fused(boxes, noise=0.0):
    return within_box(
        fuse(Volume(0.004, box=BOX), frames_of(boxes, ring(), noise), far=2.0).surface(2.0), BOX
    )


def eyes():
    return np.stack([pose[:3, 3] for pose in ring()])


def iou(boxes, surface, labels, k_true, k_found):
    rendered, found = MeshViews(surface, triangle_labels(labels, surface.triangles)), []
    for pose in ring(5, 0.45, 0.5):
        truth = cast(pose, boxes)[1] == k_true
        seen = rendered.render(K, pose, SIZE)[1] == k_found
        found.append((truth & seen).sum() / (truth | seen).sum())
    return float(np.median(found))


def which(boxes, surface, labels):
    """For each box the label that most of its vertices have."""
    out = []
    for box in boxes:
        low, high = np.array(box.low) - 0.003, np.array(box.high) + 0.003
        near = ((surface.vertices > low) & (surface.vertices < high)).all(1) & (surface.vertices[:, 2] > 0.02)
        out.append(int(np.bincount(labels[near] + 1).argmax()) - 1)
    return out


@pytest.mark.parametrize("noise", [0.0, 0.0015])
def test_two_boxes_are_two_objects_with_their_masks(apart, noise):
    surface = fused(apart, noise)
    found = find_objects(surface, eyes(), SETTINGS)
    assert found.number == 2
    np.testing.assert_allclose(found.planes[0].normal, (0, 0, 1), atol=0.01)
    places = which(apart, surface, found.labels)
    assert sorted(places) == [0, 1]
    for k, place in enumerate(places):
        assert iou(apart, surface, found.labels, k, place) > 0.9
    assert touching(surface, found.labels, found.clear, SETTINGS.gap) == [1, 1]


def test_rendered_depth_is_the_true_depth(apart):
    surface = fused(apart)
    rendered = MeshViews(surface, np.zeros(len(surface.triangles), dtype=np.int64))
    pose = ring(7, 0.45, 0.5)[3]
    depth, truth = rendered.render(K, pose, SIZE)[0], cast(pose, apart)[0]
    both = (depth > 0) & (truth > 0)
    assert both.mean() > 0.5
    assert np.median(np.abs(depth - truth)[both]) < 0.001


def test_touching_boxes_are_one_object_that_is_reported_and_split_by_clicks(together):
    surface = fused(together)
    found = find_objects(surface, eyes(), SETTINGS)
    assert found.number == 1
    assert touching(surface, found.labels, found.clear, SETTINGS.gap) == [2]
    clicks = np.array([[-0.045, 0.0, 0.12], [0.05, 0.0, 0.04]])
    labels = split(surface, found.labels, clicks, SETTINGS.gap)
    assert labels.max() == 1
    for k, place in enumerate(which(together, surface, labels)):
        assert place == k
        assert iou(together, surface, labels, k, place) > 0.8
    assert (split(surface, found.labels, clicks[:1], SETTINGS.gap) == found.labels).all()


def test_the_workspace_holds_the_objects_and_not_the_table(apart):
    surface = fuse(Volume(0.02), frames_of(apart, ring()), far=2.0).surface(2.0)
    low, high = np.split(np.array(find_workspace(surface, eyes(), FusionSettings())), 2)
    assert (low < (-0.1, -0.05, 0.0)).all()
    assert (high > (0.07, 0.05, 0.08)).all()
    assert (high - low).max() < 0.55


def test_a_plane_is_found_among_other_points_and_faces_the_cameras():
    generator = np.random.default_rng(0)
    flat = np.column_stack((generator.uniform(-1, 1, (2000, 2)), 0.002 * generator.normal(size=2000)))
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    points = np.concatenate((flat, generator.uniform(-1, 1, (1500, 3)))) @ turn.T + (0.3, -2.0, 1.0)
    camera = (np.array([[0.0, 0.0, 2.0]]) @ turn.T) + (0.3, -2.0, 1.0)
    plane = find_plane(points, camera, 0.01, generator)
    assert plane is not None
    assert plane.normal @ turn[:, 2] > 0.9999
    assert np.abs(plane.height(points[:2000])).max() < 0.01
    assert plane.height(camera)[0] == pytest.approx(2.0, abs=0.01)
    assert on_plane(plane, points[:2000], 0.01).all()
    assert find_plane(points[:2], camera, 0.01, generator) is None


def test_things_behind_the_front_of_an_open_box_are_objects_and_what_little_is_behind_a_wall_is_none():
    front = Box((-0.15, 0.1, 0.0), (0.15, 0.11, 0.06))
    thing = Box((-0.04, -0.06, 0.0), (0.04, 0.02, 0.12))
    poses = [pose for pose in ring(24) if pose[1, 3] > 0.1]  # the cameras see the front of `front`
    frames = frames_of((front, thing), poses)
    surface = within_box(fuse(Volume(0.004, box=BOX), frames, far=2.0).surface(2.0), BOX)
    cameras = np.stack([pose[:3, 3] for pose in poses])
    found = find_objects(surface, cameras, FusionSettings(voxel=0.004, planes=2))
    kept = surface.vertices[found.labels == 0]
    assert np.ptp(kept, axis=0) == pytest.approx((0.08, 0.08, 0.12), abs=0.02)
    assert is_open(found.planes[1], surface.vertices.astype(float), 0.01)
    wall = np.column_stack((np.random.default_rng(0).uniform(-1, 1, (1000, 2)), np.zeros(1000)))
    plane = Plane(np.array([0.0, 0, 1]), 0.0)
    for behind, opened in ((50, False), (200, True)):
        points = np.concatenate((wall, wall[:behind] - (0, 0, 0.1)))
        assert is_open(plane, points, 0.01) == opened
        assert on_plane(plane, points, 0.01, opened)[1000:].all() != opened


def test_clusters_are_those_of_a_flood_fill():
    """The slow twin: points that a chain of steps below the gap connects."""
    generator = np.random.default_rng(1)
    centres = np.array([[0, 0, 0], [0.2, 0, 0], [0, 0.3, 0.1]])
    sizes = (900, 600, 300)
    points = np.concatenate([c + generator.uniform(-0.03, 0.03, (n, 3)) for c, n in zip(centres, sizes)])
    points = np.concatenate((points, [[1.0, 1, 1], [1.001, 1, 1]]))
    labels = cluster(points, gap=0.02, smallest=0.02)
    group, rest = np.full(len(points), -1), set(range(len(points)))
    while rest:
        todo = [rest.pop()]
        group[todo[0]] = name = group.max() + 1
        while todo:
            i = todo.pop()
            near = [j for j in rest if ((points[i] - points[j]) ** 2).sum() < 0.02**2]
            rest -= set(near)
            group[near] = name
            todo += near
    assert [int((labels == k).sum()) for k in range(3)] == list(sizes)
    assert (labels[-2:] == -1).all()
    for k in range(3):
        assert len(set(group[labels == k])) == 1
    assert (cluster(points[:0], 0.02, 0.02) == np.zeros(0)).all()


def test_thinned_points_are_means_of_cubes():
    points = np.array([[0.001, 0, 0], [0.003, 0, 0], [0.011, 0, 0]])
    thin, back = thinned(points, 0.01)
    np.testing.assert_allclose(thin, [[0.002, 0, 0], [0.011, 0, 0]])
    assert back.tolist() == [0, 0, 1]


def test_labels_spread_to_open_points_within_reach_only():
    points = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.01, 0, 0.001], [0.1, 0, 0]])
    labels = np.array([4, -1, -1, -1])
    assert spread(labels, points, np.array([True, True, False, True]), 0.02).tolist() == [4, 4, -1, -1]


def test_bad_settings():
    with pytest.raises(DataError, match="voxel is"):
        FusionSettings(voxel=0.0)
    with pytest.raises(DataError, match="is empty"):
        FusionSettings(box=(0.0, 0.0, 0.0, 1.0, 1.0, 0.0))
    with pytest.raises(DataError, match="near is"):
        FusionSettings(near=2.0, far=1.0)
