"""Named points in space from several cameras: what a robot program hands in and gets back."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.inference.spots import (
    BROWN,
    FISHEYE,
    NAMES,
    POINTS,
    SIGMA,
    SIZE,
    looking_at_origin,
    picture,
    pictures,
    recorded,
    ring,
    spot_network,
)

import samepoint
from samepoint.data.rig.anipose import write_calibration
from samepoint.errors import DataError, RunError
from samepoint.geometry.lenses import undistort_points
from samepoint.geometry.pixels import resize_intrinsics, resize_pixels
from samepoint.inference.points import PointSettings
from samepoint.inference.rig import RigFinder
from samepoint.inference.rig_images import Shooter
from samepoint.models import DescriptorNetwork, NetworkConfig
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.models.weights import save_network

MILLIMETRE = 1e-3


def rig_finder(cameras=None, **settings):
    return RigFinder(spot_network, NAMES, PointSettings(SIGMA), cameras, **settings)


def apart(xyz, name):
    return float(np.linalg.norm(np.subtract(xyz, POINTS[name])))


@pytest.mark.parametrize("lens", [None, BROWN, FISHEYE], ids=["straight", "brown", "fisheye"])
def test_points_and_pixels_as_recorded(lens):
    cameras = ring(lens=lens)
    hits = rig_finder(cameras).find(pictures(cameras))
    assert tuple(hits) == NAMES
    for name, hit in hits.items():
        assert apart(hit.xyz, name) < MILLIMETRE
        assert hit.visible
        assert hit.views == tuple(cameras)
        for camera in cameras.values():
            place = recorded(camera, POINTS[name])
            assert hit.uv[camera.name] == pytest.approx(place, abs=0.25)
            assert hit.projected[camera.name] == pytest.approx(place, abs=0.25)


def test_a_bent_image_is_not_where_a_straight_one_is():
    """Else the test above would say nothing."""
    moved = [
        np.subtract(recorded(bent, POINTS[name]), recorded(straight, POINTS[name]))
        for bent, straight in zip(ring(lens=BROWN).values(), ring().values())
        for name in NAMES
    ]
    assert np.abs(moved).max() > 0.5


def test_two_views_suffice_and_missing_ones_are_left_out():
    cameras = ring(4)
    images = pictures(cameras)
    finder = rig_finder(cameras)
    for kept in (("cam0", "cam1"), ("cam3", "cam0", "cam2")):
        hits = finder.find({name: images[name] for name in kept})
        for name, hit in hits.items():
            assert apart(hit.xyz, name) < MILLIMETRE
            assert set(hit.uv) == set(hit.agreement) == set(hit.views) == set(kept)


def test_the_order_of_the_cameras_does_not_matter():
    cameras = ring(3)
    images = pictures(cameras)
    one = rig_finder(cameras).find(images)
    other = rig_finder(dict(reversed(cameras.items()))).find(dict(reversed(images.items())))
    for name in NAMES:
        np.testing.assert_allclose(one[name].xyz, other[name].xyz, atol=1e-6)
        assert one[name].uv["cam1"] == pytest.approx(other[name].uv["cam1"], abs=1e-3)


def test_the_covariance_widens_with_the_heatmaps():
    cameras = ring(3)
    sharp, wide = (rig_finder(cameras).find(pictures(cameras, sigma=s))["red"] for s in (SIGMA, 1.5 * SIGMA))
    assert sharp.covariance.shape == (3, 3)
    np.testing.assert_allclose(sharp.covariance, sharp.covariance.T, rtol=1e-3, atol=1e-12)
    assert (np.linalg.eigvalsh(sharp.covariance) > 0).all()
    assert (np.array(wide.deviation) > 2 * np.array(sharp.deviation)).all()
    np.testing.assert_allclose(np.square(wide.deviation), np.diag(wide.covariance))


def test_a_keypoint_that_no_view_shows_is_not_visible():
    cameras = ring()
    some = {name: xyz for name, xyz in POINTS.items() if name != "blue"}
    hit = rig_finder(cameras).find(pictures(cameras, points=some))["blue"]
    assert not hit.visible
    assert hit.confidence < 0.05
    assert hit.views == ()


def test_a_view_that_shows_another_place_does_not_agree():
    cameras = ring(4)
    images = pictures(cameras)
    images["cam2"] = np.roll(images["cam2"], 20, axis=1)
    hits = rig_finder(cameras).find(images)
    for name, hit in hits.items():
        assert apart(hit.xyz, name) < 2 * MILLIMETRE
        assert hit.views == ("cam0", "cam1", "cam3")
        assert hit.agreement["cam2"] < 0.1
        assert hit.confidence > 0.9
    lonely = rig_finder(cameras).find({name: images[name] for name in ("cam0", "cam2")})["red"]
    assert lonely.confidence < 0.9  # two rays that do not meet: nobody knows which is right


def test_keypoints_are_looked_for_where_the_run_learnt_them():
    cameras = ring(3)
    images = pictures(cameras)
    looked_for = {"cam0": ["red", "green"], "cam1": ["red"]}  # cam2 is unknown: it looks for all
    hits = rig_finder(cameras, looked_for=looked_for).find(images)
    assert set(hits["red"].uv) == {"cam0", "cam1", "cam2"}
    assert set(hits["green"].uv) == set(hits["green"].views) == {"cam0", "cam2"}
    assert apart(hits["green"].xyz, "green") < MILLIMETRE
    assert hits["blue"].xyz is hits["blue"].covariance is hits["blue"].deviation is None
    assert (hits["blue"].confidence, hits["blue"].visible, hits["blue"].projected) == (0.0, False, {})
    assert set(hits["green"].projected) == set(cameras)


def test_images_are_shrunk_and_their_matrices_with_them():
    large = (384, 512)
    cameras = {
        name: replace(camera, size=large, intrinsics=resize_intrinsics(camera.intrinsics, SIZE, large))
        for name, camera in ring().items()
    }
    images = pictures(cameras, sigma=2 * SIGMA)
    seen = []

    def network(image):
        seen.append(tuple(image.shape))
        return spot_network(image)

    finder = RigFinder(network, NAMES, PointSettings(SIGMA), cameras, max_size=256)
    for name, hit in finder.find(images).items():
        assert apart(hit.xyz, name) < MILLIMETRE
        assert hit.uv["cam1"] == pytest.approx(recorded(cameras["cam1"], POINTS[name]), abs=0.4)
    assert seen == [(4, 3, 192, 256)]  # all views at once


def test_cameras_of_different_sizes():
    cameras = {**ring(2), "tall": replace(ring(4, (256, 192))["cam3"], name="tall")}
    hits = rig_finder(cameras).find(pictures(cameras))
    for name, hit in hits.items():
        assert apart(hit.xyz, name) < MILLIMETRE
        assert hit.uv["tall"] == pytest.approx(recorded(cameras["tall"], POINTS[name]), abs=0.25)


def test_every_form_of_image(tmp_path):
    cameras = ring(4)
    images = pictures(cameras)
    whole = rig_finder(cameras).find(images)
    Image.fromarray(images["cam0"]).save(tmp_path / "a.png")
    mixed = {
        "cam0": tmp_path / "a.png",
        "cam1": Image.fromarray(images["cam1"]),
        "cam2": torch.from_numpy(images["cam2"]).permute(2, 0, 1),
        "cam3": images["cam3"] / 255.0,
    }
    for name, hit in rig_finder(cameras).find(mixed).items():
        np.testing.assert_allclose(hit.xyz, whole[name].xyz, atol=1e-6)


def test_moving_cameras_have_a_calibration_a_call(tmp_path):
    cameras = ring(3)
    moved = {
        name: replace(camera, world_from_camera=looking_at_origin(2.0 + c, 0.2).float())
        for c, (name, camera) in enumerate(cameras.items())
    }
    images = pictures(moved)
    finder = rig_finder(cameras)
    assert apart(finder.find(images, moved)["red"].xyz, "red") < MILLIMETRE
    write_calibration(tmp_path / "moved.toml", moved)
    assert apart(finder.find(images, tmp_path / "moved.toml")["red"].xyz, "red") < MILLIMETRE
    assert apart(finder.find(pictures(cameras))["red"].xyz, "red") < MILLIMETRE
    with pytest.raises(DataError, match="no calibration; give one to load_rig"):
        rig_finder().find(images)


def test_what_lies_outside_an_image_is_projected_there_or_nowhere():
    cameras = ring(3, lens=BROWN)
    aside = replace(cameras["cam2"], world_from_camera=looking_at_origin(0.5).float())
    turn = torch.eye(4)
    turn[:3, :3] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # a quarter to the side
    behind = replace(aside, world_from_camera=aside.world_from_camera @ turn)
    images = {**pictures({name: cameras[name] for name in ("cam0", "cam1")}), "cam2": np.zeros((192, 256, 3))}
    hit = rig_finder({**cameras, "cam2": behind}).find(images)["red"]
    assert apart(hit.xyz, "red") < MILLIMETRE
    assert "cam2" not in hit.projected
    assert hit.views == ("cam0", "cam1")


@pytest.mark.parametrize("lens", [BROWN, FISHEYE])
def test_where_a_lens_bends_back_nothing_is_projected(lens):
    """Far aside the model of a lens may lead into the image again."""
    camera = ring(1, lens=lens)["cam0"]
    shot = Shooter(128).shot(camera, np.zeros((*SIZE, 3), np.uint8))
    near = torch.tensor([[5.0, 7.0], [63.0, 47.0], [120.0, 90.0]])
    bent = shot.recorded(near)
    back = undistort_points(bent, camera.intrinsics.double(), lens)
    torch.testing.assert_close(resize_pixels(back, SIZE, shot.size), near.double(), atol=1e-3, rtol=0)
    if lens is BROWN:
        assert shot.recorded(torch.tensor([[400.0, 47.0], [torch.nan, 3.0]])).isnan().all()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"cam1": None, "cam2": None},
            "two cameras .given: cam0.; give images of two or more of: cam0, cam1",
        ),
        ({"cam0": None, "cam1": None, "cam2": None}, "given: none"),
        ({"left": np.zeros((192, 256, 3))}, "camera 'left' is unknown; choose one of: cam0, cam1, cam2"),
        ({"cam1": np.zeros((50, 256, 3))}, "this image is 256x50, camera cam1 is calibrated for 256x192"),
        ({"cam1": np.zeros((192, 256))}, "camera cam1: an array of shape .192, 256. is grey"),
        ({"cam1": "nowhere.png"}, r"nowhere\.png: this image does not exist"),
    ],
)
def test_bad_input_is_one_line(change, line):
    cameras = ring(3)
    images = {**pictures(cameras), **change}
    with pytest.raises(DataError, match=line) as caught:
        rig_finder(cameras).find({name: image for name, image in images.items() if image is not None})
    assert "\n" not in str(caught.value)


def test_several_threads_may_find_at_once():
    cameras = ring(lens=BROWN)
    images, finder, found = pictures(cameras), rig_finder(cameras), []

    def work():
        for _ in range(5):
            found.append(finder.find(images)["red"].xyz)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 15
    assert np.ptp(found, axis=0).max() < 1e-9


def test_a_run_is_loaded(tmp_path):
    network = HeatmapNetwork(UNetConfig((4, 8), 1), NAMES, torch.Generator().manual_seed(0))
    extra = {"recipe": {"sigma": 1.5}, "max_size": 64, "looked_for": {"cam0": ["red"]}}
    save_network(tmp_path / "run", network, extra)
    cameras = ring(3)
    write_calibration(tmp_path / "calibration.toml", cameras)
    finder = samepoint.load_rig(
        tmp_path / "run", tmp_path / "calibration.toml", "cpu", readout="mean", refine=0
    )
    assert finder.names == NAMES
    assert finder.settings == PointSettings(1.5, "mean", refine=0)
    assert (finder.max_size, finder.threshold) == (64, 0.5)
    assert tuple(finder.calibration) == tuple(cameras)
    hits = finder.find(pictures(cameras))
    assert isinstance(hits["red"], samepoint.RigHit)
    assert set(hits["red"].uv) == set(cameras)
    assert set(hits["green"].uv) == {"cam1", "cam2"}


def test_other_runs_and_calibrations_are_refused(tmp_path):
    save_network(tmp_path / "run", DescriptorNetwork(NetworkConfig(dim=8, width=16)))
    with pytest.raises(RunError, match="no heatmaps of named keypoints; give a run of samepoint train s3k"):
        samepoint.load_rig(tmp_path / "run", ring())
    with pytest.raises(DataError, match=r"none\.toml"):
        rig_finder(tmp_path / "none.toml")


def test_a_picture_of_one_camera_is_that_of_its_calibration():
    """The spots that these tests draw lie where the geometry says."""
    camera = ring(1)["cam0"]
    image = picture(camera)
    for channel, name in enumerate(NAMES):
        v, u = np.unravel_index(image[..., channel].argmax(), image.shape[:2])
        assert (u, v) == pytest.approx(recorded(camera, POINTS[name]), abs=0.75)
