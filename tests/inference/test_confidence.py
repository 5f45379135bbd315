import pytest
import torch

from samepoint.inference.confidence import Calibration, features, fit_calibration, similarity


def draw(generator: torch.Generator, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(n, generator=generator) * 1.4 - 0.4, torch.rand(n, generator=generator)


def test_the_confidence_grows_with_score_and_mass() -> None:
    calibration = Calibration()
    score = torch.linspace(-1, 1, 9)
    by_score = calibration.confidence(score, torch.full((9,), 0.5), "cosine")
    by_mass = calibration.confidence(torch.full((9,), 0.6), torch.linspace(0, 1, 9), "cosine")
    for values in (by_score, by_mass):
        assert (values.diff() > 0).all()
        assert values.min() >= 0
        assert values.max() <= 1


def test_a_fitted_confidence_is_the_share_of_right_hits(generator: torch.Generator) -> None:
    truth = Calibration(6.0, 0.8, -2.0)
    score, mass = draw(generator, 20000)
    correct = torch.rand(20000, generator=generator) < truth.confidence(score, mass, "cosine")
    fitted = fit_calibration(score, mass, correct, "cosine")
    assert fitted.points == 20000
    assert (fitted.score_weight, fitted.mass_weight, fitted.bias) == pytest.approx((6.0, 0.8, -2.0), abs=0.3)
    confidence = fitted.confidence(score, mass, "cosine")
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (confidence >= low) & (confidence < low + 0.2)
        assert float(correct[inside].float().mean()) == pytest.approx(
            float(confidence[inside].mean()), abs=0.03
        )


def test_the_fit_is_where_the_gradient_of_a_plain_loss_vanishes(generator: torch.Generator) -> None:
    score, mass = draw(generator, 100)
    correct = torch.rand(100, generator=generator) < Calibration(4.0, 1.5, -1.0).confidence(
        score, mass, "cosine"
    )
    fitted = fit_calibration(score, mass, correct, "cosine")
    weights = torch.tensor([fitted.score_weight, fitted.mass_weight, fitted.bias], dtype=torch.float64)
    weights.requires_grad_(True)
    default = Calibration()
    prior = weights.new_tensor((default.score_weight, default.mass_weight, default.bias))
    p = torch.sigmoid(features(score, mass, "cosine") @ weights)
    assert min(fitted.score_weight, fitted.mass_weight) > 0  # no feature was dropped
    loss = torch.nn.functional.binary_cross_entropy(p, correct.double(), reduction="sum")
    (loss + 0.05 * (weights - prior).square().sum()).backward()
    assert weights.grad is not None
    assert weights.grad.abs().max() < 1e-6


def test_few_points_or_all_alike_give_finite_numbers(generator: torch.Generator) -> None:
    score, mass = draw(generator, 8)
    assert fit_calibration(score[:0], mass[:0], torch.zeros(0, dtype=torch.bool), "cosine") == Calibration()
    for right in (True, False):
        fitted = fit_calibration(score, mass, torch.full((8,), right), "cosine")
        confidence = fitted.confidence(score, mass, "cosine")
        assert torch.isfinite(confidence).all()
        assert (confidence > 0.5).float().mean() == (1.0 if right else 0.0)


def test_a_better_score_never_counts_against_a_hit(generator: torch.Generator) -> None:
    score, mass = draw(generator, 400)
    for correct in (score < 0.3, mass < 0.5, (score < 0.3) & (mass < 0.5)):
        fitted = fit_calibration(score, mass, correct, "cosine")
        assert fitted.score_weight >= 0
        assert fitted.mass_weight >= 0


def test_similarity_is_one_for_equal_descriptors() -> None:
    assert similarity(torch.tensor([1.0, 0.2]), "cosine").tolist() == pytest.approx([1.0, 0.2])
    found = similarity(torch.tensor([0.0, -0.25, -100.0]), "euclidean")
    assert found.tolist() == pytest.approx([1.0, 2 * 2.718281828**-1 - 1, -1.0])
