"""SIFT: its features turn and scale with the image; it is good on real pictures."""

import numpy as np
import pytest
import torch

from samepoint.data.pairs import read_pairs
from samepoint.evaluation.metrics import pck, pixel_errors
from samepoint.evaluation.predictors import ChancePredictor
from samepoint.evaluation.sift import SiftPredictor, SiftSettings, best_candidate
from samepoint.evaluation.sift_features import describe, detect
from samepoint.inference.images import image_tensor


def blobs(height=120, width=160, seed=0):
    """A smooth random picture, RGB."""
    noise = torch.rand(1, 3, height // 5, width // 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=(height, width), mode="bicubic").clamp(0, 1)[0]


def grey(image):
    return (image.mean(0) * 255).round().to(torch.uint8).numpy()


def similarity(a, b):
    return float((a * b).sum(-1).mean())


def ladder(*exponents):
    return np.array([exponents])


@pytest.mark.parametrize("root", [True, False])
def test_descriptors_are_unit_vectors(root):
    uv, angles = np.array([[80.0, 60.0], [-3.0, 500.0]], np.float32), np.array([0.0, 30.0], np.float32)
    values = describe(grey(blobs()), uv, np.array([[-2, 0, 4], [1, 5, 9]]), angles, root=root)
    assert values.shape == (2, 3, 128)
    np.testing.assert_allclose(np.linalg.norm(values, axis=-1), 1, atol=1e-4)


def test_convention_a_quarter_turn_of_the_image_is_a_quarter_turn_of_the_angle():
    image = grey(blobs(129, 129))
    turned = np.ascontiguousarray(np.rot90(image))  # (u, v) goes to (v, 128 - u): counter-clockwise
    uv, to = np.array([[64.0, 50.0]], np.float32), np.array([[50.0, 64.0]], np.float32)
    upright = describe(image, uv, ladder(3), np.zeros(1, np.float32))
    found = {
        angle: similarity(upright, describe(turned, to, ladder(3), np.array([angle], np.float32)))
        for angle in (0.0, 90.0, 180.0, 270.0)
    }
    best = max(found, key=lambda angle: found[angle])
    assert found[best] > 0.98
    assert best in (90.0, 270.0)


def test_twice_the_image_is_three_thirds_of_an_octave():
    image = blobs(120, 160)
    double = torch.nn.functional.interpolate(image[None], size=(240, 320), mode="bicubic")[0].clamp(0, 1)
    uv = np.array([[70.0, 60.0]], np.float32)
    small = describe(grey(image), uv, ladder(4), np.zeros(1, np.float32))
    scores = {
        exponent: similarity(
            small, describe(grey(double), uv * 2 + 0.5, ladder(exponent), np.zeros(1, np.float32))
        )
        for exponent in (1, 4, 7, 10)
    }
    assert max(scores, key=lambda exponent: scores[exponent]) == 7
    assert scores[7] > 0.97


@pytest.mark.parametrize("exponent", [-2, 0, 1, 3, 5, 6, 9])
def test_coarse_and_fine_are_the_same_descriptor_up_to_rounding(exponent):
    uv, turn = np.array([[64.0, 48.0]], np.float32), np.array([20.0], np.float32)
    image = grey(blobs())
    coarse, fine = (describe(image, uv, ladder(exponent), turn, octave=o) for o in ("coarse", "fine"))
    assert similarity(coarse, fine) > 0.95


def test_best_candidate_equals_a_loop(generator):
    views, features = torch.rand(5, 7, 9, generator=generator), torch.rand(11, 9, generator=generator)
    score, place, view = best_candidate(views, features)
    for n in range(5):
        table = views[n] @ features.T
        assert float(score[n]) == pytest.approx(float(table.max()))
        assert (int(view[n]), int(place[n])) == divmod(int(table.argmax()), 11)


SMALL = SiftSettings(ladder=(2, 5), ratios=(0,), orientations=4, step=4)


def test_an_image_turned_and_moved_is_found_to_the_pixel():
    image = blobs(128, 160)
    turned = torch.rot90(image, 1, (1, 2))  # (u, v) goes to (v, 159 - u)
    uv = torch.tensor([[50.0, 60.0], [90.0, 40.0], [75.0, 77.0], [110.0, 90.0]])
    truth = torch.stack((uv[:, 1], 159 - uv[:, 0]), -1)
    found = SiftPredictor(SMALL).predict(image, uv, turned)
    assert (found.uv_b - truth).norm(dim=1).max() <= 2
    assert float(found.confidence.min()) > 0.8


def test_flat_images_and_no_queries():
    flat, image = torch.full((3, 40, 40), 0.5), blobs(40, 40)
    assert detect(grey(flat))[1].shape == (0, 128)
    found = SiftPredictor(SMALL).predict(image, torch.tensor([[5.0, 5.0]]), flat)
    assert found.uv_b.isfinite().all()
    assert float(found.confidence[0]) == pytest.approx(0, abs=1e-3)
    assert SiftPredictor(SMALL).predict(image, torch.zeros(0, 2), flat).uv_b.shape == (0, 2)
    detections = SiftSettings(ladder=(2,), ratios=(0,), orientations=1, detections=True)
    assert SiftPredictor(detections).predict(image, torch.tensor([[20.0, 20.0]]), image).uv_b.isfinite().all()


TURNED = SiftSettings(ratios=(0,), orientations=24, step=8, radius=6)
SMALLER = SiftSettings(ladder=(3, 6), ratios=(2, 4), orientations=12, step=6, radius=6)


@pytest.mark.parametrize(
    ("folder", "index", "settings", "least"),
    [("homography_graffiti", 0, TURNED, 0.6), ("lighting_hope", 8, SMALLER, 0.2)],
)
def test_real_pictures(realdata, generator, folder, index, settings, least):
    """PCK@5 far above chance; most points of a wall seen from 20 degrees aside are found."""
    pair = read_pairs(realdata / folder / "pairs.json").pairs[index]
    few = slice(None, None, 8)
    a, b = image_tensor(pair.image_a), image_tensor(pair.image_b)
    uv, truth = pair.uv_a[few], pair.uv_b[few, None]
    found = pixel_errors(SiftPredictor(settings).predict(a, uv, b).uv_b, truth)
    chance = pixel_errors(ChancePredictor(generator).predict(a, uv, b).uv_b, truth)
    assert float(pck(found, 5)) >= least
    assert float(pck(chance, 5)) < 0.1
