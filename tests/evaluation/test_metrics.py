"""PCK, AUC and errors against double loops."""

import math

import pytest
import torch

from samepoint.evaluation.metrics import (
    AUC_RANGES,
    THRESHOLDS,
    auc,
    finite_mean,
    joined,
    lateral_errors,
    pck,
    pixel_errors,
    point_errors,
    point_scores,
    summary,
)


def double_loop(predicted, truth):
    """PCK@k for k = 0..100, the way a student would write it."""
    curve = []
    for k in range(101):
        hits = 0
        for (u, v), (x, y) in zip(predicted.tolist(), truth.tolist()):
            if math.sqrt((u - x) ** 2 + (v - y) ** 2) <= k:
                hits += 1
        curve.append(hits / len(predicted))
    return curve


def test_pck_and_auc_equal_a_double_loop(generator):
    truth = torch.rand(60, 2, generator=generator, dtype=torch.float64) * 200
    spread = torch.rand(60, 1, generator=generator, dtype=torch.float64) * 90
    predicted = truth + torch.randn(60, 2, generator=generator, dtype=torch.float64) * spread
    errors = pixel_errors(predicted, truth[:, None])
    curve = double_loop(predicted, truth)
    for k in range(101):
        assert float(pck(errors, k)) == pytest.approx(curve[k])
    for low, high in AUC_RANGES:
        assert float(auc(errors, low, high)) == pytest.approx(sum(curve[low : high + 1]) / (high - low + 1))


def test_a_point_exactly_at_the_threshold_counts():
    errors = pixel_errors(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 1, 2))
    assert float(pck(errors, 5)) == 1
    assert float(pck(errors, 4.999)) == 0
    assert float(auc(errors, 1, 100)) == pytest.approx(0.96)


def test_auc_of_perfect_and_hopeless_predictions():
    assert float(auc(torch.zeros(4), 1, 100)) == 1
    assert float(auc(torch.full((4,), 100.5), 1, 100)) == 0
    with pytest.raises(ValueError, match="empty range"):
        auc(torch.zeros(4), 5, 4)


def test_convention_a_swapped_row_and_column_is_an_error(generator):
    """The fault of the published metric: perfect answers with axes swapped must score badly, not 0.9."""
    truth = (0.3 + 0.4 * torch.rand(500, 2, generator=generator)) * torch.tensor([640.0, 480.0])
    errors = pixel_errors(truth.flip(-1), truth[:, None])
    assert float(auc(errors, 1, 100)) < 0.3
    assert float(pck(errors, 5)) < 0.05
    cosine = torch.cosine_similarity(truth.flip(-1), truth)
    assert float(torch.stack([(1 - cosine <= k / 100).float().mean() for k in range(1, 101)]).mean()) > 0.85


def test_the_nearest_of_several_right_answers_counts():
    nan = math.nan
    answers = torch.tensor([[[0.0, 0.0], [100.0, 0.0]], [[0.0, 0.0], [nan, nan]]])
    errors = pixel_errors(torch.tensor([[97.0, 4.0], [97.0, 4.0]]), answers)
    torch.testing.assert_close(errors, torch.tensor([5.0, math.hypot(97, 4)]))
    swapped = pixel_errors(torch.tensor([[97.0, 4.0]]), answers[:1].flip(1))
    torch.testing.assert_close(swapped, errors[:1])


def test_no_answer_misses_everywhere_and_counts_with_a_diagonal():
    errors = pixel_errors(torch.tensor([[math.nan, 1.0], [3.0, 0.0]]), torch.zeros(2, 1, 2))
    assert errors[0] == torch.inf
    row = summary(point_scores(errors, diagonal=50.0))
    assert row["pck"] == {str(k): 0.5 for k in THRESHOLDS}
    assert row["mean_pixel_error"] == pytest.approx((50 + 3) / 2)
    assert row["normalized_mean_pixel_error"] == pytest.approx((1 + 0.06) / 2)


def test_a_point_without_any_right_answer_is_not_a_number():
    errors = pixel_errors(torch.zeros(1, 2), torch.full((1, 2, 2), math.nan))
    assert errors.isnan().all()


def test_no_points_give_none_not_a_number():
    row = summary(joined([]))
    assert row["n_points"] == 0
    assert row["pck"] == {str(k): None for k in THRESHOLDS}
    assert row["mean_pixel_error"] is None
    assert row["median_pixel_error"] is None
    assert finite_mean(torch.tensor([math.nan])) is None
    assert pck(torch.zeros(0), 5).isnan()


def test_lateral_error_is_the_distance_of_lifted_pixels_at_equal_depth():
    intrinsics = torch.tensor([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    uv, truth = torch.tensor([[130.0, 90.0], [1.0, 2.0]]), torch.tensor([[100.0, 50.0], [5.0, 5.0]])
    depth = torch.tensor([0.8, 0.0])
    lateral = lateral_errors(pixel_errors(uv, truth[:, None]), depth, intrinsics)
    space = point_errors(uv, depth, truth, depth, intrinsics)
    assert float(lateral[0]) == pytest.approx(50 * 0.8 / 500)
    torch.testing.assert_close(lateral, space, equal_nan=True)
    assert lateral[1].isnan()


def test_error_in_space_sees_a_wrong_depth():
    intrinsics = torch.eye(3)
    error = point_errors(
        torch.zeros(1, 2), torch.tensor([1.5]), torch.zeros(1, 2), torch.tensor([1.0]), intrinsics
    )
    assert float(error) == pytest.approx(0.5)


def test_points_without_depth_do_not_enter_the_mean_in_metres():
    intrinsics = torch.diag(torch.tensor([100.0, 100.0, 1.0]))
    known = point_scores(torch.tensor([10.0, 10.0]), 500.0, torch.tensor([1.0, 0.0]), intrinsics)
    unknown = point_scores(torch.tensor([30.0]), 500.0)
    row = summary(joined([known, unknown]))
    assert row["mean_lateral_error_m"] == pytest.approx(0.1)
    assert row["n_points"] == 3
    assert row["mean_pixel_error"] == pytest.approx(50 / 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    errors = torch.tensor([1.0, 4.0, 20.0], dtype=dtype)
    assert float(pck(errors, 5)) == pytest.approx(2 / 3, abs=1e-2)
    assert float(auc(errors, 1, 50)) == pytest.approx((50 + 47 + 31) / 150, abs=1e-2)
