"""The evaluation JSON: its exact form, and what counts where."""

import json
import math

import pytest
import torch

from samepoint.data.pairs import PairsFile
from samepoint.errors import DataError
from samepoint.evaluation.evaluate import EvaluationSettings, default_baselines, evaluate, read_evaluation
from samepoint.evaluation.network_predictor import NetworkPredictor
from samepoint.evaluation.predictions import PairPrediction, Predictions, read_predictions
from samepoint.evaluation.predictors import ChancePredictor, Prediction, SamePixelPredictor
from samepoint.evaluation.tables import evaluation_table
from samepoint.models.config import NetworkConfig

DESIGN = {
    "pck",
    "auc_1_100",
    "auc_1_50",
    "mean_pixel_error",
    "normalized_mean_pixel_error",
    "n_points",
    "n_pairs",
}
QUICK = EvaluationSettings(resamples=200)


class Shift:
    """Moves every query; right with (6, 3)."""

    def __init__(self, u, v, name="shift"):
        self.move, self.name, self.config = torch.tensor([u, v]), name, {}

    def predict(self, image_a, uv_a, image_b):
        return Prediction(uv_a + self.move, -(uv_a[:, 0] - 20).abs())


def chance():
    return ChancePredictor(torch.Generator().manual_seed(0))


def test_the_json_has_the_fields_of_the_stable_interface(make_pairs, tmp_path):
    evaluation = evaluate(Shift(6.0, 3.0), make_pairs(), {"chance": chance()}, QUICK, {"run": "demo"})
    evaluation.write(tmp_path / "evaluation.json")
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(content) >= DESIGN
    assert set(content) - DESIGN == {
        "format", "version", "predictor", "config", "median_pixel_error", "intervals", "regions", "objects",
        "visibility", "closer_fraction", "baselines", "per_pair", "provenance",
    }  # fmt: skip
    assert list(content["pck"]) == ["3", "5", "10", "25", "50"]
    assert content["pck"]["3"] == content["auc_1_100"] == 1.0
    assert content["mean_pixel_error"] == pytest.approx(0, abs=1e-4)
    assert (content["n_points"], content["n_pairs"]) == (48, 4)
    assert set(content["baselines"]["chance"]) >= DESIGN
    assert set(content["baselines"]["chance"]["expected"]) == {"pck", "auc_1_100", "auc_1_50"}
    assert content["provenance"]["run"] == "demo"
    assert len(content["provenance"]["pairs_sha256"]) == 64
    assert [row["n_points"] for row in content["per_pair"]] == [12] * 4
    assert read_evaluation(tmp_path / "evaluation.json") == content


def test_the_normalised_error_is_divided_by_the_diagonal_of_b(make_pairs):
    row = evaluate(Shift(6.0, 13.0), make_pairs(), settings=QUICK).row
    assert row["mean_pixel_error"] == pytest.approx(10, abs=1e-3)
    assert row["normalized_mean_pixel_error"] == pytest.approx(10 / math.hypot(64, 96), abs=1e-5)


@pytest.mark.parametrize(("error", "within"), [(9.99, 1.0), (10.0, 1.0), (10.01, 0.0)])
def test_points_within_10_pixels_count_and_those_beyond_do_not(make_pairs, error, within):
    file = make_pairs()
    for pair in file.pairs:
        pair.uv_b.round_()  # whole pixels, so that 10 is 10 to the last bit
    answers = tuple(PairPrediction(pair.uv_b + torch.tensor([0.0, error])) for pair in file.pairs)
    row = evaluate(Predictions("x", answers), file, settings=QUICK).row
    assert row["pck"] == {"3": 0.0, "5": 0.0, "10": within, "25": 1.0, "50": 1.0}


def test_intervals_hold_the_value_and_are_single_points_when_all_pairs_agree(make_pairs):
    row = evaluate(chance(), make_pairs(8), settings=QUICK).row
    low, high = row["intervals"]["mean_pixel_error"]
    assert low < row["mean_pixel_error"] < high
    sure = evaluate(Shift(6.0, 3.0), make_pairs(8), settings=QUICK).row
    assert sure["intervals"]["pck"]["5"] == [1.0, 1.0]


def test_hidden_points_count_for_visibility_and_not_for_pck(make_pairs):
    hidden = torch.arange(12) % 3 == 0
    file = make_pairs(visible_b=~hidden)
    answers = []
    for pair in file.pairs:
        uv = pair.uv_b.clone()
        uv[hidden] += 30
        answers.append(PairPrediction(uv, (~hidden).float()))
    row = evaluate(Predictions("x", tuple(answers)), file, settings=EvaluationSettings(threshold=0.5)).row
    assert row["pck"]["3"] == 1.0
    assert row["n_points"] == 32
    assert row["visibility"] == {
        "n_visible": 32,
        "n_hidden": 16,
        "auroc": 1.0,
        "average_precision": 1.0,
        "threshold": 0.5,
        "accuracy": 1.0,
    }
    assert row["regions"]["occluded"]["n_points"] == 16
    assert row["regions"]["occluded"]["pck"]["25"] == 0.0


def test_points_hidden_outside_the_frame_are_not_occluded(make_pairs):
    file = make_pairs(1, visible_b=torch.arange(12) > 0)
    pair = file.pairs[0]
    pair.uv_b[0] = math.nan
    row = evaluate(Shift(6.0, 3.0), file, settings=QUICK).row
    assert "occluded" not in row["regions"]
    assert row["visibility"]["n_hidden"] == 1


def test_regions_and_objects_split_the_points(make_pairs):
    region = tuple("boundary" if i < 4 else "inside" if i < 10 else None for i in range(12))
    names = tuple(1 if i % 2 else "mug" for i in range(12))
    file = make_pairs(region=region, object=names)
    moved = torch.zeros(12, 2)
    moved[:4, 0] = 20
    answers = Predictions("x", tuple(PairPrediction(pair.uv_b + moved) for pair in file.pairs))
    row = evaluate(answers, file, settings=QUICK).row
    assert row["regions"]["boundary"]["mean_pixel_error"] == pytest.approx(20)
    assert row["regions"]["inside"]["mean_pixel_error"] == 0
    assert (row["regions"]["boundary"]["n_points"], row["regions"]["inside"]["n_points"]) == (16, 24)
    assert {name: entry["n_points"] for name, entry in row["objects"].items()} == {"1": 24, "mug": 24}


def test_alternatives_are_right_answers(make_pairs):
    plain = make_pairs()
    other = make_pairs(alternatives_b=tuple(torch.full((i % 3, 2), 5.0) for i in range(12)))
    answers = tuple(PairPrediction(torch.full((12, 2), 5.0)) for _ in plain.pairs)
    without = evaluate(Predictions("x", answers), plain, settings=QUICK).row
    row = evaluate(Predictions("x", answers), other, settings=QUICK).row
    assert without["pck"]["3"] < 0.2
    assert row["pck"]["3"] == pytest.approx(8 / 12, abs=0.1)


def test_metres_need_depth_and_a_camera(make_pairs):
    camera = torch.tensor([[400.0, 0, 48], [0, 400.0, 32], [0, 0, 1]])
    row = evaluate(
        Shift(6.0, 7.0), make_pairs(depth_b=torch.full((12,), 0.5), intrinsics_b=camera), settings=QUICK
    ).row
    assert row["mean_lateral_error_m"] == pytest.approx(4 * 0.5 / 400, rel=1e-3)
    assert "mean_lateral_error_m" not in evaluate(Shift(6.0, 7.0), make_pairs(), settings=QUICK).row


def test_pairs_without_visible_points_are_refused(make_pairs):
    file = make_pairs(visible_b=torch.zeros(12, dtype=torch.bool))
    for nothing in (file, PairsFile(file.root, ())):
        with pytest.raises(DataError, match="no visible points"):
            evaluate(Shift(0.0, 0.0), nothing, settings=QUICK)


def test_a_pair_without_points_changes_nothing(make_pairs):
    file = make_pairs(3)
    one = file.pairs[0]
    empty = type(one)(one.image_a, one.image_b, torch.zeros(0, 2), torch.zeros(0, 2))
    row = evaluate(Shift(0.0, 0.0), PairsFile(file.root, (*file.pairs, empty)), settings=QUICK)
    plain = evaluate(Shift(0.0, 0.0), file, settings=QUICK)
    assert row.row["pck"] == plain.row["pck"]
    assert row.per_pair[3]["pck"]["5"] is None


def test_the_best_of_several_variants_counts_and_all_are_listed(make_pairs):
    variants = [Shift(60.0, 0.0, "bad"), Shift(6.0, 4.0, "good"), Shift(0.0, 0.0, "poor")]
    row = evaluate(Shift(0.0, 0.0), make_pairs(), {"sift": variants}, QUICK).baselines["sift"]
    assert row["predictor"] == "good"
    assert set(row["variants"]) == {"bad", "good", "poor"}


def test_what_is_unavailable_stays_in_the_table(make_pairs):
    evaluation = evaluate(
        Shift(6.0, 3.0),
        make_pairs(),
        {"dinov2": "unavailable: no weights", "same": SamePixelPredictor()},
        QUICK,
    )
    assert evaluation.to_json()["baselines"]["dinov2"] == {"unavailable": "no weights"}
    table = evaluation_table(evaluation.to_json())
    assert "unavailable: no weights" in table
    assert table.splitlines()[1].split()[:2] == ["shift", "1.000"]
    assert "48 points in 4 pairs" in table


def test_exported_predictions_score_the_same(make_pairs, tmp_path):
    file = make_pairs()
    settings = EvaluationSettings(resamples=200, predictions=tmp_path / "out")
    direct = evaluate(chance(), file, {"a b": Shift(1.0, 1.0, "a b")}, settings)
    again = evaluate(read_predictions(tmp_path / "out" / "chance.json", file), file, settings=QUICK)
    assert again.row["pck"] == direct.row["pck"]
    assert (tmp_path / "out" / "a_b.json").is_file()


def test_a_network_with_rankings(make_pairs):
    config = {"network": NetworkConfig(dim=8).to_json(), "max_size": 64}
    baselines = default_baselines(config)
    assert {"chance", "same_pixel", "sift", "untrained", "dinov2"} <= set(baselines)
    row = evaluate(baselines["untrained"], make_pairs(2), settings=QUICK).row
    assert 0 <= row["closer_fraction"]["mean"] <= 1
    assert row["closer_fraction"]["n_points"] == 24
    without = evaluate(baselines["untrained"], make_pairs(2), settings=EvaluationSettings(closer=False)).row
    assert without["closer_fraction"] is None


def test_what_a_run_started_from_is_a_row(tmp_path):
    """samepoint-small or another run: a table without it would flatter the training."""
    network = NetworkConfig().to_json()
    found = default_baselines({"network": network, "init": "pretrained", "max_size": 64})
    assert isinstance(found["start"], NetworkPredictor)
    assert found["start"].name == "start"
    assert "start" not in default_baselines({"network": network, "init": "random", "max_size": 64})
    shorter = NetworkConfig(dim=8).to_json()  # its last layer begins with random weights
    assert "start" not in default_baselines({"network": shorter, "init": "pretrained", "max_size": 64})
    gone = default_baselines({"network": network, "init": str(tmp_path / "gone"), "max_size": 64})
    assert gone["start"].startswith("unavailable: the run it started from cannot be read")


def test_other_json_is_no_evaluation(tmp_path):
    (tmp_path / "x.json").write_text('{"pck": {}}')
    with pytest.raises(DataError, match="is not an evaluation"):
        read_evaluation(tmp_path / "x.json")
