"""Predictions files: round trip, other programs' files, refusals."""

import json
import math

import pytest
import torch

from samepoint.errors import DataError
from samepoint.evaluation.predictions import (
    PairPrediction,
    Predictions,
    pairs_sha256,
    predict_pairs,
    read_predictions,
    write_predictions,
)
from samepoint.evaluation.predictors import ChancePredictor, Prediction


def chance():
    return ChancePredictor(torch.Generator().manual_seed(0))


def test_written_predictions_are_read_back(make_pairs, tmp_path):
    file = make_pairs()
    made = predict_pairs(chance(), file)
    write_predictions(tmp_path / "out.json", made)
    read = read_predictions(tmp_path / "out.json", file)
    assert (read.predictor, read.pairs_sha256, read.config) == ("chance", pairs_sha256(file), made.config)
    for a, b in zip(made.pairs, read.pairs):
        torch.testing.assert_close(a.uv_b, b.uv_b, atol=1e-4, rtol=0)
        torch.testing.assert_close(a.confidence, b.confidence)


def test_no_answer_and_unknown_confidence_survive_the_file(make_pairs, tmp_path):
    file = make_pairs(1)
    uv, confidence = torch.ones(12, 2), torch.ones(12)
    uv[3], confidence[4] = math.nan, math.nan
    write_predictions(tmp_path / "out.json", Predictions("x", (PairPrediction(uv, confidence),)))
    read = read_predictions(tmp_path / "out.json", file).pairs[0]
    assert read.uv_b.isnan().all(1).nonzero().tolist() == [[3]]
    assert read.confidence.isnan().nonzero().tolist() == [[4]]
    assert read.closer_fraction is None


class Recorder:
    """Answers with the image sizes; remembers the order of the images it was shown."""

    name = "recorder"

    def __init__(self):
        self.shown, self.config = [], {}

    def predict(self, image_a, uv_a, image_b):
        self.shown.append(float(image_b.sum()))
        return Prediction(uv_a * 0 + image_b.sum() / 1e4)


def test_answers_keep_the_order_of_the_file_although_pairs_are_visited_by_image(make_pairs):
    file = make_pairs(3)
    mixed = type(file)(file.root, tuple(file.pairs[i] for i in (2, 0, 1, 0)))
    recorder = Recorder()
    made = predict_pairs(recorder, mixed)
    values = [float(pair.uv_b[0, 0]) for pair in made.pairs]
    assert values[1] == values[3] != values[0]
    assert recorder.shown[0] == recorder.shown[1]
    assert values[0] == pytest.approx(recorder.shown[3] / 1e4)


def test_progress_is_reported(make_pairs):
    seen = []
    predict_pairs(chance(), make_pairs(3), progress=lambda done, all: seen.append((done, all)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def minimal(file, **changes):
    entry = {"uv_b": [[1, 2]] * 12}
    return {
        "format": "samepoint-predictions",
        "version": 1,
        "pairs": [dict(entry) for _ in file.pairs],
        **changes,
    }


def test_another_programs_file_needs_only_points(make_pairs, tmp_path):
    file = make_pairs(2)
    (tmp_path / "other.json").write_text(json.dumps(minimal(file)))
    read = read_predictions(tmp_path / "other.json", file)
    assert read.predictor == "other"
    assert read.pairs[0].confidence is None
    assert read.pairs[1].uv_b.tolist()[0] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs_sha256": "0" * 64}, "made for other pairs"),
        ({"format": "something"}, "is not a predictions file"),
        ({"version": 2}, "version 2"),
        ({"pairs": [{"uv_b": []}]}, "has 1 pairs but the pairs file 2"),
        ({"pairs": None}, "has no list of pairs"),
        ({"pairs": [{"uv_b": [[1, 2]]}] * 2}, "pair 0: has 1 points, not 12"),
        ({"pairs": [{"uv_b": [[1, 2, 3]] * 12}] * 2}, r"a point is not \[u, v\]"),
        ({"pairs": [{"uv_b": [["x", 2]] * 12}] * 2}, "no number"),
        ({"pairs": [{"uv_b": [[1, 2]] * 12, "confidence": [1]}] * 2}, "confidence: is not a list of 12"),
        ({"pairs": [7, 8]}, 'has no list "uv_b"'),
    ],
)
def test_files_that_do_not_fit_are_refused_with_one_line(make_pairs, tmp_path, changes, message):
    file = make_pairs(2)
    (tmp_path / "bad.json").write_text(json.dumps(minimal(file, **changes)))
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(tmp_path / "bad.json", file)
    assert "bad.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_hash_follows_the_content(make_pairs):
    file = make_pairs(2)
    again, other = make_pairs(2), make_pairs(2, visible_b=torch.zeros(12, dtype=torch.bool))
    assert pairs_sha256(file) == pairs_sha256(again) != pairs_sha256(other)
    swapped = type(file)(file.root, file.pairs[::-1])
    assert pairs_sha256(swapped) != pairs_sha256(file)
