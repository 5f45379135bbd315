"""NT-Xent and triplet against loops over their definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from samepoint.objectives import NonMatches, nt_xent, triplet


@pytest.fixture
def points(generator):
    a, b = (torch.randn(2, 6, 5, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    uv_a, uv_b = (torch.rand(2, 6, 2, generator=generator, dtype=torch.float64) * 60 for _ in range(2))
    valid = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    return a, b, uv_a, uv_b, valid


def plain_nt_xent(a, b, uv_a, uv_b, valid, temperature, exclusion, others_a=None, others_b=None):
    def near(uv, others, image, i, k):
        """Distance of i to k or to a copy of k, or of k to a copy of i."""
        found = [(uv[image, i] - uv[image, k]).norm()]
        if others is not None:
            found += [(o - uv[image, j]).norm() for m, j in ((i, k), (k, i)) for o in others[image, m]]
        return min(d for d in found if not d.isnan())

    terms = []
    for image in range(len(a)):
        rows = [i for i in range(a.shape[1]) if valid[image, i]]
        items = [("a", i) for i in rows] + [("b", i) for i in rows]
        vectors = {("a", i): F.normalize(a[image, i], dim=0) for i in rows}
        vectors |= {("b", i): F.normalize(b[image, i], dim=0) for i in rows}
        for side, i in items:
            own = ("b" if side == "a" else "a", i)
            total = []
            for other in items:
                k = other[1]
                nearest = min(near(uv_a, others_a, image, i, k), near(uv_b, others_b, image, i, k))
                if other == own or (k != i and nearest >= exclusion):
                    total.append(vectors[side, i] @ vectors[other] / temperature)
            terms.append(torch.stack(total).logsumexp(0) - vectors[side, i] @ vectors[own] / temperature)
    return torch.stack(terms).mean()


@pytest.mark.parametrize("exclusion", [0.0, 15.0])
def test_nt_xent_equals_its_definition_in_value_and_gradient(points, exclusion):
    a, b, uv_a, uv_b, valid = points
    ours = nt_xent(a, b, uv_a, uv_b, valid, temperature=0.1, exclusion=exclusion)["loss"]
    theirs = plain_nt_xent(a, b, uv_a, uv_b, valid, 0.1, exclusion)
    torch.testing.assert_close(ours, theirs)
    for mine, plain in zip(torch.autograd.grad(ours, (a, b)), torch.autograd.grad(theirs, (a, b))):
        torch.testing.assert_close(mine, plain)


def test_symmetric_copies_are_no_negatives(points, generator):
    a, b, uv_a, uv_b, valid = points
    others_a, others_b = (
        torch.rand(2, 6, k, 2, generator=generator, dtype=torch.float64) * 60 for k in (3, 2)
    )
    others_a[torch.rand(2, 6, 3, generator=generator) < 0.3] = torch.nan
    others_b[0, 2, 1] = uv_b[0, 4] + 1.0  # 2 and 4 are copies, seen from B only
    given = {"alternatives_a": others_a, "alternatives_b": others_b}
    ours = nt_xent(a, b, uv_a, uv_b, valid, temperature=0.1, exclusion=6.0, **given)["loss"]
    theirs = plain_nt_xent(a, b, uv_a, uv_b, valid, 0.1, 6.0, others_a, others_b)
    torch.testing.assert_close(ours, theirs)
    for mine, plain in zip(torch.autograd.grad(ours, (a, b)), torch.autograd.grad(theirs, (a, b))):
        torch.testing.assert_close(mine, plain)
    back = {"alternatives_a": others_b, "alternatives_b": others_a}
    swapped = nt_xent(b, a, uv_b, uv_a, valid, temperature=0.1, exclusion=6.0, **back)["loss"]
    torch.testing.assert_close(ours, swapped)
    assert ours < nt_xent(a, b, uv_a, uv_b, valid, temperature=0.1, exclusion=6.0)["loss"]


def test_nt_xent_is_the_same_from_both_sides(points):
    a, b, uv_a, uv_b, valid = points
    there = nt_xent(a, b, uv_a, uv_b, valid, temperature=0.1, exclusion=5.0)["loss"]
    back = nt_xent(b, a, uv_b, uv_a, valid, temperature=0.1, exclusion=5.0)["loss"]
    torch.testing.assert_close(there, back)


def test_samples_of_one_point_do_not_push_each_other(generator):
    """Two samples of the same pixel: without the exclusion their loss cannot fall below log 2."""
    one = F.normalize(torch.randn(1, 1, 5, generator=generator), dim=-1).expand(1, 2, 5)
    uv = torch.tensor([[[3.0, 4.0], [3.0, 4.0]]])
    valid = torch.ones(1, 2, dtype=torch.bool)
    assert nt_xent(one, one, uv, uv, valid, temperature=0.1, exclusion=4.0)["loss"] < 1e-5
    assert nt_xent(one, one, uv, uv, valid, temperature=0.1, exclusion=0.0)["loss"] > 0.69


def test_triplet_equals_its_definition(points, generator):
    a, b, _, _, valid = points
    others = torch.randn(2, 6, 3, 5, generator=generator, dtype=torch.float64)
    known = torch.rand(2, 6, 3, generator=generator) > 0.3
    ours = triplet(a, b, NonMatches(others, known, 0.4), valid)["loss"]
    terms = [
        max(
            torch.zeros((), dtype=torch.float64),
            (a[i, n] - b[i, n]).square().sum() - (a[i, n] - others[i, n, k]).square().sum() + 0.4,
        )
        for i in range(2)
        for n in range(6)
        for k in range(3)
        if valid[i, n] and known[i, n, k]
    ]
    torch.testing.assert_close(ours, torch.stack(terms).mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_valid_gives_zero_and_still_back_propagates(points, generator, dtype):
    a, b, uv_a, uv_b, valid = points
    a, b = (side.detach().to(dtype).requires_grad_() for side in (a, b))
    none = torch.zeros_like(valid)
    others = NonMatches(
        torch.randn(2, 6, 3, 5, generator=generator).to(dtype), none[..., None].expand(2, 6, 3)
    )
    for loss in (
        nt_xent(a, b, uv_a, uv_b, none, temperature=0.1, exclusion=5.0)["loss"],
        triplet(a, b, others, none)["loss"],
    ):
        loss.backward()
        assert loss.item() == 0
    assert not a.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_descriptors_give_nearly_the_same(points, generator, dtype):
    a, b, uv_a, uv_b, valid = (t.float() if t.dtype == torch.float64 else t for t in points)
    others = torch.randn(2, 6, 3, 5, generator=generator)
    known = torch.ones(2, 6, 3, dtype=torch.bool)
    low = [t.detach().to(dtype) for t in (a, b, others)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = (
            nt_xent(low[0], low[1], uv_a, uv_b, valid, temperature=0.1, exclusion=5.0)["loss"],
            triplet(low[0], low[1], NonMatches(low[2], known), valid)["loss"],
        )
    exact = (
        nt_xent(a, b, uv_a, uv_b, valid, temperature=0.1, exclusion=5.0)["loss"],
        triplet(a, b, NonMatches(others, known), valid)["loss"],
    )
    for full, half in zip(exact, rounded):
        assert half.dtype == torch.float32
        torch.testing.assert_close(full, half, rtol=0.03, atol=0.02)
