"""Collages: what is pasted matches, what is covered does not."""

from __future__ import annotations

import pytest
import torch

from samepoint.data.collage import collage
from samepoint.types import PairBatch

SIZE = (20, 30)


def pair(colour, corner, side=6, points=8, seed=0):
    """One object, a square of one colour with a gradient along u, at `corner` (u, v) in A and moved by 3 in B."""
    generator = torch.Generator().manual_seed(seed)
    sides = []
    for du in (0, 3):
        image, labels = torch.zeros(1, 3, *SIZE), torch.zeros(1, *SIZE, dtype=torch.int64)
        u, v = corner[0] + du, corner[1]
        labels[0, v : v + side, u : u + side] = 1
        ramp = torch.arange(side) / 100
        image[0, colour, v : v + side, u : u + side] = 0.5 + ramp[None] + 10 * ramp[:, None] / 100
        sides.append((image, labels))
    uv = torch.randint(side, (1, points, 2), generator=generator).float() + torch.tensor(corner).float()
    return PairBatch(
        sides[0][0], sides[1][0], uv, uv + torch.tensor([3.0, 0.0]), torch.ones(1, points, dtype=torch.bool),
        torch.ones(1, points, dtype=torch.int64), sides[0][1], sides[1][1],
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(25))
def test_points_show_the_same_colour_on_both_sides_and_their_own_object(seed):
    generator = torch.Generator().manual_seed(seed)
    made = collage(pair(0, (4, 5)), pair(1, (12, 9)), generator)
    for i in made.valid[0].nonzero()[:, 0]:
        (ua, va), (ub, vb) = made.uv_a[0, i].long().tolist(), made.uv_b[0, i].long().tolist()
        torch.testing.assert_close(made.image_a[0, :, va, ua], made.image_b[0, :, vb, ub])
        assert made.labels_a[0, va, ua] == made.labels_b[0, vb, ub] == made.object[0, i]
    assert set(made.labels_a.unique().tolist()) <= {0, 1, 3}
    assert made.uv_a.shape == (1, 8, 2)


def test_what_is_covered_is_not_valid():
    """Over many draws some points are covered; a valid one never is (the test above), and none is lost else."""
    covered = whole = 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        base = pair(0, (4, 5))
        made = collage(base, pair(1, (12, 9)), generator)
        hidden = (made.labels_a == 3) & (base.labels_a == 1) | (made.labels_b == 3) & (base.labels_b == 1)
        if hidden.any():
            covered += 1
            assert (made.labels_a == 1).sum() < 36 or (made.labels_b == 1).sum() < 36
        elif made.valid.all():
            whole += 1
    assert covered > 3
    assert whole > 10


def test_rows_come_from_both_pairs_and_valid_ones_first():
    shares = []
    for seed in range(20):
        made = collage(pair(0, (4, 5)), pair(1, (12, 9)), torch.Generator().manual_seed(seed))
        valid = made.valid[0]
        assert not (valid[1:] & ~valid[:-1]).any()
        shares.append(float((made.object[0, valid] == 3).float().mean()))
    assert 0.2 < sum(shares) / len(shares) < 0.6


def test_equal_seeds_give_equal_collages():
    one, two = (
        collage(pair(0, (4, 5)), pair(1, (12, 9)), torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(one.image_a, two.image_a)
    assert torch.equal(one.uv_b, two.uv_b)
