"""Exact recordings, in which each of these scenes was once called wrong: chance is no fault."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from benchmarks.exact_scenes import scene, write
from tests.data.doctor import scene as plant

from samepoint.data.doctor.edge_shift import Shift
from samepoint.data.doctor.evidence import Case
from samepoint.data.doctor.footage import Footage, footage_of
from samepoint.data.doctor.invalid import check_values
from samepoint.data.doctor.masks import check_masks
from samepoint.data.doctor.readings import Reading
from samepoint.data.doctor.registration import check_registration
from samepoint.data.doctor.shifted_matches import MatchesSay, matches_say
from samepoint.data.doctor.times import check_times
from samepoint.data.open import open_dataset
from samepoint.data.recording import DepthFile, View
from samepoint.workflows.doctoring import examine

ONCE_WRONG = {
    "fractal print, 64 pixels": 34,
    "a camera that only shifts, 48 x 36 pixels": 87,
    "stripes that repeat": 131,
}


@pytest.mark.parametrize("number", ONCE_WRONG.values(), ids=ONCE_WRONG)
def test_no_false_alarm(tmp_path, number):
    examination = examine(write(scene(number), tmp_path / "exact"))
    assert examination.faults == ()
    assert examination.findings


# registration

FAR = Shift(8.0, 0.0, 160, 1500, best=0.8, here=0.4, usual=0.4, rival=0.6, deviations=8.0, sides=(0.4, 0.4))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"halves": 9.0}, "another half of the frames"),
        ({"deviations": 3.0}, "as well at many places"),
        ({"deviations": 5.0, "rival": 0.79}, "a print that repeats"),
        ({"edges": 400, "sides": (0.4, -0.1)}, "few edges of depth (400 pixels)"),
        ({"edges": 400, "sides": (0.4,)}, "few edges of depth (400 pixels)"),
    ],
)
def test_a_shift_by_chance_is_no_fault(change, words):
    assert check_registration(FAR).verdict == "fault"
    finding = check_registration(replace(FAR, **change))
    assert (finding.verdict, finding.fix) == ("undecided", None)
    assert words in finding.sentence


def test_matches_decide_where_edges_may_meet_by_chance():
    doubtful = replace(FAR, halves=9.0)
    assert check_registration(doubtful, MatchesSay(400, 0.95, 0.01, 0.01, 0.001)).verdict == "fault"
    assert check_registration(FAR, MatchesSay(400, 0.01, 0.95, 0.001, 0.01)).verdict == "right"
    few = MatchesSay(20, 0.95, 0.01, 0.01, 0.001)
    assert check_registration(doubtful, few).verdict == "undecided"
    alias = MatchesSay(400, 0.95, 0.01, 0.2, 0.1)  # matches of a repeat: none of them fits
    assert check_registration(doubtful, alias).verdict == "undecided"


def test_rough_edges_of_a_sensor():
    """No place stands out; many edges on both sides of objects, and most of the matches, say where colour lies."""
    rough = replace(FAR, width=640, u=14.0, edges=9000, deviations=3.0, rival=0.79, sides=(0.12, 0.5))
    lean = MatchesSay(400, 0.45, 0.25, 0.006, 0.004)
    assert check_registration(rough, lean).verdict == "fault"
    for change, said in (
        ({"edges": 3000}, lean),
        ({"sides": (-0.02, 0.5)}, lean),
        ({"halves": 5.0}, lean),
        ({}, replace(lean, better=0.25, worse=0.45)),
        ({}, None),
    ):
        assert check_registration(replace(rough, **change), said).verdict == "undecided"


def test_matches_say_whether_colour_is_shifted(case, scene, tmp_path):
    said = matches_say(case, Reading(), (0.05, 0.0))
    assert said is not None
    assert not said.agree
    assert said.worse > said.better
    assert said.before < 0.005
    copy = shutil.copytree(scene, tmp_path / "shifted")
    plant.shifted(copy, 8)
    (footage,) = footage_of(open_dataset(copy))
    said = matches_say(Case(footage), Reading(), (0.05, 0.0))
    assert said is not None
    assert said.agree
    assert not said.against
    assert said.after < 0.005 < said.before


def test_small_images_are_not_judged(tmp_path):
    examination = examine(write(replace(scene(34), size=(48, 60), views=3), tmp_path / "small"))
    (finding,) = [f for f in examination.findings if f.check == "registration"]
    assert finding.verdict == "undecided"
    assert "images below 64 pixels are too small" in finding.sentence


# depth values


def facing(tmp_path, value: int, turn: float) -> Footage:
    """Two frames of a far wall of one raw value behind near things, seen from cameras turned by `turn` degrees."""
    views = []
    rng = np.random.default_rng(0)
    for k in range(2):
        depth = np.full((60, 80), value, np.uint16)
        depth[30:, 20:60] = rng.integers(value // 5, value // 4, (30, 40))
        for name, array in (("image", np.zeros((60, 80, 3), np.uint8)), ("depth", depth)):
            assert cv2.imwrite(str(tmp_path / f"{name}{k}.png"), array)
        pose = torch.eye(4)
        angle = math.radians(turn) * k
        pose[0, 0] = pose[2, 2] = math.cos(angle)
        pose[0, 2], pose[2, 0] = math.sin(angle), -math.sin(angle)
        found = DepthFile(tmp_path / f"depth{k}.png", 0.001)
        views.append(View("cam0", tmp_path / f"image{k}.png", torch.eye(3), pose, found))
    return Footage("x", "scan", tuple(views), (0, 1), (None, None))


@pytest.mark.parametrize(
    ("value", "turn", "verdict"),
    [
        (6000, 0.0, "undecided"),
        (10000, 0.0, "undecided"),
        (6000, 20.0, "fault"),
        (10000, 20.0, "fault"),
        (65535, 0.0, "fault"),
    ],
)
def test_a_far_plane_that_faces_every_view(tmp_path, value, turn, verdict):
    finding, invalid = check_values(facing(tmp_path, value, turn))
    assert finding.verdict == verdict
    assert f"the value {value}" in finding.sentence
    assert invalid == ({value} if verdict == "fault" else set())


# masks, times


def test_an_empty_mask_of_what_nobody_sees(tmp_path):
    """A recording that says that its objects are hidden says nothing wrong with empty masks."""
    made = replace(scene(111), form="bop scan", size=(40, 48), views=4, path="above", scale=1.0)
    far = ((2.0, 2.0, 0.0), (2.1, 2.1, 0.1))
    root = write(replace(made, boxes=(made.boxes[0], far, far, far)), tmp_path / "hidden")
    (footage,) = footage_of(open_dataset(root))
    finding = check_masks(footage)
    assert finding.verdict == "right", finding
    silent = replace(
        footage,
        views=tuple(
            replace(v, placements=tuple(replace(p, visible_fraction=None) for p in v.placements))
            for v in footage.views
        ),
    )
    assert check_masks(silent).verdict == "fault"


@pytest.mark.parametrize(
    ("step", "verdict"),
    [(3600.0, "undecided"), (1200.0, "undecided"), (86400.0, "undecided"), (33333.0, "fault")],
)
def test_a_time_lapse(step, verdict):
    views = tuple(View("cam0", Path(f"{k}.png")) for k in range(4))
    late = (0.0, 1.5, -1.0, 0.5)
    times = tuple(k * step + (late[k] if verdict == "undecided" else 0) for k in range(4))
    assert check_times(Footage("x", "scan", views, (0, 1, 2, 3), times)).verdict == verdict


# depth unit


@pytest.mark.parametrize(
    ("scale", "verdict"), [(80.0, "undecided"), (0.06, "undecided")], ids=["from the air", "very near"]
)
def test_unusual_distances_on_which_depth_and_poses_agree(tmp_path, scale, verdict):
    made = replace(scene(12), form="frames", scale=scale, size=(48, 64), views=6, path="wave", span=1.6)
    made = replace(made, texture="print", boxes=(((-0.1, -0.1, 0.0), (0.0, 0.05, 0.15)),))
    (finding,) = [f for f in examine(write(made, tmp_path / "x")).findings if f.check == "depth unit"]
    assert finding.verdict == verdict
    assert "depth and poses fit together, but the median depth is" in finding.sentence
