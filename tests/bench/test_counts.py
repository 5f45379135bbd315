"""Memory as a count of tensors: the same on every machine, so that it can be held by a test."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from samepoint.bench.counts import count
from samepoint.bench.matching import MatchCase, sides_of
from samepoint.bench.scaling import ScalingCase, scaling_sides
from samepoint.bench.steps import METHODS, PLAIN, StepCase, make_step

MB = 2**20
SMALL = StepCase("", 3, size=(96, 128), points=32, backbone="resnet18")


def test_bytes_of_known_tensors():
    leaf = torch.zeros(MB // 4, requires_grad=True)

    def call():
        (leaf * 2).exp().sum().backward()
        leaf.grad = None

    found = count(call, (480, 640))
    # the product and its exponential, then a gradient each; of these two at a time, and a few scalars
    assert 2 * MB <= found.peak_bytes < 2 * MB + 100
    assert 4 * MB <= found.allocated_bytes < 4 * MB + 100
    assert found.full_resolution == 0


def test_what_is_freed_and_what_is_a_view():
    def call():
        for _ in range(5):
            torch.zeros(MB // 4)[:7].view(7, 1).add_(1)

    found = count(call, (480, 640))
    assert found.peak_bytes == MB
    assert found.allocated_bytes == 5 * MB


def test_full_resolution_maps_are_seen_in_any_layout():
    def call():
        image = F.interpolate(torch.zeros(1, 8, 6, 8), (12, 16))
        rows = image.flatten(2).transpose(1, 2).contiguous()  # pixels x channels
        mask = rows[..., 0] > 0  # too few values to be a map
        return rows * 2, mask

    assert count(call, (12, 16)).full_resolution == 3


AT_FULL_RESOLUTION = (*PLAIN, "mined")
"""Seed 000's eq. 4 softens heatmaps over the image: one for each keypoint, whatever D."""


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_no_method_but_the_plain_ones_makes_a_full_resolution_map(method):
    step = make_step(replace(SMALL, method=method, dim=16))
    step()
    found = count(step, SMALL.size).full_resolution
    assert (found > 0) == (method in AT_FULL_RESOLUTION)


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if name not in PLAIN])
def test_training_memory_hardly_depends_on_the_length_of_a_descriptor(method):
    peaks = {}
    for dim in (3, 512):
        step = make_step(replace(SMALL, size=(192, 256), method=method, dim=dim))
        step()
        peaks[dim] = count(step, (192, 256)).peak_bytes
    assert peaks[512] < 1.35 * peaks[3]


def test_matching_in_training_never_leaves_the_low_resolution():
    sides = scaling_sides(ScalingCase(dim=64, points=64, size=(120, 160), batch=1), "cpu")
    ours, plain = (count(sides[name], (120, 160)) for name in ("samepoint", "plain"))
    assert ours.full_resolution == 0 < plain.full_resolution
    assert 5 * ours.peak_bytes < plain.peak_bytes


def test_soft_matching_holds_a_third_of_what_the_explicit_softmax_holds():
    sides = sides_of(MatchCase("soft", (120, 160), batch=1, queries=500))
    ours, plain = (count(sides[name], (480, 640)) for name in ("samepoint", "plain"))
    assert 3 * ours.peak_bytes < plain.peak_bytes
