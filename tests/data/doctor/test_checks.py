"""The checks that look at single frames: values of depth, registration, intrinsics, masks, time stamps."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.doctor import scene as plant

from samepoint.data.doctor.cameras import check_intrinsics
from samepoint.data.doctor.diagnosis import Diagnosis, diagnose
from samepoint.data.doctor.edge_shift import measure_shift
from samepoint.data.doctor.evidence import Case
from samepoint.data.doctor.footage import Footage, footage_of, shoot
from samepoint.data.doctor.invalid import check_values, piled_up, with_fitting_depth
from samepoint.data.doctor.masks import check_masks
from samepoint.data.doctor.readings import Reading
from samepoint.data.doctor.registration import check_registration
from samepoint.data.doctor.times import check_times
from samepoint.data.open import open_dataset
from samepoint.data.recording import Placement, View


def footage(folder: Path) -> Footage:
    (found,) = footage_of(open_dataset(folder))
    return found


@pytest.fixture
def copy(scene, tmp_path):
    return shutil.copytree(scene, tmp_path / "boxes")


# depth values


@pytest.mark.parametrize("value", [65535, 10000, 32001])
def test_a_value_piled_up_is_found(copy, value):
    plant.saturated(copy, value)
    finding, invalid = check_values(footage(copy))
    assert (finding.verdict, invalid) == ("fault", {value})
    assert f"the value {value}" in finding.sentence
    assert finding.fix == "write 0 where depth is unknown"


def test_a_wall_of_one_depth_is_no_pile():
    """A plane that faces the camera has one depth; it is among the others, or not far from them."""
    rng = np.random.default_rng(0)
    depth = rng.integers(700, 900, (60, 80)).astype(np.uint16)
    depth[:20] = 950
    assert piled_up([depth]) == []
    depth[:20] = 65535
    assert piled_up([depth]) == [65535]
    depth[:20] = 1
    assert piled_up([depth]) == [1]
    assert piled_up([np.full((4, 4), 800, np.uint16)]) == []
    assert piled_up([np.zeros((4, 4), np.uint16)]) == []


def test_depth_of_another_size(copy):
    path = copy / "depth" / "0003.png"
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[::2, ::2])
    finding, _ = check_values(footage(copy))
    assert (finding.verdict, finding.frames) == ("fault", ("0003.png",))
    assert "depth is 80x60 but 0003.png is 160x120" in finding.sentence
    assert [v.depth is None for v in with_fitting_depth(footage(copy)).views].index(True) == 3


def test_depth_that_is_hardly_known(copy):
    plant.depths(copy, lambda depth: np.where(np.arange(depth.size).reshape(depth.shape) % 100, 0, depth))
    finding, _ = check_values(footage(copy))
    assert finding.verdict == "fault"
    assert "only 0.9% of depth" in finding.sentence or "only 1.0% of depth" in finding.sentence


# registration


def shift_of(folder):
    frames = footage(folder)
    return measure_shift(list(shoot(frames, range(len(frames.views)), (), 640).values()))


def test_registered(scene):
    shift = shift_of(scene)
    assert shift.length <= 1.0
    assert check_registration(shift).verdict == "right"


@pytest.mark.parametrize("pixels", [8, -8, 4])
def test_shifted_colour(copy, pixels):
    plant.shifted(copy, pixels)
    shift = shift_of(copy)
    assert (shift.u, shift.v) == pytest.approx((pixels, 0), abs=1)
    finding = check_registration(shift)
    assert finding.verdict == "fault"
    assert f"({pixels:+d}, +0) of 160" in finding.sentence


def test_nothing_to_register(scene):
    assert check_registration(None).verdict == "not applicable"
    flat = np.zeros((120, 160, 3), np.uint8)
    (one,) = shoot(footage(scene), [4]).values()
    blank = type(one)("0.png", flat, one.depth, one.intrinsics)
    assert check_registration(measure_shift([blank] * 5)).verdict == "undecided"
    smooth = type(one)("0.png", one.image, torch.ones(120, 160), one.intrinsics)
    assert check_registration(measure_shift([smooth])).verdict == "undecided"


# intrinsics


def undiagnosed(frames: Footage) -> Diagnosis:
    blind = [View("cam0", view.image, view.intrinsics) for view in frames.views]
    return diagnose(Case(Footage("x", "photos", tuple(blind), frames.moments, frames.times)), Reading())


def test_intrinsics_of_another_size_without_poses(copy):
    assert check_intrinsics(footage(copy), undiagnosed(footage(copy))).verdict == "right"
    plant.resized_camera(copy, 0.5)
    finding = check_intrinsics(footage(copy), undiagnosed(footage(copy)))
    assert finding.verdict == "fault"
    assert finding.fix == "multiply fx, fy, cx + 0.5 and cy + 0.5 by 2"


def test_field_of_view(copy):
    plant.camera(copy, fx=2.0, fy=2.0)
    finding = check_intrinsics(footage(copy), undiagnosed(footage(copy)))
    assert finding.verdict == "fault"
    assert "177 degrees" in finding.sentence


# masks


def masked(tmp_path, masks, suffix=".png", size=(40, 60)):
    """A footage of photos with these masks."""
    views = []
    for k, mask in enumerate(masks):
        image, path = tmp_path / f"{k}.png", tmp_path / f"{k}_mask{suffix}"
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(image)
        Image.fromarray(mask).save(path)
        views.append(View("cam0", image, placements=(Placement(1, mask=path),)))
    numbers = tuple(range(len(views)))
    return Footage("x", "photos", tuple(views), numbers, (None,) * len(views))


def disc(value=255, size=(40, 60)):
    return cv2.circle(np.zeros(size, np.uint8), (30, 20), 12, value, -1)


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_two_values(tmp_path, value):
    finding = check_masks(masked(tmp_path, [disc(value)] * 3))
    assert finding.verdict == "right"
    assert "median cover 18" in finding.sentence or "median cover 19" in finding.sentence


def test_grey_masks(tmp_path):
    finding = check_masks(masked(tmp_path, [disc(), cv2.GaussianBlur(disc(), (0, 0), 1.5)]))
    assert (finding.verdict, finding.frames) == ("fault", ("1_mask.png",))
    assert "grey levels" in finding.sentence
    assert finding.fix == "threshold at half, write 0 and 255"


def test_a_jpeg_mask_is_read_by_halves(tmp_path):
    assert check_masks(masked(tmp_path, [disc()], ".jpg")).verdict == "right"


def test_labels_are_not_a_mask(tmp_path):
    labels = disc(1)
    labels[:8, :8] = 2
    finding = check_masks(masked(tmp_path, [labels]))
    assert finding.verdict == "fault"
    assert "several labels in one file" in finding.sentence


@pytest.mark.parametrize(
    ("mask", "words"), [(np.zeros((40, 60), np.uint8), "empty"), (np.full((40, 60), 255, np.uint8), "full")]
)
def test_empty_and_full_masks(tmp_path, mask, words):
    finding = check_masks(masked(tmp_path, [mask] * 3 + [disc()]))
    assert finding.verdict == "fault"
    assert f"3 of 4 are {words}" in finding.sentence


def test_masks_of_another_size(tmp_path):
    finding = check_masks(masked(tmp_path, [disc(), disc(size=(20, 30))]))
    assert (finding.verdict, finding.frames) == ("fault", ("1_mask.png",))
    assert "1 of 2 have another size than their image, 30x20 for 60x40" in finding.sentence


# time stamps


def timed(*times):
    views = tuple(View("cam0", Path(f"{k}.png")) for k in range(len(times)))
    return Footage("x", "scan", views, tuple(range(len(times))), times)


@pytest.mark.parametrize(
    ("times", "verdict", "words"),
    [
        ((0.0, 0.1, 0.2, 0.3), "right", "0.1 s from frame to frame (10 a second), even"),
        ((0.0, 0.1, 0.2, 5.0, 5.1), "right", "1 gap of up to 4.8 s, after 2.png"),
        ((0.0, 0.2, 0.1, 0.3), "fault", "1 of 4 go backwards (by up to 0.1 s), first at 2.png"),
        ((0.0, 0.1, 0.1, 0.3), "fault", "1 of 4 repeat the one before, first at 2.png"),
        ((0.0, 33e6, 66e6, 100e6), "fault", "they look like nanoseconds"),
        ((0.0, 33e3, 66e3, 100e3), "fault", "they look like microseconds"),
        ((0.0, 33.0, 66.0, 100.0), "undecided", "as milliseconds would be 30.3 frames a second"),
        ((0.0, float("nan"), 1.0), "fault", "1 are not finite"),
        ((None, None), "not applicable", "no time stamps"),
    ],
)
def test_times(times, verdict, words):
    finding = check_times(timed(*times))
    assert finding.verdict == verdict
    assert words in finding.sentence


def test_views_of_a_moment_share_its_time():
    views = tuple(View(f"cam{k % 2}", Path(f"{k}.png")) for k in range(4))
    finding = check_times(Footage("x", "rig", views, (0, 0, 1, 1), (0.0, 0.0, 0.1, 0.1)))
    assert finding.verdict == "right"
