"""`samepoint data calibrate | calibration`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tyro.constructors import PrimitiveConstructorSpec

from samepoint.data.rig.anipose import check_free, write_calibration
from samepoint.data.rig.camera import Camera
from samepoint.data.rig.charuco import calibrate
from samepoint.data.rig.charuco_board import Board
from samepoint.data.rig.charuco_images import with_first_marker
from samepoint.data.rig.charuco_quality import CalibrationQuality, check_quality
from samepoint.data.rig.forms import read_form, renamed
from samepoint.errors import DataError
from samepoint.geometry.cameras import focal_length

FAR, NEAR = 20.0, 0.005
"""Metres: cameras of a rig are seldom further apart or nearer."""


def pair_of(text: str) -> tuple[int, int]:
    """The two numbers of "7x5"."""
    first, _, second = text.partition("x")
    if not (first.isdigit() and second.isdigit()):
        raise DataError(f"{text!r} is not two numbers", mend="write them as in 7x5")
    return int(first), int(second)


PAIR = PrimitiveConstructorSpec[tuple[int, int]](
    nargs=1,
    metavar="AxB",
    instance_from_str=lambda words: pair_of(words[0]),
    is_instance=lambda value: isinstance(value, tuple) and len(value) == 2,
    str_from_instance=lambda pair: [f"{pair[0]}x{pair[1]}"],
)


@dataclass(frozen=True)
class Calibrate:
    """Calibrate cameras by images of a ChArUco board: `images`/CAMERA/MOMENT.png, one name for one moment.

    `board`: squares along both edges, as 7x5. `square`, `marker`: their edges in metres, measured on the print.
    `legacy`: a board made by OpenCV before 4.6. `first_id`: the number of the board's first marker; without it, it is
    found in the images. `fisheye`: wide lenses. `force`: write it even if the error is large.
    """

    images: tyro.conf.Positional[Path]
    board: Annotated[tuple[int, int], PAIR]
    square: float
    marker: float
    out: Path
    dictionary: str = "DICT_5X5_100"
    legacy: bool = False
    first_id: int | None = None
    fisheye: bool = False
    force: bool = False

    def run(self) -> None:
        check_free(self.out)
        board = Board(*self.board, self.square, self.marker, self.dictionary, self.legacy, self.first_id or 0)
        if self.first_id is None:
            board = with_first_marker(self.images, board)
            if board.first:
                print(f"the markers of the board begin at {board.first} (--first-id {board.first})")
        cameras, quality = calibrate(self.images, board, self.fisheye, _progress)
        for line in [*quality_lines(cameras, quality), *distance_lines(cameras, "--square is in metres")]:
            print(line)
        for warning in quality.warnings:
            print(_coloured(f"WARNING {warning}"))
        if not self.force:
            check_quality(quality, self.images)
        write_calibration(self.out, cameras)
        print(f"written to {self.out}")


@dataclass(frozen=True)
class Convert:
    """Convert a calibration into Anipose's form (docs/multi-camera.md).

    `form`: opencv (YAML, XML or JSON, or a folder of them; also of EasyMocap, ROS, EuRoC), openpose, multical, kalibr
    (camchain.yaml) or anipose. `metres_per_unit`: of the translations in the file. `size` (WIDTHxHEIGHT) and
    `fisheye`: what files may not say. `names`: of the cameras, in their order.
    """

    form: tyro.conf.Positional[str]
    source: tyro.conf.Positional[Path]
    out: Path
    metres_per_unit: float | None = None
    size: Annotated[tuple[int, int], PAIR] | None = None
    fisheye: bool = False
    names: tuple[str, ...] = ()

    def run(self) -> None:
        size = None if self.size is None else (self.size[1], self.size[0])
        cameras = read_form(self.form, self.source, self.metres_per_unit, size, self.fisheye or None)
        cameras = renamed(cameras, self.names) if self.names else cameras
        for camera in cameras.values():
            print(describe(camera))
        for line in distance_lines(cameras, "--metres-per-unit 0.001 reads millimetres"):
            print(line)
        write_calibration(self.out, cameras)
        print(f"written to {self.out}")


def describe(camera: Camera) -> str:
    """A camera in one line."""
    lens = "no lens" if camera.lens is None else f"{camera.lens.model} lens"
    focal = float(focal_length(camera.intrinsics))
    return f"{camera.name:12} {camera.size[1]}x{camera.size[0]}, focal length {focal:.1f} px, {lens}"


def quality_lines(cameras: Mapping[str, Camera], quality: CalibrationQuality) -> list[str]:
    """A table, a line for each camera: errors are pixels."""
    lines = [
        f"{'camera':12} {'images':>8} {'corners':>8} {'rms':>6} {'95 %':>6} {'alone':>6} {'covered':>8}  focal length"
    ]
    for name, of in quality.cameras.items():
        images = f"{of.images}/{of.of_images}"
        focal = f"{float(focal_length(cameras[name].intrinsics)):.1f} +- {100 * of.focal_deviation:.2f} %"
        errors = f"{of.rms:6.2f} {of.percentile_95:6.2f} {of.rms_alone:6.2f}"
        lines.append(f"{name:12} {images:>8} {of.corners:8} {errors} {100 * of.coverage:6.0f} %  {focal}")
    shared = ", ".join(f"{a} and {b} {count}" for (a, b), count in quality.shared.items())
    return [*lines, f"moments shared: {shared}"] if shared else lines


def distance_lines(cameras: Mapping[str, Camera], mend: str) -> list[str]:
    """How far cameras are from the first one, and a warning that says how to `mend` a unit that looks wrong."""
    first, *rest = cameras.values()
    centre = first.world_from_camera[:3, 3]
    far = {camera.name: float(torch.dist(camera.world_from_camera[:3, 3], centre)) for camera in rest}
    if not far:
        return []
    lines = [
        f"distances from {first.name}: {', '.join(f'{name} {1000 * m:.1f} mm' for name, m in far.items())}"
    ]
    if max(far.values()) > FAR or max(far.values()) < NEAR:
        lines.append(_coloured(f"WARNING is the unit right? {mend}"))
    return lines


def _progress(name: str, done: int, images: int) -> None:
    if done == images or done % 20 == 0:
        print(f"{name}: looked at {done} of {images} images", flush=True)


def _coloured(line: str) -> str:
    return f"\033[33m{line}\033[0m" if sys.stdout.isatty() else line
