"""Augmentation moves points exactly as images, keeps labels with their pixels, and depends on its generator alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from samepoint.data.augmentation import (
    Augmentation,
    augment_pairs,
    change_appearance,
    randomise_background,
    textured_points,
    two_views,
)
from samepoint.types import ImageBatch, PairBatch

GEOMETRY_ONLY = Augmentation(rotation=40.0, perspective=0.3, colour=0.0, grey=0.0, noise=0.0, background=0.0)


def blob_image(uv, size=(96, 128)):
    """A bright Gaussian of 3 pixels at uv."""
    v, u = torch.meshgrid(torch.arange(float(size[0])), torch.arange(float(size[1])), indexing="ij")
    return torch.exp(-((u - uv[0]) ** 2 + (v - uv[1]) ** 2) / 18).expand(3, -1, -1)


def brightest(image):
    """Centre of mass of what is brighter than half the maximum."""
    weight = (image[0] - image[0].max() / 2).clamp(min=0)
    v, u = torch.meshgrid(
        torch.arange(float(image.shape[1])), torch.arange(float(image.shape[2])), indexing="ij"
    )
    return torch.stack(((u * weight).sum(), (v * weight).sum())) / weight.sum()


def pair_batch(points=((64.0, 48.0), (50.0, 40.0), (80.0, 60.0))):
    images = torch.stack([blob_image(p) for p in points])
    uv = torch.tensor(points)[:, None]
    labels = (images[:, 0] > 0.5).to(torch.int64)
    return PairBatch(
        images, images, uv, uv, torch.ones(len(points), 1, dtype=torch.bool), None, labels, labels
    )


def test_points_move_as_their_images_do(generator):
    moved = augment_pairs(pair_batch(), GEOMETRY_ONLY, generator)
    assert moved.valid.all()
    for image, uv in [(moved.image_a, moved.uv_a), (moved.image_b, moved.uv_b)]:
        for i in range(len(image)):
            assert (brightest(image[i]) - uv[i, 0]).norm() < 0.35  # perspective shears the blob a little
    assert (moved.uv_a - moved.uv_b).norm(dim=-1).min() > 1  # the two sides are changed independently


def test_labels_stay_on_their_pixels(generator):
    moved = augment_pairs(pair_batch(), GEOMETRY_ONLY, generator)
    agree = (moved.labels_a == 1) == (moved.image_a[:, 0] > 0.5)
    assert agree.float().mean() > 0.995
    assert moved.labels_a.any()


def test_points_that_leave_the_image_become_invalid(generator):
    far = replace(GEOMETRY_ONLY, translation=3.0)
    moved = augment_pairs(pair_batch(), far, generator)
    inside = (moved.uv_a > -0.5).all(-1) & (moved.uv_a < torch.tensor([127.5, 95.5])).all(-1)
    assert not moved.valid.all()
    assert not (moved.valid & ~inside).any()
    assert torch.isfinite(moved.uv_a).all()


@pytest.mark.parametrize("view", [None, (64, 80)])
def test_two_views_share_their_points(generator, view):
    """A colour ramp names every pixel: both views must show the same colour at corresponding points."""
    v, u = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 128), indexing="ij")
    batch = ImageBatch(torch.stack((u, v, 1 - u)).expand(2, -1, -1, -1))
    pairs = two_views(batch, replace(GEOMETRY_ONLY, rotation=180.0, view=view), generator, 200)
    assert pairs.image_a.shape[-2:] == (view or (96, 128))
    from samepoint.geometry.pixels import sample

    a, b = sample(pairs.image_a, pairs.uv_a), sample(pairs.image_b, pairs.uv_b)
    inner = pairs.valid & (a.sum(-1) > 0.5) & (b.sum(-1) > 0.5)
    assert inner.float().mean() > 0.3
    error = (a - b).abs().amax(-1)[inner]
    assert error.quantile(0.95) < 0.02


def test_two_views_keep_to_the_mask(generator):
    mask = torch.zeros(1, 96, 128, dtype=torch.bool)
    mask[:, :, :64] = True
    batch = ImageBatch(mask[:, None].float().expand(-1, 3, -1, -1), mask)
    pairs = two_views(batch, GEOMETRY_ONLY, generator, 400)
    from samepoint.geometry.pixels import sample

    white = sample(pairs.image_a, pairs.uv_a)[..., 0]
    assert pairs.valid.any()
    assert (white[pairs.valid] > 0.4).all()
    assert (white[~pairs.valid] < 0.6).float().mean() > 0.5


def test_the_same_generator_gives_the_same_batch():
    first, second = (
        augment_pairs(pair_batch(), Augmentation(), torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first.image_a, second.image_a)
    assert torch.equal(first.uv_b, second.uv_b)


def test_colours_change_but_stay_in_range(generator):
    images = torch.rand(16, 3, 8, 8, generator=generator)
    changed = change_appearance(images, Augmentation(), generator)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed - images).abs().mean() > 0.02
    unchanged = change_appearance(images, GEOMETRY_ONLY, generator)
    torch.testing.assert_close(unchanged, images, rtol=1e-4, atol=1e-4)


def test_grey_loses_all_colour(generator):
    grey = change_appearance(
        torch.rand(4, 3, 6, 6, generator=generator), replace(GEOMETRY_ONLY, grey=1.0), generator
    )
    torch.testing.assert_close(grey[:, 0], grey[:, 2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_background_changes_and_the_object_does_not(generator, batch):
    images = torch.rand(batch, 3, 32, 32, generator=generator)
    labels = torch.zeros(batch, 32, 32, dtype=torch.int64)
    labels[:, 8:20, 8:20] = 2
    changed = randomise_background(images, labels, 1.0, generator)
    on = (labels > 0)[:, None].expand_as(images)
    assert torch.equal(changed[on], images[on])
    assert (changed[~on] != images[~on]).float().mean() > 0.9
    assert torch.equal(randomise_background(images, labels, 0.0, generator), images)


def test_a_view_tells_nothing_of_where_the_match_is(generator):
    """A point's place in one view says nothing of its place in the other: a network could learn to look there."""
    still = replace(GEOMETRY_ONLY, rotation=0.0, scale=(1.0, 1.0), translation=0.0, perspective=0.0)
    moved = augment_pairs(pair_batch([(64.0, 48.0)] * 300), replace(still, view=(48, 64)), generator)
    assert moved.image_a.shape[-2:] == (48, 64)
    assert moved.valid.all()
    a, b = moved.uv_a[:, 0], moved.uv_b[:, 0]
    for axis, length in ((0, 64), (1, 48)):
        assert abs(torch.corrcoef(torch.stack((a[:, axis], b[:, axis])))[0, 1]) < 0.2
        assert a[:, axis].min() < 0.2 * length
        assert a[:, axis].max() > 0.8 * length


@pytest.mark.parametrize("point", [(2.0, 3.0), (126.0, 50.0), (60.0, 94.0)])
def test_a_view_stays_inside_the_image_and_shows_the_match(generator, point):
    still = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, view=(48, 64))
    bright = replace(pair_batch([point] * 20), image_a=torch.ones(20, 3, 96, 128))
    moved = augment_pairs(bright, still, generator)
    assert moved.valid.all()
    assert moved.image_a.min() > 0.99


def test_textured_points_follow_the_texture(generator):
    """Left half plain, right half noise: nearly all points lie on the right, none outside the image."""
    images = torch.zeros(2, 3, 50, 70)
    images[..., 35:] = torch.rand(2, 3, 50, 35, generator=generator)
    uv = textured_points(images, 500, generator)
    assert (uv[..., 0] > 31).float().mean() > 0.99
    assert (uv > -0.5).all()
    assert (uv < torch.tensor([69.5, 49.5])).all()
    right = uv[uv[..., 0] > 35]
    assert right[:, 1].std() > 10  # and evenly there
