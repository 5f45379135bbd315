"""Calibrating a rig from images of a ChArUco board: lenses and poses, and how far they can be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from samepoint.data.rig.bundle import Rig, Sight, camera_matrix, refine
from samepoint.data.rig.camera import Camera
from samepoint.data.rig.camera_checks import checked_camera
from samepoint.data.rig.charuco_board import Board
from samepoint.data.rig.charuco_images import Looked, Progress, look
from samepoint.data.rig.charuco_quality import CalibrationQuality, quality_of
from samepoint.data.rig.charuco_start import first_lens, first_rig
from samepoint.geometry.lenses import Lens


def calibrate(
    images: Path, board: Board, fisheye: bool = False, progress: Progress | None = None
) -> tuple[dict[str, Camera], CalibrationQuality]:
    """The cameras whose folders of images lie in `images`, in metres; the world is the first one's frame.

    Lenses are Brown's k1 k2 p1 p2, or fisheye k1 k2 k3 k4. All corners of all images count; lenses, cameras and
    boards are solved for together. DataError where that cannot be: see `look`, `first_lens`, `first_rig`.
    """
    images = Path(images)
    looked = look(images, board, progress)
    sights = _sights(looked, board)
    alone = [
        first_lens([s for s in sights if s.camera == index], camera.size, fisheye, images / name)
        for index, (name, camera) in enumerate(looked.items())
    ]
    start = first_rig(np.stack([lens for lens, _ in alone]), sights, list(looked), fisheye, images)
    rig, deviations = refine(start, sights)
    cameras = {
        name: _camera(camera, rig, index, images / name)
        for index, (name, camera) in enumerate(looked.items())
    }
    return cameras, quality_of(looked, board, rig, sights, [rms for _, rms in alone], deviations)


def _sights(looked: dict[str, Looked], board: Board) -> list[Sight]:
    places = board.corners
    moments = sorted({moment for camera in looked.values() for moment in camera.boards})
    return [
        Sight(index, moments.index(moment), places[found.ids], found.uv)
        for index, camera in enumerate(looked.values())
        for moment, found in camera.boards.items()
    ]


def _camera(looked: Looked, rig: Rig, index: int, where: Path) -> Camera:
    numbers = rig.lenses[index]
    lens = Lens("fisheye" if rig.fisheye else "brown", tuple(numbers[4:].tolist()))
    size = (looked.size[1], looked.size[0])
    return checked_camera(looked.name, size, camera_matrix(numbers), lens, rig.cameras[index], where)
