"""What is measured on is none of what is trained on, and of everything something is left to learn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from samepoint.data.held_out import TRAINED_ON, hold_out
from samepoint.data.recording import Dataset, Moment, Placement, Recording, View


def recording(name, moments, *, split=None, mode="photos", cameras=1, objects=None, still=()):
    def view(m, camera):
        placements = () if objects is None else (Placement(objects[m]),)
        return View(f"cam{camera}", Path(f"{name}/{camera}/{m}.png"), placements=placements)

    rows = tuple(Moment(tuple(view(m, c) for c in range(cameras)), time=float(m)) for m in range(moments))
    return Recording(name, mode, rows, split, still=still)


def dataset(*recordings):
    return Dataset(Path("."), tuple(recordings))


def images(found):
    return set() if found is None else {view.image for view in found.views()}


@pytest.mark.parametrize(
    ("number", "held"), [(1, 0), (3, 0), (4, 1), (6, 1), (11, 1), (16, 2), (40, 5), (400, 16)]
)
def test_a_share_of_the_photos_is_held_out_and_not_trained_on(number, held):
    whole = dataset(recording("photos", number))
    parts = hold_out(whole)
    taught, measured = images(parts.training), images(parts.held_out)
    assert len(measured) == held
    assert taught.isdisjoint(measured)
    assert taught | measured == images(whole)
    assert (TRAINED_ON in parts.said) == (held == 0)
    assert images(hold_out(whole).held_out) == measured


def test_the_validation_split_is_measured_on_and_costs_no_training_image():
    whole = dataset(
        recording("a", 20, split="train"), *(recording(f"v{i}", 30, split="validation") for i in range(9)),
        recording("t", 5, split="test"),
    )  # fmt: skip
    parts = hold_out(whole)
    assert len(images(parts.training)) == 20
    assert parts.said == "the validation split"
    assert {path.parts[0][0] for path in images(parts.held_out)} == {"v"}
    assert len(images(parts.held_out)) == 16


def test_whole_moments_of_a_rig_are_held_out_and_its_still_ranges_follow():
    parts = hold_out(dataset(recording("rig", 16, mode="rig", cameras=3, still=((2, 5), (12, 12)))))
    (kept,), (held,) = parts.training.recordings, parts.held_out.recordings
    assert [m.time for m in held.moments] == [4.0, 12.0]
    assert all(len(moment.views) == 3 for moment in held.moments)
    assert [[kept.moments[i].time for i in ends] for ends in kept.still] == [[2.0, 5.0]]
    assert [[held.moments[i].time for i in ends] for ends in held.still] == [[4.0, 4.0], [12.0, 12.0]]


def test_of_every_object_an_image_is_left():
    """Photos of different objects, one each: none can be spared."""
    assert hold_out(dataset(*(recording(f"p{i}", 1, objects=[i]) for i in range(8)))).held_out is None
    parts = hold_out(dataset(recording("p", 16, objects=[0, 1, 2, 3] * 4)))
    assert {p.object_id for v in parts.training.views() for p in v.placements} == {0, 1, 2, 3}


def test_several_recordings_share_what_is_held_out_and_the_robot_alone_is_none_of_it():
    parts = hold_out(
        dataset(*(recording(f"s{i}", 12) for i in range(4)), recording("robot", 40, mode="robot-only"))
    )
    assert len(parts.held_out.recordings) == 3
    assert "robot" not in {r.name for r in parts.held_out.recordings}
    assert len(parts.training.recordings) == 5


def test_only_wanted_moments_are_held_out():
    parts = hold_out(dataset(recording("a", 40)), lambda moment: moment.time < 10)
    assert images(parts.held_out) == {Path("a/0/5.png")}
