"""Chance by simulation and by formula; the same pixel; caches."""

import math

import pytest
import torch

from samepoint.evaluation.caches import LastUsed
from samepoint.evaluation.metrics import pixel_errors, point_scores, summary
from samepoint.evaluation.predictors import (
    ChancePredictor,
    SamePixelPredictor,
    expected_chance,
    expected_chance_row,
)

SIZE = (48, 64)


def answers_with_alternatives():
    nan = math.nan
    return torch.tensor(
        [
            [[10.0, 20.0], [nan, nan]],
            [[0.0, 0.0], [nan, nan]],
            [[63.3, 47.4], [nan, nan]],
            [[30.25, 24.75], [40.0, 24.0]],
        ]
    )


def test_expected_chance_equals_counting_every_pixel():
    answers = answers_with_alternatives()
    expected = expected_chance(answers, SIZE)
    everywhere = torch.tensor([[u, v] for v in range(SIZE[0]) for u in range(SIZE[1])], dtype=torch.float64)
    for i in range(len(answers)):
        errors = pixel_errors(everywhere, answers[i].double().expand(len(everywhere), -1, -1))
        for name, value in point_scores(errors, 80.0).items():
            if name in expected:
                assert float(expected[name][i]) == pytest.approx(float(value.mean()), abs=1e-12), name


def test_chance_scores_what_the_formula_says(generator):
    answers = answers_with_alternatives()[:, :1].repeat(5000, 1, 1)
    image = torch.zeros(3, *SIZE)
    found = ChancePredictor(generator).predict(image, answers[:, 0], image)
    drawn = summary(point_scores(pixel_errors(found.uv_b, answers), 80.0))
    expected = expected_chance_row(expected_chance(answers[:4], SIZE))
    for k, value in expected["pck"].items():
        assert drawn["pck"][k] == pytest.approx(value, abs=0.012)
    assert drawn["auc_1_100"] == pytest.approx(expected["auc_1_100"], abs=0.012)


def test_chance_stays_in_the_image_and_is_reproducible():
    image_a, image_b, uv = torch.zeros(3, 5, 5), torch.zeros(3, 2, 3), torch.zeros(1000, 2)
    first, second = (
        ChancePredictor(torch.Generator().manual_seed(4)).predict(image_a, uv, image_b) for _ in range(2)
    )
    assert torch.equal(first.uv_b, second.uv_b)
    assert first.uv_b.amin(0).tolist() == [0, 0]
    assert first.uv_b.amax(0).tolist() == [2, 1]


def test_expected_chance_without_points():
    expected = expected_chance(torch.zeros(0, 1, 2), SIZE)
    assert expected_chance_row(expected)["pck"]["5"] is None


def test_the_same_pixel_is_scaled_with_the_image():
    uv = torch.tensor([[-0.5, -0.5], [9.5, 4.5]])
    found = SamePixelPredictor().predict(torch.zeros(3, 5, 10), uv, torch.zeros(3, 10, 20))
    torch.testing.assert_close(found.uv_b, torch.tensor([[-0.5, -0.5], [19.5, 9.5]]))


def test_last_used_forgets_the_oldest():
    made = []
    cache = LastUsed(2)
    for key in "abacab":
        cache.get(key, lambda key=key: made.append(key) or key)
    assert made == ["a", "b", "c", "b"]
