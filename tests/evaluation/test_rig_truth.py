"""Where keypoints really are: in front of cameras only, before the bend of lenses, in images of several sizes."""

from pathlib import Path

import pytest
import torch

from samepoint.data.recording import Dataset, Moment, Recording, View
from samepoint.data.rig_sampling import RigMoments
from samepoint.evaluation.rig_truth import BatchTruth, shown_in, truths
from samepoint.geometry.lenses import Lens, undistort_points

K = torch.tensor([[40.0, 0, 15.5], [0, 40, 11.5], [0, 0, 1]])
SIZE = (24, 32)


def view(name, turned=False, lens=None):
    pose = torch.eye(4)
    if turned:  # looks along -z
        pose[0, 0] = pose[2, 2] = -1.0
    pose[:3, 3] = torch.tensor([0.1 * len(name), 0.0, 0.0])
    return View(name, Path(f"{name}.png"), K, pose, lens=lens)


def truth_of(moment, names=("a", "b")):
    dataset = Dataset(Path("data"), (Recording("r", "rig", (moment,)),))
    everywhere = {v.camera: (True,) * len(names) for v in moment.views}
    moments = RigMoments(names, ((0, 0),), torch.full((1, len(names), 3), torch.nan), everywhere)
    return truths(dataset, moments)[0]


def test_a_point_behind_a_camera_is_nowhere_in_its_image():
    found = truth_of(
        Moment((view("one"), view("other", turned=True)), truth={"a": torch.tensor([0.3, 0.0, 1.0])})
    )
    torch.testing.assert_close(found.uv["one"][0], torch.tensor([15.5, 11.5]))
    assert found.uv["other"].isnan().all()
    assert found.xyz[1].isnan().all()
    assert found.says_anything


def test_exact_points_count_before_clicks_keypoint_by_keypoint():
    clicks = {"one": {"a": (1.0, 2.0), "b": (15.5, 11.5)}, "two2": {"b": (11.5, 11.5)}}
    moment = Moment((view("one"), view("two2")), clicks=clicks, truth={"a": torch.tensor([0.3, 0.0, 2.0])})
    found = truth_of(moment)
    torch.testing.assert_close(found.uv["one"], torch.tensor([[15.5, 11.5], [15.5, 11.5]]))
    torch.testing.assert_close(found.uv["two2"], torch.tensor([[13.5, 11.5], [11.5, 11.5]]))
    torch.testing.assert_close(found.xyz, torch.tensor([[0.3, 0.0, 2.0], [0.3, 0.0, 1.0]]))


def test_a_click_in_one_view_is_a_place_without_a_point():
    found = truth_of(Moment((view("one"), view("two2")), clicks={"one": {"b": (3.0, 4.0)}}))
    assert found.xyz.isnan().all()
    assert found.says_anything
    torch.testing.assert_close(found.uv["one"][1], torch.tensor([3.0, 4.0]))
    assert found.uv["two2"].isnan().all()


def test_clicks_are_straightened():
    lens = Lens("brown", (-0.6, 0.1, 0.0, 0.0, 0.0))
    found = truth_of(Moment((view("one", lens=lens), view("two2")), clicks={"one": {"b": (1.0, 2.0)}}))
    straight = undistort_points(torch.tensor([[1.0, 2.0]]), K, lens)
    torch.testing.assert_close(found.uv["one"][1:], straight)
    assert (straight < 0).any()  # a barrel's corner lies outside the straightened image
    assert not shown_in(straight, view("one", lens=lens), SIZE).any()


def test_the_black_rim_of_a_straightened_image_shows_nothing():
    """A pincushion's straightened image is black near its border, where the lens saw nothing."""
    bent = view("one", lens=Lens("brown", (0.8, 0.0, 0.0, 0.0, 0.0)))
    uv = torch.tensor([[0.0, 0.0], [15.5, 11.5], [31.0, 11.5], [28.0, 11.5], [40.0, 11.5], [torch.nan, 0.0]])
    assert shown_in(uv, bent, SIZE).tolist() == [False, True, False, True, False, False]
    assert shown_in(uv, view("one"), SIZE).tolist() == [True, True, True, True, False, False]


def test_answers_are_measured_at_the_recorded_size():
    uv = torch.full((1, 3, 1, 2), torch.nan)
    uv[0, 0], uv[0, 1] = torch.tensor([31.0, 11.0]), torch.tensor([5.0, 6.0])
    truth = BatchTruth(torch.zeros(1, 1, 3), uv, ((((8, 16), (32, 64)), ((16, 16), (16, 16))),))
    own = torch.tensor([[8.0, 3.0], [5.0, 9.0], [0.0, 0.0]])[None, :, None]
    expected = [((8.5 * 4 - 0.5 - 31) ** 2 + (3.5 * 4 - 0.5 - 11) ** 2) ** 0.5, 3.0]
    xyz, sure = torch.tensor([[[0.0, 0.03, 0.04]]]), torch.ones(1, 1, dtype=torch.bool)
    errors = truth.errors(own, own, xyz, 4 * torch.eye(3).expand(1, 1, 3, 3), sure)
    assert errors.pixels[0, :2, 0].tolist() == pytest.approx(expected)
    assert errors.pixels[0, 2].isnan().all()  # there is no third view
    assert float(errors.metres) == pytest.approx(0.05)
    assert errors.inside.all()
    assert (float(errors.stated), bool(errors.visible)) == (2.0, True)
