"""How far a calibration by a ChArUco board can be trusted: numbers, and doubts in sentences that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from samepoint.data.rig.bundle import Rig, Sight, errors
from samepoint.data.rig.charuco_board import Board, marker_length
from samepoint.data.rig.charuco_images import Looked
from samepoint.errors import DataError

GRID = (6, 8)
"""Rows and columns of cells by which the coverage of an image is measured."""
HIGH_RMS, USELESS_RMS, FEW_IMAGES, FEW_SHARED = 1.0, 3.0, 10, 3
LITTLE_COVERAGE, WIDE_MARGIN = 0.4, 0.25
SAME_TILT, UNSURE_FOCAL, OTHER_LENGTH = 20.0, 0.01, 0.03
EDGES = ("left", "right", "upper", "lower")


@dataclass(frozen=True)
class CameraQuality:
    """`images` with the board of `of_images`; `corners` seen in all of them. Reprojection errors in pixels: `rms` and
    the 95th percentile in the rig, `rms_alone` of the camera by itself. `coverage`: the share of the image's cells
    that hold a corner. `margins`: how far the corners stay from the left, right, upper and lower edge, as shares of
    width and height. `tilts`: the greatest angle between two normals of the board, degrees. `focal_deviation`: the
    standard deviation of the focal length, as a share of it (infinite where it is not determined)."""

    images: int
    of_images: int
    corners: int
    rms: float
    percentile_95: float
    rms_alone: float
    coverage: float
    margins: tuple[float, float, float, float]
    tilts: float
    focal_deviation: float


@dataclass(frozen=True)
class CalibrationQuality:
    """By camera; `shared`: moments in which two cameras see the board; `rms` of all corners (pixels);
    `warnings`: what is doubtful, a sentence each."""

    cameras: Mapping[str, CameraQuality]
    shared: Mapping[tuple[str, str], int]
    rms: float
    warnings: tuple[str, ...]


def quality_of(
    looked: Mapping[str, Looked],
    board: Board,
    rig: Rig,
    sights: Sequence[Sight],
    alone: Sequence[float],
    deviations: Float[np.ndarray, "c 14"],
) -> CalibrationQuality:
    """Of a solved rig whose cameras are in the order of `looked`; `alone`: each camera's rms by itself."""
    found = errors(rig, sights)
    cameras: dict[str, CameraQuality] = {}
    for index, (name, camera) in enumerate(looked.items()):
        own = [i for i, sight in enumerate(sights) if sight.camera == index]
        error = np.linalg.norm(np.concatenate([found[i] for i in own]), axis=-1)
        uv = np.concatenate([sights[i].uv for i in own])
        normals = np.stack([(rig.cameras[index] @ rig.boards[sights[i].moment])[:3, 2] for i in own])
        covered, margins = _coverage(uv, camera)
        cameras[name] = CameraQuality(
            images=len(own),
            of_images=camera.images,
            corners=len(uv),
            rms=_rms(error),
            percentile_95=float(np.quantile(error, 0.95)),
            rms_alone=alone[index],
            coverage=covered,
            margins=margins,
            tilts=float(np.degrees(np.arccos(np.clip(normals @ normals.T, -1, 1).min()))),
            focal_deviation=float((deviations[index, :2] / rig.lenses[index, :2]).max()),
        )
    shared = {(a, b): len(looked[a].boards.keys() & looked[b].boards) for a, b in combinations(looked, 2)}
    sound = all(camera.rms <= HIGH_RMS for camera in cameras.values())
    warnings = [doubt for name, camera in cameras.items() for doubt in _doubts(name, camera, sound)]
    warnings += [*_loose(shared, list(cameras)), *_misprinted(board, looked)]
    rms = _rms(np.linalg.norm(np.concatenate(found), axis=-1))
    return CalibrationQuality(cameras, shared, rms, tuple(warnings))


def check_quality(quality: CalibrationQuality, where: object) -> None:
    """DataError if a camera's error is so large that something is wrong."""
    worst = max(quality.cameras, key=lambda name: quality.cameras[name].rms)
    rms, alone = quality.cameras[worst].rms, quality.cameras[worst].rms_alone
    if not rms <= USELESS_RMS:
        mend = _mend_error(quality.cameras[worst])
        what = f"camera {worst} is off by {rms:.1f} px (rms; alone it would be {alone:.2f}): too much"
        raise DataError(what, where=where, mend=f"{mend}; --force writes it all the same")


def _mend_error(quality: CameraQuality) -> str:
    if quality.rms_alone < quality.rms / 2:
        return "images of one name must be taken at one moment, by cameras that stand still, of one board"
    return "take sharper images of a flat board, or give --fisheye for a wide lens"


def _doubts(name: str, quality: CameraQuality, sound: bool) -> Iterator[str]:
    if quality.rms > HIGH_RMS:
        alone = f"alone it would be {quality.rms_alone:.2f}"
        yield f"{name}: the error of {quality.rms:.2f} px (rms; {alone}) is large: {_mend_error(quality)}"
    if quality.images < FEW_IMAGES:
        yield f"{name}: {quality.images} images with the board are few: take 15 to 40"
    if quality.coverage < LITTLE_COVERAGE:
        share = f"{100 * quality.coverage:.0f} %"
        yield f"{name}: corners cover {share} of the image: bring the board near and to all parts of the image"
    bare = [edge for edge, margin in zip(EDGES, quality.margins, strict=True) if margin > WIDE_MARGIN]
    if len(bare) > 1:
        yield f"{name}: no corners near the {', '.join(bare)} edges, so the lens is not known there"
    unsure = sound and not quality.focal_deviation < UNSURE_FOCAL
    if quality.tilts < SAME_TILT or unsure:
        tilts = f"the board's tilts are within {quality.tilts:.0f} degrees"
        focal = f"its focal length is known to {100 * quality.focal_deviation:.1f} %"
        yield f"{name}: {tilts}, {focal}: tilt it by 30 degrees and more to all sides"


def _loose(shared: Mapping[tuple[str, str], int], names: list[str]) -> Iterator[str]:
    """Cameras that few moments hold to any other camera."""
    for name in names:
        most = max((count for pair, count in shared.items() if name in pair), default=FEW_SHARED)
        if most < FEW_SHARED:
            yield f"{name}: shares {most} moments with another camera: show the board to both in more"


def _misprinted(board: Board, looked: Mapping[str, Looked]) -> Iterator[str]:
    """Where the printed board is not quite the one that was said."""
    found = [one for camera in looked.values() for one in camera.boards.values()]
    rows = max(int(one.ids.max()) for one in found) // (board.columns - 1) + 2
    if rows < board.rows:
        yield f"no image shows more than {rows} of the board's {board.rows} rows: count its squares"
    measured = [both for one in found if (both := marker_length(board, one)) is not None]
    length, pixels = np.median(measured, axis=0) if measured else (board.marker, 1.0)
    if not 1 - 1 / pixels - OTHER_LENGTH < length / board.marker < 1 + OTHER_LENGTH:
        square, marker, seen = (f"{1000 * length:.1f}" for length in (board.square, board.marker, length))
        mend = "measure --square, by which all distances scale, and --marker"
        yield f"beside squares of {square} mm, markers look like {seen} mm, not {marker}: {mend}"


def _coverage(
    uv: Float[np.ndarray, "n 2"], camera: Looked
) -> tuple[float, tuple[float, float, float, float]]:
    height, width = camera.size
    at = (uv + 0.5) / (width, height)
    cells = np.clip((at[:, ::-1] * GRID).astype(int), 0, np.array(GRID) - 1)
    covered = len(np.unique(cells, axis=0)) / (GRID[0] * GRID[1])
    (left, upper), (right, lower) = at.min(axis=0), 1 - at.max(axis=0)
    return covered, (float(left), float(right), float(upper), float(lower))


def _rms(error: Float[np.ndarray, " n"]) -> float:
    return float(np.sqrt((error**2).mean()))
