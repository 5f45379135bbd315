"""The contrastive loss against a double loop, in both forms, and its edge cases."""

from __future__ import annotations

import pytest
import torch

from samepoint.objectives import NonMatches, pixelwise_contrastive


def double_loop(anchors, positives, valid, groups, form, scale):
    """What a student would write after reading the paper (and the reference code)."""
    match, matches = 0.0, 0
    total, hard, count = 0.0, 0, 0
    for b in range(anchors.shape[0]):
        for n in range(anchors.shape[1]):
            if not valid[b, n]:
                continue
            match = match + ((anchors[b, n] - positives[b, n]) ** 2).sum()
            matches += 1
            for group in groups:
                for k in range(group.descriptors.shape[2]):
                    if not group.valid[b, n, k]:
                        continue
                    count += 1
                    squared = ((anchors[b, n] - group.descriptors[b, n, k]) ** 2).sum()
                    if form == "norm-squared":
                        term = max(torch.tensor(0.0).double(), group.margin - squared.sqrt()) ** 2
                    else:
                        term = max(torch.tensor(0.0).double(), group.margin - squared)
                    hard += int(term > 0)
                    total = total + term
    return match / max(1, matches) + total / max(1, hard if scale else count)


@pytest.fixture
def rows(generator):
    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.3

    anchors, positives = normal(2, 5, 3).requires_grad_(), normal(2, 5, 3).requires_grad_()
    valid = torch.rand(2, 5, generator=generator) < 0.7
    groups = [
        NonMatches(
            normal(2, 5, 4, 3).requires_grad_(), torch.rand(2, 5, 4, generator=generator) < 0.8, margin
        )
        for margin in (0.5, 0.9)
    ]
    return anchors, positives, valid, groups


@pytest.mark.parametrize("form", ["norm-squared", "squared-norm"])
@pytest.mark.parametrize("scale", [True, False])
def test_equals_the_double_loop_in_value_and_gradient(rows, form, scale):
    anchors, positives, valid, groups = rows
    leaves = [anchors, positives, groups[0].descriptors, groups[1].descriptors]
    ours = pixelwise_contrastive(anchors, positives, valid, groups, form=form, scale_by_hard_negatives=scale)[
        "loss"
    ]
    theirs = double_loop(anchors, positives, valid, groups, form, scale)
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves)):
        torch.testing.assert_close(mine, other)


def test_the_two_forms_are_different_losses(rows):
    anchors, positives, valid, groups = rows
    first, second = (
        pixelwise_contrastive(anchors, positives, valid, groups, form=form)["loss"]
        for form in ("norm-squared", "squared-norm")
    )
    assert abs(first - second) > 1e-3


def test_the_hard_negative_denominator_is_one_for_all_groups():
    anchors = torch.zeros(1, 1, 1)
    near = NonMatches(torch.full((1, 1, 3, 1), 0.1), torch.ones(1, 1, 3, dtype=torch.bool), 0.5)
    far = NonMatches(torch.full((1, 1, 5, 1), 9.0), torch.ones(1, 1, 5, dtype=torch.bool), 0.5)
    close = NonMatches(torch.full((1, 1, 1, 1), 0.3), torch.ones(1, 1, 1, dtype=torch.bool), 0.5)
    found = pixelwise_contrastive(anchors, anchors, torch.ones(1, 1, dtype=torch.bool), [near, far, close])
    torch.testing.assert_close(found["loss"], torch.tensor((3 * 0.4**2 + 0.2**2) / 4))
    torch.testing.assert_close(found["hard_fraction"], torch.tensor(4 / 9))


def test_no_valid_row_gives_zero_and_still_back_propagates():
    anchors = torch.randn(1, 3, 4, requires_grad=True)
    none = torch.zeros(1, 3, dtype=torch.bool)
    loss = pixelwise_contrastive(anchors, anchors.detach(), none, [])["loss"]
    loss.backward()
    assert loss.item() == 0
    assert anchors.grad is not None
    assert not anchors.grad.any()


def test_equal_descriptors_have_a_finite_gradient():
    anchors = torch.ones(1, 2, 3, requires_grad=True)
    same = NonMatches(torch.ones(1, 2, 2, 3), torch.ones(1, 2, 2, dtype=torch.bool), 0.5)
    pixelwise_contrastive(anchors, torch.ones(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), [same])[
        "loss"
    ].backward()
    assert torch.isfinite(anchors.grad).all()
