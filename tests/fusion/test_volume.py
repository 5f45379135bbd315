"""Fused surfaces lie where the things are, within the box, in blocks."""

import numpy as np
import pytest
from tests.fusion.tabletop import SIZE, K, frames_of, ring

from samepoint.errors import DataError, RunError
from samepoint.fusion.frames import PosedFrame, smooth
from samepoint.fusion.objects import within_box
from samepoint.fusion.open3d import open3d
from samepoint.fusion.volume import Volume, fuse, inside, open3d_device

BOX = (-0.2, -0.2, -0.02, 0.2, 0.2, 0.2)


def distance_to(boxes, points):
    """To the surface of the boxes and of the plane z = 0, slow and plain."""
    found = np.abs(points[:, 2])
    for box in boxes:
        low, high = np.array(box.low), np.array(box.high)
        outside = np.maximum(np.maximum(low - points, points - high), 0)
        within = np.minimum(points - low, high - points).min(1)
        found = np.minimum(found, np.where(within > 0, within, np.linalg.norm(outside, axis=1)))
    return found


def test_the_surface_lies_on_the_things(apart):
    """Half a voxel of bias would fail: a shifted grid, or pixel centres taken at corners."""
    volume = fuse(Volume(0.004, box=BOX), frames_of(apart, ring()), far=2.0)
    surface = within_box(volume.surface(2.0), BOX)
    distance = distance_to(apart, surface.vertices.astype(np.float64))
    assert len(surface.vertices) > 2000
    assert np.median(distance) < 0.0006
    assert (distance < 0.004).mean() > 0.97


def test_the_top_of_a_box_is_at_its_height(apart):
    surface = fuse(Volume(0.004, box=BOX), frames_of(apart, ring()), far=2.0).surface(2.0)
    top = surface.vertices[inside(surface.vertices, (-0.08, -0.02, 0.06, -0.03, 0.03, 0.1))]
    assert abs(np.median(top[:, 2]) - 0.08) < 0.0005


def test_colours_are_those_of_the_images(apart):
    surface = fuse(Volume(0.004, box=BOX), frames_of(apart, ring()), far=2.0).surface(2.0)
    top = inside(surface.vertices, (-0.08, -0.02, 0.06, -0.03, 0.03, 0.1))
    np.testing.assert_allclose(np.median(surface.colours[top], axis=0) * 255, (200, 60, 60), atol=3)


def test_memory_follows_the_surface_in_the_box_not_the_number_of_frames(apart):
    few = fuse(Volume(0.004, box=BOX), frames_of(apart, ring(8)), far=2.0)
    many = fuse(Volume(0.004, box=BOX), frames_of(apart, ring(8) * 5), far=2.0)
    whole = fuse(Volume(0.004), frames_of(apart, ring(8)), far=2.0)
    assert many.blocks() == few.blocks() < 0.5 * whole.blocks()
    edges = np.ceil((np.array(BOX[3:]) - BOX[:3]) / (8 * 0.004)) + 1
    assert few.blocks() <= edges.prod()


def test_nothing_to_fuse_is_said():
    empty = PosedFrame(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.float32), K, ring(1)[0])
    with pytest.raises(DataError, match="nothing was fused"):
        fuse(Volume(0.004), [empty], far=2.0).surface(1.0)


def test_depth_at_edges_is_left_out():
    depth = np.full((9, 9), 0.5, np.float32)
    depth[:, 5:] = 0.7
    depth[0, 0] = 0
    kept = smooth(depth)
    assert not kept[:, 4:6].any()
    assert kept[:, :4].sum() == 9 * 4 - 1
    assert kept[:, 6:].all()
    slope = np.tile(np.linspace(0.5, 0.55, 9, dtype=np.float32), (9, 1))
    assert smooth(slope).all()


def test_cuda_without_a_build_for_it_is_refused(monkeypatch):
    assert open3d_device("cpu") == "CPU:0"
    monkeypatch.setattr(open3d().core.cuda, "is_available", lambda: False)
    assert open3d_device("auto") == "CPU:0"
    with pytest.raises(RunError, match="this build of Open3D finds no CUDA; use --device auto or cpu"):
        open3d_device("cuda")
