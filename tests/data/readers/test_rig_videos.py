"""Cameras of a rig as videos: which frames are one moment, what is said of those left out, which file is blamed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.data.rig.synthetic import click, make_rig, write_blank

from samepoint.data.readers.multi_camera import read_multi_camera
from samepoint.data.rig.anipose import write_calibration
from samepoint.data.rig.checks import check_dataset
from samepoint.data.rig.tables import LABELS, write_table
from samepoint.errors import DataError


def write_video(path, rate, levels):
    """A grey level a frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (64, 64))
    for level in levels:
        writer.write(np.full((64, 64, 3), level, np.uint8))
    writer.release()


@pytest.fixture
def moving(tmp_path):
    """Makes three cameras that film moving points, clicked in each at its frames `clicked`, and reads them."""
    cameras = make_rig(number=3).cameras[""]

    def make(rates, counts, clicked=(), true_rates=None):
        folder = tmp_path / "rig"
        folder.mkdir()
        write_calibration(folder / "calibration.toml", cameras)
        rows = []
        for name, rate, count in zip(cameras, rates, counts):
            write_video(folder / f"{name}.avi", rate, np.linspace(40, 220, count))
            for frame in clicked:
                time = frame / dict(zip(cameras, true_rates or rates))[name]
                points = {"t": {k: 0.12 * np.array([np.cos(20 * time + k), np.sin(20 * time + 2 * k), 0.3 * k])
                                for k in range(3)}}  # fmt: skip
                seen = click({name: cameras[name]}, points, np.random.default_rng(0))["t"][name]
                rows += [(f"{frame:06d}", name, f"k{k}", *uv) for k, uv in seen.items()]
        write_table(folder / "labels.csv", LABELS, rows)
        return folder

    return make


def opened(folder):
    return read_multi_camera(folder, cache_dir=folder.parent / "cache")


def frames_of(dataset):
    return [
        {view.camera: int(view.image.stem) for view in moment.views}
        for moment in dataset.recordings[0].moments
    ]


def verdicts(dataset):
    return {finding.check: finding for finding in check_dataset(dataset)}


def test_videos_of_one_rate_are_paired_by_number(moving):
    dataset = opened(moving((30, 30, 30), (6, 6, 6)))
    assert frames_of(dataset) == [dict.fromkeys(("front", "left", "back"), k) for k in range(6)]
    assert dataset.notes == ()
    assert dataset.recordings[0].moments[3].times["left"] == pytest.approx(0.1, abs=1e-3)


def test_a_video_of_another_rate_is_paired_by_time(moving):
    """A click counts for the frame it was made on: calibration and labels fit."""
    dataset = opened(moving((30, 60, 30), (12, 24, 12), clicked=(0, 4, 8)))
    assert frames_of(dataset) == [{"front": k, "left": 2 * k, "back": k} for k in range(12)]
    (note,) = dataset.notes
    assert "front.avi and back.avi 30 frames a second, left.avi 60" in note
    assert "not used are 12 of the 24 frames of left.avi" in note
    found = verdicts(dataset)
    assert {found[check].verdict for check in ("calibration", "clocks")} == {"right"}
    assert set(dataset.recordings[0].moments[2].clicks) == {"left"}  # its frame 4


def test_as_many_frames_at_another_rate(moving):
    dataset = opened(moving((30, 60, 30), (12, 12, 12)))
    assert frames_of(dataset)[5:7] == [{"front": 5, "left": 10, "back": 5}, {"front": 6, "back": 6}]
    assert dataset.notes[1] == "left.avi has no frame of 6 of 12 moments"


def test_labels_of_frames_between_moments_are_counted(moving):
    dataset = opened(moving((30, 60, 30), (12, 24, 12), clicked=(1,)))
    assert any("3 labels are not used: their frames (000001 of left, ...)" in note for note in dataset.notes)


def test_a_rate_that_is_written_wrongly_is_blamed_and_not_the_calibration(moving):
    """Triggered together, and one file says 60."""
    folder = moving((30, 60, 30), (12, 12, 12), clicked=(0, 2, 4, 6, 8, 10), true_rates=(30, 30, 30))
    found = verdicts(opened(folder))
    assert found["frame times"].verdict == "fault"
    assert "left" in found["frame times"].sentence
    assert found["calibration"].verdict == "undecided"
    calibration = folder / "calibration.toml"
    calibration.write_text(calibration.read_text().replace("[metadata]", '[metadata]\npair_by = "number"'))
    found = verdicts(opened(folder))
    assert "frame times" not in found
    assert found["calibration"].verdict == "right"
    calibration.write_text(calibration.read_text().replace('"number"', '"luck"'))
    with pytest.raises(DataError, match="pair_by 'luck' is unknown; choose one of: auto, number, time"):
        opened(folder)


def test_a_wrong_calibration_is_still_blamed(moving):
    folder = moving((30, 60, 30), (12, 24, 12), clicked=(0,))
    cameras = make_rig(number=3).cameras[""]
    swapped = {"front": "left", "left": "front", "back": "back"}
    write_calibration(
        folder / "calibration.toml", {n: replace(cameras[m], name=n) for n, m in swapped.items()}
    )
    lines = (folder / "labels.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join(line for line in lines if ",k2," not in line))
    found = verdicts(opened(folder))
    assert found["calibration"].verdict == "fault"
    assert "frame times" not in found


def test_a_shorter_video_is_blamed_and_not_the_labels(moving):
    folder = moving((30, 30, 30), (12, 7, 12))
    assert opened(folder).notes == ("left.avi has no frame of 5 of 12 moments",)
    write_table(folder / "labels.csv", LABELS, [("000009", "left", "tip", 3.0, 4.0)])
    with pytest.raises(
        DataError, match=r"left\.avi: has 7 frames, fewer than front\.avi, .*labels\.csv, line 2"
    ):
        opened(folder)
    write_table(folder / "labels.csv", LABELS, [("000012", "front", "tip", 3.0, 4.0)])
    with pytest.raises(DataError, match=r"labels\.csv, line 2: front\.avi has no frame '000012'; .*000011"):
        opened(folder)


def test_a_video_that_is_cut_off_is_blamed_and_not_the_labels(moving):
    folder = moving((30, 30, 30), (30, 30, 30))
    cut = folder / "left.avi"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    dataset = opened(folder)
    assert any(note.startswith("left.avi: ") and "cut off" in note for note in dataset.notes)
    write_table(folder / "labels.csv", LABELS, [("000028", "left", "tip", 3.0, 4.0)])
    with pytest.raises(
        DataError, match=r"left\.avi: .* frames can be decoded.* \(.*labels\.csv, line 2, names"
    ):
        opened(folder)


def test_times_beside_videos_count_before_their_own(moving):
    """A camera that started two frames late, by a file with a line a frame, milliseconds."""
    folder = moving((30, 30, 30), (8, 8, 8))
    for name in ("front", "left", "back"):
        late = 200 / 3 if name == "left" else 0
        lines = [f"{k},{k * 100 / 3 + late:.3f}" for k in range(8)]
        (folder / f"{name}_timestamps.csv").write_text("frame,time\n" + "\n".join(lines) + "\n")
    dataset = opened(folder)
    assert frames_of(dataset)[1:3] == [{"front": 1, "back": 1}, {"front": 2, "left": 0, "back": 2}]
    assert frames_of(dataset)[-1] == {"left": 7}
    assert "left.avi starts 0.0667 s later" in dataset.notes[0]
    (folder / "left_timestamps.csv").write_text("0\n1\n")
    with pytest.raises(DataError, match=r"left_timestamps\.csv: has 2 times for 8 frames of left"):
        opened(folder)


def test_images_that_are_named_by_their_times(tmp_path):
    cameras = make_rig(number=2).cameras[""]
    write_calibration(tmp_path / "calibration.toml", cameras)
    for k in range(4):
        for name, late in (("front", 0), ("left", 4_000_000)):
            write_blank(tmp_path / name / f"{1_690_000_000_000_000_000 + k * 33_000_000 + late}.png")
    write_table(tmp_path / "labels.csv", LABELS, [("1690000000037000000", "left", "tip", 3.0, 4.0)])
    dataset = opened(tmp_path)
    assert [len(moment.views) for moment in dataset.recordings[0].moments] == [2, 2, 2, 2]
    assert set(dataset.recordings[0].moments[1].clicks) == {"left"}
    assert "paired by their times (the names of the images)" in dataset.notes[0]
