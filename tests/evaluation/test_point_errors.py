"""Errors of 3-D keypoints beside loops a student could have written."""

import json
import math
import statistics
from dataclasses import fields

import numpy as np
import pytest
import torch

from samepoint.evaluation.point_errors import CHI_SQUARED_95, PointErrors, deviation, mahalanobis_inside

NAN = float("nan")


def made(moments, cameras, keypoints, seed, missing=0.3):
    """Random errors of which some are not known."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        values = torch.rand(shape, generator=generator)
        return values.masked_fill(torch.rand(shape, generator=generator) < missing, NAN)

    asked = torch.rand((moments, keypoints), generator=generator) < 0.8
    metres = drawn(moments, keypoints).masked_fill(~asked, NAN)
    inside = torch.rand((moments, keypoints), generator=generator) < 0.5
    own, agreed = 9 * drawn(moments, cameras, keypoints), 9 * drawn(moments, cameras, keypoints)
    visible = torch.rand((moments, keypoints), generator=generator) < 0.8
    stated = drawn(moments, keypoints)
    return PointErrors(own, agreed, metres, inside & metres.isfinite(), asked, visible, stated)


def summary_twin(parts):
    """From lists of numbers."""
    own, agreed, mm, inside, sure, stated, asked = [], [], [], [], [], [], 0
    for errors in parts:
        own += [x for x in errors.pixels.flatten().tolist() if not math.isnan(x)]
        agreed += [x for x in errors.agreed.flatten().tolist() if not math.isnan(x)]
        columns = (errors.metres, errors.inside, errors.asked, errors.visible, errors.stated)
        for metres, within, wanted, visible, deviates in zip(*(x.flatten().tolist() for x in columns)):
            asked += wanted
            if not math.isnan(metres):
                mm.append(1000 * metres)
                inside.append(within)
                sure += [1000 * metres] if visible else []
                stated += [] if math.isnan(deviates) else [1000 * deviates]
    ordered, place = sorted(mm), 0.95 * (len(mm) - 1)
    low = int(place)
    high = min(low + 1, len(mm) - 1)
    return {
        "rms_pixels": math.sqrt(sum(x * x for x in own) / len(own)),
        "median_pixels": statistics.median(own),
        "rms_agreed_pixels": math.sqrt(sum(x * x for x in agreed) / len(agreed)),
        "median_agreed_pixels": statistics.median(agreed),
        "median_mm": statistics.median(mm),
        "mean_mm": statistics.fmean(mm),
        "mm_95": ordered[low] + (place - low) * (ordered[high] - ordered[low]),
        "covered": sum(inside) / len(inside),
        "found": len(mm) / asked,
        "visible": len(sure) / asked,
        "visible_median_mm": statistics.median(sure),
        "stated_mm": statistics.median(stated),
        "n_points": asked,
        "n_places": len(own),
    }


@pytest.mark.parametrize("seed", range(3))
def test_a_summary_is_what_loops_over_the_known_values_give(seed):
    errors = made(7, 3, 4, seed)
    assert errors.summary() == pytest.approx(summary_twin([errors]), rel=1e-5)
    for i in range(4):
        column = PointErrors(*(getattr(errors, field.name)[..., i : i + 1] for field in fields(errors)))
        assert errors.of(i).summary() == pytest.approx(summary_twin([column]), rel=1e-5)


def test_joined_parts_may_have_other_numbers_of_cameras():
    parts = [made(3, 2, 4, 0), made(1, 5, 4, 1), made(4, 3, 4, 2)]
    joined = PointErrors.joined(parts)
    assert joined.pixels.shape == joined.agreed.shape == (8, 5, 4)
    assert joined.summary() == pytest.approx(summary_twin(parts), rel=1e-5)
    assert joined.pixels[:3, 2:].isnan().all()


def test_what_nobody_knows_is_none_and_can_be_written_as_json():
    unknown = torch.full((2, 3, 1), NAN)
    nowhere = torch.zeros(2, 1, dtype=torch.bool)
    summary = PointErrors(unknown, unknown, unknown[:, 0], nowhere, nowhere, nowhere, unknown[:, 0]).summary()
    assert {key: value for key, value in summary.items() if value is not None} == {
        "n_points": 0,
        "n_places": 0,
    }
    json.dumps(summary, allow_nan=False)
    lost = PointErrors(unknown, unknown, unknown[:, 0], nowhere, ~nowhere, nowhere, unknown[:, 0]).summary()
    assert (lost["found"], lost["visible"]) == (0.0, 0.0)
    assert all(lost[key] is None for key in ("median_mm", "covered", "visible_median_mm", "stated_mm"))


def test_the_stated_deviation_is_that_of_an_axis():
    round_one = 0.003**2 * torch.eye(3)
    stated = deviation(
        torch.stack((round_one, torch.diag(torch.tensor([27.0, 0, 0])), NAN * round_one))[None]
    )
    torch.testing.assert_close(stated, torch.tensor([[0.003, 3.0, NAN]]), equal_nan=True)


def test_the_ellipsoid_of_a_gaussian_holds_95_percent_of_it():
    generator = torch.Generator().manual_seed(0)
    factor = torch.tensor([[0.01, 0.0, 0.0], [0.004, 0.002, 0.0], [-0.03, 0.001, 0.05]], dtype=torch.float64)
    error = torch.randn(4000, 2, 3, generator=generator, dtype=torch.float64) @ factor.T
    covariance = (factor @ factor.T).expand(4000, 2, 3, 3)
    held = mahalanobis_inside(error, covariance).double().mean()
    assert float(held) == pytest.approx(0.95, abs=0.02)
    assert float(mahalanobis_inside(error, covariance / 4).double().mean()) < 0.7
    assert float(mahalanobis_inside(error, covariance * 4).double().mean()) > 0.99


def test_inside_is_the_distance_by_numpy_and_false_where_something_is_unknown():
    generator = np.random.default_rng(1)
    error, factor = generator.normal(size=(5, 3, 3)), generator.normal(size=(5, 3, 3, 3))
    covariance = factor @ factor.transpose(0, 1, 3, 2)
    error[0, 1, 2], covariance[2, 0, 1, 1] = NAN, NAN
    inside = mahalanobis_inside(torch.from_numpy(error), torch.from_numpy(covariance))
    for m in range(5):
        for n in range(3):
            distance = error[m, n] @ np.linalg.pinv(np.nan_to_num(covariance[m, n])) @ error[m, n]
            known = (m, n) not in ((0, 1), (2, 0))
            assert bool(inside[m, n]) == (known and distance <= CHI_SQUARED_95)


def test_a_long_thin_ellipsoid_and_a_flat_one():
    """Of a point that two nearly parallel rays leave open; single precision would find the first one singular."""
    thin = torch.diag(torch.tensor([1e4, 1e-8, 1e-8]))
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    covariance = torch.stack((turn @ thin @ turn.T, torch.zeros(3, 3)))[None]
    assert mahalanobis_inside(turn[:, 0].expand(1, 2, 3), covariance).tolist() == [[True, False]]
