from __future__ import annotations

import math

import pytest
import torch

from samepoint.correspondence.non_matches import KINDS, sample_non_matches
from samepoint.geometry.pixels import nearest_pixel


def allowed_reference(uv, labels, kind, radius, own):
    """The set of allowed (u, v), by a loop over all pixels."""
    found = set()
    for v in range(labels.shape[0]):
        for u in range(labels.shape[1]):
            label = int(labels[v, u])
            fits = {
                "mask": own > 0 and label == own,
                "background": label == 0,
                "blind": True,
                "cross-object": own > 0 and label not in (0, own),
            }[kind]
            if fits and math.dist((u, v), uv.tolist()) > radius:
                found.add((u, v))
    return found


def scene(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(9, 12, dtype=torch.uint8)
    for label in (1, 2, 3)[: 1 + seed % 3]:
        v, u = torch.randint(0, 8, (2,), generator=generator).tolist()
        labels[v : v + 4, u : u + 3] = label
    uv = torch.rand(6, 2, generator=generator) * torch.tensor([12.0, 9.0]) - 0.5
    uv[0] = 0.0
    return generator, labels, uv


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_twin(kind, seed):
    generator, labels, uv = scene(seed)
    radius = (0.0, 1.5, 4.0, 9.0)[seed % 4]
    got, valid = sample_non_matches(generator, uv, labels, kind, 7, radius=radius)
    assert got.shape == (6, 7, 2)
    for i, match in enumerate(uv):
        row, column = nearest_pixel(match[None], (9, 12))
        allowed = allowed_reference(match, labels, kind, radius, int(labels[row, column]))
        assert valid[i].tolist() == [bool(allowed)] * 7
        if allowed:
            assert {tuple(p) for p in got[i].int().tolist()} <= allowed
        else:
            assert got[i].abs().sum() == 0


def test_never_within_the_radius_of_its_own_match():
    """The reference code's perturbation of true matches was a no-op; here no seed may give a near one."""
    labels = torch.zeros(40, 50, dtype=torch.int64)
    labels[10:14, 10:14] = 1
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        uv = 10 + torch.rand(20, 2, generator=generator) * 3
        got, valid = sample_non_matches(generator, uv, labels, "mask", 20, radius=2.0)
        assert ((got - uv[:, None]).norm(dim=-1)[valid] > 2.0).all()
        assert valid.all()


@pytest.mark.parametrize("radius", [1.0, 5.6])
def test_uniform_whether_by_rejection_or_exhaustively(radius):
    """radius 5.6 leaves few of the 64 pixels, so that most draws are exhaustive."""
    labels, uv = torch.ones(8, 8, dtype=torch.int64), torch.tensor([[3.0, 3.0]])
    generator = torch.Generator().manual_seed(1)
    allowed = sorted(allowed_reference(uv[0], labels, "mask", radius, 1))
    got, _ = sample_non_matches(generator, uv, labels, "mask", 400 * len(allowed), radius=radius)
    flat = got[0, :, 1].long() * 8 + got[0, :, 0].long()
    count = torch.bincount(flat, minlength=64).float()
    expected = torch.zeros(64)
    for u, v in allowed:
        expected[v * 8 + u] = 400
    chi_square = ((count - expected)[expected > 0] ** 2 / 400).sum()
    freedom = len(allowed) - 1
    assert count[expected == 0].sum() == 0
    assert chi_square < freedom + 5 * math.sqrt(2 * max(freedom, 1))


def test_few_pixels_left_end_and_are_found(generator):
    labels = torch.zeros(200, 200, dtype=torch.int64)
    labels[0, :] = 1
    labels[0, 150:] = 0
    uv = torch.tensor([[70.0, 0.0], [0.0, 0.0]])
    got, valid = sample_non_matches(generator, uv, labels, "mask", 5, radius=78.5)
    assert valid.all()
    assert (got[0, :, 0] == 149).all()
    assert (got[1, :, 0] >= 79).all()


def test_zero_is_a_pixel_like_any_other(generator):
    labels = torch.zeros(4, 4, dtype=torch.int64)
    labels[0, 0] = 1
    got, valid = sample_non_matches(
        generator, torch.tensor([[3.0, 3.0]]), labels, "mask", 3, radius=1.0, object=torch.tensor([1])
    )
    assert valid.all()
    assert got.abs().sum() == 0
    labels[3, 3] = 2
    got, valid = sample_non_matches(generator, torch.zeros(1, 2), labels, "cross-object", 3, radius=1.0)
    assert valid.all()
    assert (got == 3).all()


def test_given_objects_reproducible_and_nothing():
    labels = torch.zeros(20, 20, dtype=torch.int16)
    labels[:5], labels[15:] = 1, 2
    uv = torch.tensor([[10.0, 10.0], [10.0, 10.0]])
    owner = torch.tensor([1, 2])

    def draw(kind, seed=0):
        return sample_non_matches(
            torch.Generator().manual_seed(seed), uv, labels, kind, 9, radius=3.0, object=owner
        )

    assert torch.equal(draw("mask")[0], draw("mask")[0])
    assert not torch.equal(draw("mask")[0], draw("mask", 1)[0])
    assert (draw("mask")[0][0, :, 1] < 5).all()
    assert (draw("cross-object")[0][0, :, 1] >= 15).all()
    assert (draw("mask")[0][1, :, 1] >= 15).all()
    got, valid = sample_non_matches(torch.Generator(), torch.zeros(0, 2), labels, "blind", 4, radius=1.0)
    assert (got.shape, valid.shape) == ((0, 4, 2), (0, 4))
    assert sample_non_matches(torch.Generator(), uv, labels, "blind", 0, radius=1.0)[0].shape == (2, 0, 2)
    with pytest.raises((ValueError, TypeError), match=r"mask.*background.*blind.*cross-object"):
        sample_non_matches(torch.Generator(), uv, labels, "masked", 4, radius=1.0)  # type: ignore[arg-type]
