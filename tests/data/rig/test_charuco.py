"""Calibration from drawn images of a board, whose cameras are known exactly."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.data.rig.drawn_board import BOARD, MATRICES, Painter, draw_rig, lenses, rig_cameras

from samepoint.cli.main import run
from samepoint.data.rig.anipose import read_calibration
from samepoint.data.rig.charuco import calibrate
from samepoint.data.rig.charuco_board import Board, check_board, find, first_marker
from samepoint.data.rig.charuco_images import look, with_first_marker
from samepoint.data.rig.charuco_quality import check_quality
from samepoint.errors import DataError

OPTIONS = ["--board", "7x5", "--square", "0.03", "--marker", "0.022"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return draw_rig(tmp_path_factory.mktemp("brown"), fisheye=False, moments=12)


@pytest.fixture
def copy(images, tmp_path):
    """Some of them, to be changed."""
    for path in images.glob("*/00[0-6].png"):
        (tmp_path / "images" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "images" / path.parent.name)
    return tmp_path / "images"


@pytest.fixture(scope="module")
def fisheye_images(tmp_path_factory):
    return draw_rig(tmp_path_factory.mktemp("fisheye"), fisheye=True, moments=12)


def off(cameras, fisheye):
    """Greatest errors: focal length (share), principal point (pixels), angle (degrees), place (mm), in the first
    camera's frame."""
    greatest = np.zeros(4)
    true = rig_cameras(fisheye)
    for index, camera in enumerate(cameras.values()):
        k, found = MATRICES[fisheye][index], camera.intrinsics.double().numpy()
        focal = abs(np.diag(found)[:2] / np.diag(k)[:2] - 1).max()
        first_from_camera = true[0] @ np.linalg.inv(true[index])
        away = np.linalg.inv(first_from_camera) @ camera.world_from_camera.double().numpy()
        angle = np.degrees(np.linalg.norm(cv2.Rodrigues(away[:3, :3])[0]))
        errors = (focal, abs(found[:2, 2] - k[:2, 2]).max(), angle, 1000 * np.linalg.norm(away[:3, 3]))
        greatest = np.maximum(greatest, errors)
    return greatest


def test_a_rig_is_found_again(images):
    cameras, quality = calibrate(images, BOARD)
    assert list(cameras) == list(quality.cameras) == ["left", "middle", "right"]
    assert all(camera.size == (480, 640) for camera in cameras.values())
    assert (off(cameras, fisheye=False) < (0.005, 2, 0.2, 1)).all()
    for index, (name, of) in enumerate(quality.cameras.items()):
        assert (of.rms, of.percentile_95) < (0.3, 0.3)
        assert of.focal_deviation < 0.005
        assert of.of_images == 12
        assert cameras[name].lens.model == "brown"
        np.testing.assert_allclose(cameras[name].lens.coefficients, lenses(False)[index], atol=0.03)
    assert quality.shared["left", "middle"] >= 10
    assert quality.rms < 0.3
    check_quality(quality, images)


def test_a_rig_of_fisheye_lenses_is_found_again(fisheye_images):
    cameras, _ = calibrate(fisheye_images, BOARD, fisheye=True)
    assert (off(cameras, fisheye=True) < (0.01, 2, 0.3, 2)).all()
    assert {camera.lens.model for camera in cameras.values()} == {"fisheye"}


def test_convention_corners_are_measured_from_the_centre_of_the_first_pixel():
    """Squares of 100 pixels meet between pixels 99 and 100. OpenCV's own detector is half a pixel off."""
    grey = cv2.copyMakeBorder(
        BOARD.opencv.generateImage((700, 500)), *(60,) * 4, cv2.BORDER_CONSTANT, value=255
    )
    found = find(BOARD, cv2.GaussianBlur(grey, (0, 0), 1))
    assert len(found.ids) == 24
    np.testing.assert_allclose(found.uv, BOARD.corners[found.ids, :2] / 0.03 * 100 + 59.5, atol=0.01)


BOARDS = [(7, 5), (5, 7), (8, 5), (7, 6), (6, 5), (7, 6, "legacy"), (8, 6, "legacy"), (9, 6)]


@pytest.mark.parametrize("printed", BOARDS)
def test_another_board_than_the_printed_one_is_said(printed):
    columns, rows, *legacy = printed
    board = Board(columns, rows, 0.03, 0.022, legacy=bool(legacy))
    paper = board.opencv.generateImage((100 * columns, 100 * rows))
    grey = cv2.copyMakeBorder(paper, *(60,) * 4, cv2.BORDER_CONSTANT, value=255)
    for said in ((7, 5), (9, 4)):
        found = find(said := Board(*said, 0.03, 0.022), grey)
        if said == board:
            check_board(said, [found], "images")
            continue
        with pytest.raises(DataError, match=rf"they fit {re.escape(board.options())}\Z"):
            check_board(said, [found], "images")


@pytest.mark.parametrize(
    ("board", "line"),
    [
        (lambda: Board(7, 5, 0.022, 0.03), "a marker of 0.03 m does not fit a square of 0.022 m"),
        (lambda: Board(7, 5, 30.0, 22.0), "give the lengths .* in metres"),
        (lambda: Board(2, 5, 0.03, 0.02), "too small; count squares, not corners"),
        (lambda: Board(20, 20, 0.03, 0.02), "has 200 markers, DICT_5X5_100 fewer"),
        (lambda: Board(7, 5, 0.03, 0.02, "5x5"), "dictionary '5x5' is unknown; choose one of: DICT_4X4_50"),
    ],
)
def test_boards_that_are_none(board, line):
    with pytest.raises(DataError, match=line):
        board()


def test_boards_that_are_not_seen(copy):
    with pytest.raises(
        DataError, match=r"no image shows a board .* another dictionary: --dictionary DICT_5X5_50"
    ):
        calibrate(copy, Board(7, 5, 0.03, 0.022, "DICT_4X4_50"))
    dark = copy / "dark"
    dark.mkdir()
    for index in range(6):
        cv2.imwrite(str(dark / f"{index:03}.png"), np.zeros((480, 640), np.uint8))
    with pytest.raises(DataError, match="dark: the board is seen in none of 6 images"):
        calibrate(copy, BOARD)
    for name in ("left", "middle", "right"):
        shutil.rmtree(copy / name)
    with pytest.raises(DataError, match=r"no image shows a board .*; check --dictionary"):
        calibrate(copy, BOARD)


def test_cameras_that_meet_only_through_a_third(images, tmp_path):
    shutil.copytree(images, tmp_path / "images")
    for index in range(12):
        (tmp_path / "images" / ("left" if index < 6 else "right") / f"{index:03}.png").unlink()
    cameras, quality = calibrate(tmp_path / "images", BOARD)
    assert quality.shared["left", "right"] == 0
    assert (off(cameras, fisheye=False) < (0.01, 3, 0.4, 3)).all()
    assert any("left: 6 images with the board are few" in warning for warning in quality.warnings)


def test_cameras_that_share_no_moment(copy):
    for path in (copy / "right").iterdir():
        path.rename(path.with_stem(f"right{path.stem}"))
    with pytest.raises(
        DataError, match="no moment shows the board to one of right and to one of left, middle"
    ):
        calibrate(copy, BOARD)


def test_too_few_images(copy):
    for path in sorted((copy / "middle").iterdir())[4:]:
        path.unlink()
    with pytest.raises(DataError, match=r"middle: the board is seen in \d images, 5 is the least"):
        calibrate(copy, BOARD)


def test_images_of_two_sizes(copy):
    path = copy / "middle" / "005.png"
    cv2.imwrite(str(path), cv2.imread(str(path))[:400])
    with pytest.raises(DataError, match=r"005.png: is 640x400, the images before it are 640x480"):
        calibrate(copy, BOARD)


def test_moments_that_are_not_of_one_moment(copy, capsys):
    """Each camera by itself is fine; together they cannot be."""
    paths = sorted((copy / "middle").iterdir())
    for path in paths:
        path.rename(path.with_stem(f"x{path.stem}"))
    for index, path in enumerate(paths):
        path.with_stem(f"x{path.stem}").rename(paths[(5 * index + 3) % len(paths)])
    out = copy.parent / "calibration.toml"
    assert run(["data", "calibrate", str(copy), *OPTIONS, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert "px (rms; alone it would be 0." in captured.err
    assert "taken at one moment" in captured.err
    assert "--force" in captured.err
    assert captured.err.count("\n") == 1
    assert "WARNING middle: the error of" in captured.out
    assert not out.exists()


def test_a_board_of_other_lengths_and_fewer_rows(copy):
    _, quality = calibrate(copy, Board(7, 6, 0.034, 0.022))
    assert any(line.startswith("beside squares of 34.0 mm, markers look like 2") for line in quality.warnings)
    assert any("more than 5 of the board's 6 rows" in line for line in quality.warnings)


def test_boards_at_one_tilt_in_the_middle_of_the_image(tmp_path):
    painter = Painter(BOARD, MATRICES[False][0], lenses(False)[0], (480, 640))
    (tmp_path / "left").mkdir()
    generator = np.random.default_rng(0)
    for index in range(6):
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(generator.uniform(-0.03, 0.03, 3))[0]
        pose[:3, 3] = (-0.1, -0.08, 0.6 + 0.02 * index)
        cv2.imwrite(str(tmp_path / "left" / f"{index}.png"), painter.draw(pose))
    cameras, quality = calibrate(tmp_path, BOARD)
    assert list(cameras) == ["left"]
    said = "\n".join(quality.warnings)
    assert "left: 6 images with the board are few" in said
    assert "% of the image: bring the board near" in said
    assert "left: no corners near the left, right, upper, lower edges" in said
    assert "left: the board's tilts are within" in said


def test_the_command(images, tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "calibration.toml"
    monkeypatch.setattr("samepoint.data.rig.charuco_quality.USELESS_RMS", 0.01)
    assert run(["data", "calibrate", str(images), *OPTIONS, "--out", str(out)]) == 2
    assert not out.exists()
    assert run(["data", "calibrate", str(images), *OPTIONS, "--out", str(out), "--force"]) == 0
    printed = capsys.readouterr().out
    assert "focal length" in printed
    assert "moments shared: left and middle 1" in printed
    assert "distances from left: middle 15" in printed
    cameras = read_calibration(out)
    assert (off(cameras, fisheye=False) < (0.005, 2, 0.2, 1)).all()
    other = tmp_path / "other.toml"
    words = ["--metres-per-unit", "0.001", "--names", "a", "b", "c"]
    assert run(["data", "calibration", "anipose", str(out), "--out", str(other), *words]) == 0
    printed = capsys.readouterr().out
    assert "WARNING is the unit right?" in printed
    assert list(read_calibration(other)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["calibrate", "nowhere", *OPTIONS], "nowhere: this folder does not exist"),
        (
            ["calibrate", "empty", *OPTIONS],
            "empty: holds no folders with images; put the images of each camera",
        ),
        (["calibrate", "file", *OPTIONS], "file: is not a folder"),
        (["calibrate", "truncated", *OPTIONS], "000.png: this image is damaged or truncated"),
        (
            ["calibrate", "empty", "--board", "7by5", "--square", "1", "--marker", "1"],
            "'7by5' is not two numbers",
        ),
        (["calibration", "opencv", "nowhere"], "nowhere: this file does not exist"),
        (["calibration", "opencv", "empty"], "holds no YAML, XML or JSON file"),
        (
            ["calibration", "matlab", "file"],
            "form 'matlab' is unknown; choose one of: anipose, kalibr, opencv",
        ),
        (["calibration", "kalibr", "file", "--size", "3x3"], "leave --size and --fisheye out"),
        (["calibration", "anipose", "file", "--metres-per-unit", "-1"], "-1 metres a unit is not above 0"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(images, tmp_path, monkeypatch, capsys, words, line):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "truncated/left"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    whole = (images / "left" / "000.png").read_bytes()
    (tmp_path / "truncated" / "left" / "000.png").write_bytes(whole[: len(whole) // 2])
    assert run(["data", *words, "--out", "out.toml"]) == 2
    captured = capsys.readouterr()
    assert line in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out.toml").exists()


def test_where_nothing_can_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    for out, line in (
        (tmp_path, "is a folder; give a file"),
        (tmp_path / "file" / "a.toml", "is not a folder"),
    ):
        assert run(["data", "calibrate", str(tmp_path), *OPTIONS, "--out", str(out)]) == 2
        assert line in capsys.readouterr().err


OFFSET = Board(7, 5, 0.03, 0.022, first=17)


def seen(board, moments=3):
    """A board alone in front of a camera, in several poses."""
    painter = Painter(board, MATRICES[False][0], np.zeros(4), (480, 640))
    found = []
    for turn in np.linspace(-0.3, 0.3, moments):
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(np.array([turn, 0.2, 0.1]))[0]
        pose[:3, 3] = (-0.1, -0.07, 0.3)
        found.append(painter.draw(pose))
    return found


@pytest.mark.parametrize("first", [0, 5, 17])
def test_the_first_marker_is_found_by_how_the_markers_lie(first):
    found = [find(BOARD, grey) for grey in seen(replace(BOARD, first=first))]
    assert first_marker(BOARD, found) == first


def test_corners_of_a_board_whose_markers_begin_later():
    """The same corners as those of the board that begins at 0."""
    (grey,), (plain,) = seen(OFFSET, 1), seen(BOARD, 1)
    found, wanted = find(OFFSET, grey), find(BOARD, plain)
    assert found.ids.tolist() == wanted.ids.tolist() == list(range(24))
    assert np.abs(found.uv - wanted.uv).max() < 0.2
    assert found.marker_ids.min() == 17


def test_a_board_that_begins_elsewhere_than_said(tmp_path, capsys):
    for k, grey in enumerate(seen(OFFSET)):
        for camera in ("left", "right"):
            (tmp_path / camera).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / camera / f"{k}.png"), grey)
    with pytest.raises(DataError, match="they fit --board 7x5 --dictionary DICT_5X5_100 --first-id 17"):
        look(tmp_path, BOARD)
    assert with_first_marker(tmp_path, BOARD) == OFFSET
    assert with_first_marker(tmp_path, replace(BOARD, dictionary="DICT_4X4_50")).first == 0
    out = tmp_path / "out.toml"
    assert run(["data", "calibrate", str(tmp_path), *OPTIONS, "--out", str(out)]) == 2  # too few images
    assert "begin at 17 (--first-id 17)" in capsys.readouterr().out
    with pytest.raises(DataError, match="they fit --board 7x5 --dictionary DICT_5X5_100 --first-id 17"):
        look(tmp_path, replace(BOARD, first=14))


def test_a_first_marker_that_no_board_has():
    with pytest.raises(DataError, match="up to number 106, DICT_5X5_100 fewer"):
        Board(7, 5, 0.03, 0.022, first=90)
    with pytest.raises(DataError, match="-1 is the number of no marker"):
        Board(7, 5, 0.03, 0.022, first=-1)
