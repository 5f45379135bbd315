"""Visibility scores against their plain definitions."""

import pytest
import torch

from samepoint.evaluation.visibility import accuracy, auroc, average_precision, visibility_scores


def auroc_reference(confidence, visible):
    wins = 0.0
    positives, negatives = confidence[visible].tolist(), confidence[~visible].tolist()
    for p in positives:
        for n in negatives:
            wins += 1.0 if p > n else 0.5 if p == n else 0.0
    return wins / (len(positives) * len(negatives))


def average_precision_reference(confidence, visible):
    total, before = 0.0, 0.0
    for threshold in sorted(set(confidence.tolist()), reverse=True):
        kept = confidence >= threshold
        recall = float(visible[kept].sum() / visible.sum())
        total += float(visible[kept].double().mean()) * (recall - before)
        before = recall
    return total


@pytest.mark.parametrize("levels", [5, 1000])
def test_scores_equal_their_definitions_also_with_ties(generator, levels):
    visible = torch.rand(80, generator=generator) < 0.6
    confidence = (torch.rand(80, generator=generator) + 0.4 * visible).mul(levels).round() / levels
    assert float(auroc(confidence, visible)) == pytest.approx(auroc_reference(confidence, visible))
    expected = average_precision_reference(confidence, visible)
    assert float(average_precision(confidence, visible)) == pytest.approx(expected, abs=1e-6)


def test_perfect_reversed_and_constant_confidence():
    visible = torch.tensor([True, True, False])
    assert float(auroc(torch.tensor([0.9, 0.8, 0.1]), visible)) == 1
    assert float(auroc(torch.tensor([0.1, 0.2, 0.9]), visible)) == 0
    assert float(auroc(torch.zeros(3), visible)) == 0.5
    assert float(average_precision(torch.zeros(3), visible)) == pytest.approx(2 / 3)


def test_auroc_does_not_change_under_an_increasing_map(generator):
    confidence, visible = torch.randn(50, generator=generator), torch.rand(50, generator=generator) < 0.5
    torch.testing.assert_close(auroc(confidence, visible), auroc(confidence.exp() * 3, visible))


def test_accuracy_at_a_threshold():
    confidence, visible = torch.tensor([0.5, 0.4, 0.6, 0.1]), torch.tensor([True, True, False, False])
    assert float(accuracy(confidence, visible, 0.5)) == 0.5


def test_one_kind_of_point_only_gives_none():
    row = visibility_scores(torch.rand(3), torch.ones(3, dtype=torch.bool), 0.5)
    assert row["auroc"] is None
    assert row["average_precision"] is None
    assert row["n_hidden"] == 0
    assert visibility_scores(torch.zeros(0), torch.zeros(0, dtype=torch.bool), 0.5)["accuracy"] is None
