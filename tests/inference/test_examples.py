from dataclasses import replace

import numpy as np
import pytest
import torch

from samepoint.inference.examples import ExampleCounts, ExamplePair, build_examples, calibrate
from samepoint.inference.projection import ColourProjection
from samepoint.inference.settings import FinderSettings
from samepoint.types import CellMap, DescriptorMap

SETTINGS = FinderSettings(max_size=80)


def make_pair(scene, shift: float, wrong: float = 0.0, **changes) -> ExamplePair:
    """A pair whose truth is off by `wrong` pixels, so that its error is known."""
    uv = np.array([[60.0, 40.0], [80.0, 70.0], [100.0, 60.0]])
    a, b = scene((120, 160)), scene((120, 160), (shift, 0.0))
    return ExamplePair(a, b, uv, uv - (shift, wrong), caption=f"pair {wrong}", **changes)


def test_the_best_and_the_worst_pairs_are_chosen_and_none_twice(make_network, scene) -> None:
    pairs = [make_pair(scene, 3.0 + i, wrong=5.0 * i) for i in range(5)]
    counts = ExampleCounts(successes=2, failures=2, queries=2, targets=3, descriptors=4, points=2)
    examples = build_examples(make_network(), pairs, SETTINGS, counts)
    assert [p.caption for p in examples.successes] == ["pair 0.0", "pair 5.0"]
    assert [p.caption for p in examples.failures] == ["pair 20.0", "pair 15.0"]
    for picture in (*examples.successes, *examples.failures):
        true_error = float(picture.caption.split()[1])
        assert picture.error == pytest.approx(true_error, abs=0.7)
        assert picture.uv_a.shape == picture.uv_true.shape == picture.uv_found.shape == (2, 2)
        assert np.linalg.norm(picture.uv_found - picture.uv_true, axis=1) == pytest.approx(picture.error)
    assert [len(query.targets) for query in examples.queries] == [3, 3]
    own, *others = examples.queries[0].targets
    assert own.error is not None
    assert own.heat.shape == (120, 160)
    v, u = np.unravel_index(own.heat.argmax(), own.heat.shape)
    assert np.hypot(u - own.uv_found[0], v - own.uv_found[1]) < 2.5
    assert all(other.uv_true is None and other.error is None for other in others)
    assert len(examples.descriptors) == 4


def test_few_pairs_are_split_and_none_give_nothing(make_network, scene) -> None:
    two = build_examples(make_network(), [make_pair(scene, 2.0), make_pair(scene, 3.0, 9.0)], SETTINGS)
    assert ([p.caption for p in two.successes], [p.caption for p in two.failures]) == (
        ["pair 0.0"],
        ["pair 9.0"],
    )
    unseen = make_pair(scene, 2.0, visible=np.zeros(3, dtype=bool))
    nothing = build_examples(make_network(), [unseen], SETTINGS)
    assert nothing.successes == nothing.failures == nothing.queries == nothing.descriptors == ()


def test_points_that_cannot_be_seen_are_not_shown(make_network, scene) -> None:
    pair = make_pair(scene, 2.0, visible=np.array([True, False, True]))
    examples = build_examples(make_network(), [pair], SETTINGS)
    (picture,) = (*examples.successes, *examples.failures)
    assert sorted(picture.uv_a[:, 0].tolist()) == [60.0, 100.0]


def test_the_nearest_of_several_right_answers_counts(make_network, scene) -> None:
    pair = make_pair(scene, 2.0, wrong=30.0)
    none, right = np.zeros((0, 2)), np.add(pair.uv_b, (0.0, 30.0))
    pair = replace(pair, alternatives=[none, np.stack((right[1] + 50, right[1])), right[2:]])
    examples = build_examples(make_network(), [pair], SETTINGS)
    (picture,) = (*examples.successes, *examples.failures)
    assert picture.error == pytest.approx([0.0, 0.0, 30.0], abs=0.7)
    assert np.linalg.norm(picture.uv_found - picture.uv_true, axis=1) == pytest.approx(picture.error)


def test_calibration_tells_pairs_with_the_object_from_those_without(make_network, make_finder, scene) -> None:
    good = [make_pair(scene, float(i)) for i in range(4)]
    blue = scene((120, 160), blue=1.0)
    hidden = np.zeros(3, dtype=bool)
    bad = [ExamplePair(p.image_a, blue, p.uv_a, p.uv_b, hidden) for p in good]
    calibration = calibrate(make_network(), good + bad, SETTINGS)
    assert calibration.points == 24
    finder = make_finder(max_size=80, calibration=calibration)
    finder.remember("point", scene((120, 160)), (60.0, 40.0))
    assert finder.find(scene((120, 160), (7.0, 0.0)))["point"].confidence > 0.8
    assert finder.find(blue)["point"].confidence < 0.2


def test_equal_descriptors_have_equal_colours_in_every_image(generator: torch.Generator) -> None:
    cells = CellMap((4.0, 4.0), (1.5, 1.5))
    maps = [
        DescriptorMap(torch.randn(1, 5, 3, 4, generator=generator), cells, (12, 16), "euclidean")
        for _ in "ab"
    ]
    maps[1].values[0, :, 2, 1] = maps[0].values[0, :, 0, 3]
    projection = ColourProjection.fit(maps)
    for map in maps:
        image = projection.colours(map)[0]
        assert image.shape == (12, 16, 3)
        assert image.min() >= 0
        assert image.max() <= 1
        assert image.std() > 0.05
    small = DescriptorMap(maps[0].values[:, :, :1, 3:4], CellMap((4.0, 4.0), (1.5, 1.5)), (4, 4), "euclidean")
    other = DescriptorMap(
        maps[1].values[:, :, 2:3, 1:2], CellMap((4.0, 4.0), (1.5, 1.5)), (4, 4), "euclidean"
    )
    assert torch.equal(projection.colours(small), projection.colours(other))


@pytest.mark.parametrize("dim", [1, 2, 3, 8])
def test_colours_for_any_length_and_for_constant_descriptors(generator: torch.Generator, dim: int) -> None:
    map = DescriptorMap(
        torch.randn(2, dim, 3, 4, generator=generator), CellMap((4.0, 4.0), (1.5, 1.5)), (12, 16)
    )
    assert torch.isfinite(ColourProjection.fit([map]).colours(map)).all()
    flat = DescriptorMap(torch.ones(1, dim, 3, 4), CellMap((4.0, 4.0), (1.5, 1.5)), (12, 16))
    assert ColourProjection.fit([flat]).colours(flat).std() < 1e-3
