"""Pose errors against loops, planted errors, symmetries, failures."""

from __future__ import annotations

import math

import pytest
import torch
from tests.data.symmetric import CYLINDER, PRISM, turn

from samepoint.data.recording import Symmetry
from samepoint.errors import DataError
from samepoint.evaluation.pose_errors import MOST_VERTICES, PoseErrors, pose_errors, summarise
from samepoint.geometry.motions import compose, exp, rigid

FIELDS = ("degrees", "centimetres", "add", "add_s")


def normal(generator, *size):
    return torch.randn(*size, generator=generator, dtype=torch.float64)


def poses(generator, n=5):
    return exp(normal(generator, n, 6))


def near(generator, true, size=0.05):
    return compose(true, exp(size * normal(generator, len(true), 6)))


def by_loops(estimated, true, vertices):
    """(degrees, centimetres, ADD, ADD-S) of one pose, one number after the other."""
    cosine = (float((estimated[:3, :3].T @ true[:3, :3]).trace()) - 1) / 2
    here = [(estimated[:3, :3] @ x + estimated[:3, 3]).tolist() for x in vertices]
    there = [(true[:3, :3] @ x + true[:3, 3]).tolist() for x in vertices]
    return (
        math.degrees(math.acos(cosine)),
        100 * math.dist(estimated[:3, 3], true[:3, 3]),
        sum(math.dist(a, b) for a, b in zip(here, there)) / len(vertices),
        sum(min(math.dist(a, b) for a in here) for b in there) / len(vertices),
    )


def rows(errors):
    return torch.stack([getattr(errors, name) for name in FIELDS], dim=-1)


def test_equal_loops(generator, monkeypatch):
    true, vertices = poses(generator), 0.1 * normal(generator, 30, 3)
    estimated = near(generator, true, 0.3)
    slow = torch.tensor([by_loops(*pair, vertices) for pair in zip(estimated, true)], dtype=torch.float64)
    torch.testing.assert_close(rows(pose_errors(estimated, true, vertices)), slow)
    monkeypatch.setattr("samepoint.evaluation.pose_errors._WORK", 50)  # chunks of one pose
    torch.testing.assert_close(rows(pose_errors(estimated, true, vertices)), slow)


@pytest.mark.parametrize("degrees", [0.0, 1e-3, 7.0, 179.9])
def test_a_planted_error_is_measured(generator, degrees):
    true, vertices = poses(generator), 0.1 * normal(generator, 20, 3)
    axis = torch.nn.functional.normalize(normal(generator, 3), dim=0)
    wrong = exp(torch.cat((torch.zeros(3, dtype=torch.float64), axis * math.radians(degrees))))
    estimated = compose(true, wrong)
    estimated[:, :3, 3] += torch.tensor([0.0, 0.024, 0.018], dtype=torch.float64)
    errors = pose_errors(estimated, true, vertices)
    torch.testing.assert_close(errors.degrees, torch.full_like(errors.degrees, degrees), atol=1e-6, rtol=0)
    torch.testing.assert_close(errors.centimetres, torch.full_like(errors.centimetres, 3.0))
    if degrees == 0:
        torch.testing.assert_close(errors.add, torch.full_like(errors.add, 0.03))


def test_frames_do_not_matter_and_the_closest_is_never_farther(generator):
    true, vertices = poses(generator, 12), 0.1 * normal(generator, 40, 3)
    estimated, frame = near(generator, true, 0.2), poses(generator, 1)
    errors = pose_errors(estimated, true, vertices)
    torch.testing.assert_close(rows(pose_errors(frame @ estimated, frame @ true, vertices)), rows(errors))
    assert (errors.add_s <= errors.add).all()
    assert (errors.add_s > 0).all()
    back = pose_errors(true, estimated, vertices)
    for name in ("degrees", "centimetres", "add"):
        torch.testing.assert_close(getattr(back, name), getattr(errors, name))
    assert rows(pose_errors(true, true, vertices)).abs().max() < 1e-6


@pytest.mark.parametrize("solid", [PRISM, CYLINDER])
def test_a_symmetric_pose_is_right(generator, solid):
    """Both solids are not centred in their frames: the origin moves with the symmetry."""
    true, vertices = poses(generator, 3), solid.mesh(segments=72)[0].double()
    motion = solid.symmetry.discrete[0].double()
    errors = pose_errors(compose(true, motion), true, vertices, solid.symmetry)
    assert rows(errors).abs().max() < 1e-4
    plain = pose_errors(compose(true, motion), true, vertices)
    assert (plain.degrees > 80).all()
    assert (plain.add > 0.01).all()
    assert (plain.add_s < 1e-6).all()


def test_turns_about_an_axis_are_free_to_five_degrees(generator):
    centre = (0.02, 0.0, 0.0)
    symmetry = Symmetry(continuous=((torch.tensor([0.0, 0.0, 2.0]), torch.tensor(centre)),))
    true, vertices = poses(generator, 4), 0.1 * normal(generator, 50, 3)
    for asked, left in ((0, 0.0), (90, 0.0), (183, 2.0), (-41, 1.0)):
        estimated = compose(true, turn((0, 0, 1), math.radians(asked), centre).double())
        errors = pose_errors(estimated, true, vertices, symmetry)
        torch.testing.assert_close(errors.degrees, torch.full_like(errors.degrees, left), atol=1e-3, rtol=0)
    tilted = compose(true, turn((1, 0, 0), math.radians(30)).double())
    assert (pose_errors(tilted, true, vertices, symmetry).degrees > 29).all()


def test_the_best_symmetry_by_loops_over_them(generator):
    true, vertices = poses(generator, 6), 0.1 * normal(generator, 25, 3)
    estimated = poses(generator, 6)
    assert PRISM.symmetry is not None
    group = [torch.eye(4), *PRISM.symmetry.discrete]
    errors = pose_errors(estimated, true, vertices, PRISM.symmetry)
    for k in range(6):
        tried = [by_loops(estimated[k], true[k] @ motion.double(), vertices) for motion in group]
        best = min(tried, key=lambda one: one[2])
        torch.testing.assert_close(
            rows(errors)[k, :3], torch.tensor(best[:3], dtype=torch.float64), atol=1e-4, rtol=1e-5
        )
        assert float(errors.add_s[k]) == pytest.approx(tried[0][3])


def test_one_symmetry_for_rotation_and_translation():
    """Turned by half a turn about another line than the object's: no symmetry explains it."""
    centre = (0.05, 0.0, 0.0)
    symmetry = Symmetry((turn((0, 0, 1), math.pi, centre),))
    square = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0.05, 0.02, 0.01], [0.05, -0.02, 0.01]])
    errors = pose_errors(turn((0, 0, 1), math.pi)[None], torch.eye(4)[None], square, symmetry)
    assert float(errors.degrees) == pytest.approx(0, abs=1e-3)
    assert float(errors.centimetres) == pytest.approx(10)
    assert float(errors.add) == pytest.approx(0.1)


def test_many_vertices_are_thinned_for_the_closest_only(generator):
    vertices = 0.1 * normal(generator, 2 * MOST_VERTICES + 1, 3)
    true = poses(generator, 2)
    estimated = near(generator, true)
    errors, thin = pose_errors(estimated, true, vertices), pose_errors(estimated, true, vertices[::3])
    torch.testing.assert_close(errors.add_s, thin.add_s)
    assert not torch.allclose(errors.add, thin.add)


def test_an_estimate_that_does_not_exist_is_not_a_number(generator):
    true, vertices = poses(generator, 4).float(), 0.1 * normal(generator, 10, 3).float()
    estimated = true.clone()
    estimated[1], estimated[3, 0, 3] = math.nan, math.inf
    errors = pose_errors(estimated, true, vertices)
    assert rows(errors).isnan().all(-1).tolist() == [False, True, False, True]
    assert errors.add.dtype == torch.float32
    nothing = pose_errors(estimated[[1]], true[[1]], vertices, CYLINDER.symmetry)
    assert rows(nothing).isnan().all()
    assert len(pose_errors(true[:0], true[:0], vertices).add) == 0


def test_bad_poses_and_vertices_are_refused(generator):
    true, vertices = poses(generator, 2), 0.1 * normal(generator, 10, 3)
    scaled = rigid(2 * true[:, :3, :3], true[:, :3, 3])
    with pytest.raises(DataError, match=r"estimated poses: .*orthonormal"):
        pose_errors(scaled, true, vertices)
    with pytest.raises(DataError, match=r"true poses: .*not finite"):
        pose_errors(true, true * math.nan, vertices)
    for bad in (vertices[:0], vertices * math.nan):
        with pytest.raises(DataError, match="vertices"):
            pose_errors(true, true, bad)


def columns(*values):
    return PoseErrors(*(torch.tensor(column) for column in zip(*values)))


def test_the_summary_of_known_errors():
    nan = math.nan
    errors = columns(
        (1.0, 1.0, 0.005, 0.001),
        (5.0, 5.0, 0.060, 0.012),
        (4.0, 3.0, 0.020, 0.020),
        (9.0, 9.0, 0.500, 0.050),
        (nan, nan, nan, nan),
    )
    summary = summarise(errors, diameters=0.15)
    assert summary == pytest.approx(
        {
            "median_degrees": 4.5,
            "median_centimetres": 4.0,
            "within_5deg_5cm": 3 / 5,
            "within_10deg_10cm": 4 / 5,
            "within_5deg_2cm": 1 / 5,
            "add_10_percent": 1 / 5,
            "add_s_10_percent": 2 / 5,
            "auc_add": (0.95 + 0.4 + 0.8 + 0) / 5,
            "auc_add_s": (0.99 + 0.88 + 0.8 + 0.5) / 5,
            "failed": 1 / 5,
        }
    )


def test_the_area_is_that_under_the_curve(generator):
    add = 0.15 * torch.rand(200, generator=generator, dtype=torch.float64)
    summary = summarise(PoseErrors(add, add, add, add), diameters=0.2)
    steps = 1000
    curve = [float((add < 0.1 * (i + 0.5) / steps).double().mean()) for i in range(steps)]
    assert summary["auc_add"] == pytest.approx(sum(curve) / steps, abs=1e-3)


def test_nothing_but_failures_and_bad_input():
    failed = summarise(columns((math.nan,) * 4), diameters=0.1)
    assert failed["failed"] == 1
    assert failed["within_10deg_10cm"] == 0
    assert failed["auc_add_s"] == 0
    assert math.isnan(failed["median_degrees"])
    empty = torch.zeros(0)
    with pytest.raises(DataError, match="no pose errors"):
        summarise(PoseErrors(empty, empty, empty, empty), diameters=0.1)
    for diameter in (0.0, -1.0, math.nan):
        with pytest.raises(DataError, match="diameter"):
            summarise(columns((1.0, 1.0, 0.1, 0.1)), diameter)


def test_the_threshold_is_a_tenth_of_each_object_s_own_diameter():
    """4 mm are right for an object of 5 cm, 6 mm are not; both are right for one of 20 cm."""
    errors = columns(*((1.0, 1.0, add, add) for add in (0.004, 0.006, 0.004, 0.019, 0.021)))
    summary = summarise(errors, torch.tensor([0.05, 0.05, 0.2, 0.2, 0.2]))
    assert summary["add_10_percent"] == summary["add_s_10_percent"] == 3 / 5
    same = summarise(errors, torch.full((5,), 0.05))
    assert same == summarise(errors, 0.05)
    assert same["add_10_percent"] == 2 / 5
    with pytest.raises(DataError, match="diameter is 0"):
        summarise(errors, torch.tensor([0.05, 0.05, 0.0, 0.2, 0.2]))
