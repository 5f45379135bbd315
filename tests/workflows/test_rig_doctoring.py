"""The doctor, the summary of labels and static ranges on recordings of several cameras, by the command line."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import cv2
import pytest
from tests.data.rig.synthetic import make_rig

from samepoint.cli.main import run


@pytest.fixture
def sound(tmp_path):
    root = tmp_path / "data"
    make_rig(0, moments=4, keypoints=2).write(root / "train")
    make_rig(1, moments=3, keypoints=2).write(root / "test")
    return root


def test_a_sound_data_set_passes(sound, tmp_path, capsys):
    assert run(["data", "doctor", str(sound), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for part in (
        "ok    calibration",
        "ok    labels",
        "ok    keypoints",
        "examined 2 recordings",
        "nothing is at fault",
    ):
        assert part in printed
    assert "[]" not in printed
    written = json.loads((tmp_path / "out/doctor.json").read_text())
    assert written["consistent"]
    assert written["pictures"] == ["test.png", "train.png"]
    for name in written["pictures"]:
        assert cv2.imread(str(tmp_path / "out" / name)).std() > 10


def test_a_fault_is_printed_with_what_mends_it(tmp_path, capsys):
    root = make_rig(0, moments=6).named({"front": "left", "left": "front"}).write(tmp_path / "run_7")
    assert run(["data", "doctor", str(root), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "FAULT calibration   the calibrations of front and left are exchanged" in printed
    assert "mend: exchange their names in the calibration" in printed
    assert "AT FAULT: calibration" in printed
    assert (tmp_path / "out/run_7.png").is_file()


def test_a_recording_without_labels_is_examined_as_far_as_it_goes(tmp_path, capsys):
    root = make_rig(0, moments=3).clicked(lambda m, c, k, uv: None).write(tmp_path / "data")
    assert run(["data", "doctor", str(root), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "ok    cameras       4 cameras, all apart" in printed
    assert "ok    images        3 moments, all seen by 4 cameras" in printed
    assert json.loads((tmp_path / "out/doctor.json").read_text())["pictures"] == []


def test_info(sound, capsys):
    (sound / "train/still.csv").write_text("first,last\n000000,000001\n")
    assert run(["data", "info", str(sound)]) == 0
    lines = dict(
        line.split(None, 1) for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1
    )
    printed = {key: value.strip() for key, value in lines.items()}
    assert printed["moments"] == "7"
    assert printed["labelled"] == "moments     7"
    assert printed["static"] == "ranges        1"
    assert printed["cameras"] == "front: 7, left: 7, back: 7, right: 7"
    assert printed["keypoints"] == "ear, nose"


def test_labels_are_summarised_written_and_spread(tmp_path, capsys):
    rig = make_rig(0, moments=5, keypoints=2, noise=0.3)
    rig = rig.clicked(lambda m, c, k, uv: uv if m == "000001" and c in ("front", "back") else None)
    root = rig.write(tmp_path / "train")
    out = tmp_path / "seen.csv"
    assert run(["data", "labels", str(root), "--still", "000000", "000003", "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "nothing moves from 000000 to 000003: written to still.csv"
    assert printed[1].split() == ["keypoint", "clicked", "3-D", "points", "views", "median", "error"]
    name, clicked, points, views, error, unit = printed[2].split()
    assert (name, clicked, points, views, unit) == ("nose", "1", "4", "2", "px")
    assert 0 < float(error) < 1
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == ["moment", "camera", "keypoint", "u", "v"]
    assert {row["moment"] for row in rows} == {f"{m:06d}" for m in range(4)}
    assert {row["camera"] for row in rows} == {"front", "left", "back", "right"}
    assert printed[-1] == f"wrote {len(rows)} labels to {out}"
    assert (root / "still.csv").read_text() == "first,last\n000000,000003\n"


def test_labels_of_several_recordings_are_summarised_only(sound, tmp_path, capsys):
    assert run(["data", "labels", str(sound)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["nose", "7", "7", "4"]
    for more in (["--out", str(tmp_path / "x.csv")], ["--still", "000000", "000001"]):
        assert run(["data", "labels", str(sound), *more]) == 2
        assert "holds 2 recordings; give the folder of one of them: test, train" in capsys.readouterr().err


def test_labels_of_a_data_set_that_has_none(tmp_path, capsys):
    root = replace(make_rig(0, moments=2), clicks={}).write(tmp_path / "train")
    assert run(["data", "labels", str(root)]) == 2
    assert "no keypoint is labelled" in capsys.readouterr().err
