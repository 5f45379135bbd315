"""From seen corners to a first rig: each camera's lens alone, then cameras by the moments that two of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from samepoint.data.rig.bundle import NUMBERS, Rig, Sight, camera_matrix, project
from samepoint.errors import DataError
from samepoint.types import Size

FEWEST_VIEWS = 5
"""Views of a flat board that a lens needs; three would do without errors."""
MOST_VIEWS = 40
"""Of the views of a camera so many, spread evenly, make its first lens; all make the last."""


def first_lens(
    sights: Sequence[Sight], size: Size, fisheye: bool, where: object
) -> tuple[Float[np.ndarray, " 8"], float]:
    """A camera's lens from its own views, and the rms error in pixels. DataError if they do not determine one."""
    if len(sights) < FEWEST_VIEWS:
        what = f"the board is seen in {len(sights)} images, {FEWEST_VIEWS} is the least"
        mend = "show it to this camera in 15 or more poses, near and far, tilted to all sides"
        raise DataError(what, where=where, mend=mend)
    step = np.linspace(0, len(sights) - 1, min(len(sights), MOST_VIEWS)).round().astype(int)
    views = [sights[index] for index in step]
    shape, k, bent = (size[1], size[0]), np.eye(3), np.zeros(4)
    try:
        if fisheye:
            xyz = [view.xyz[:, None] for view in views]
            uv = [view.uv[:, None] for view in views]
            flags = cv2.fisheye.CALIB_RECOMPUTE_EXTRINSIC | cv2.fisheye.CALIB_FIX_SKEW
            rms, k, bent, *_ = cv2.fisheye.calibrate(xyz, uv, shape, k, bent, flags=flags)
        else:
            xyz = [view.xyz.astype(np.float32) for view in views]
            uv = [view.uv.astype(np.float32) for view in views]
            rms, k, bent, *_ = cv2.calibrateCamera(xyz, uv, shape, k, bent, flags=cv2.CALIB_FIX_K3)
        lens = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2], *np.ravel(bent)[:4]])
    except cv2.error:
        lens, rms = np.full(NUMBERS, np.nan), np.inf
    if not (np.isfinite(lens).all() and (lens[:2] > 0).all()):
        what = "these views of the board determine no lens"
        mend = "tilt it by 30 degrees and more to all sides, near and far, up to the edges of the image"
        raise DataError(what, where=where, mend=mend)
    return lens, float(rms)


def first_rig(
    lenses: Float[np.ndarray, "c 8"],
    sights: Sequence[Sight],
    names: Sequence[str],
    fisheye: bool,
    where: object,
) -> Rig:
    """Cameras one after the other, most shared moments first, by the pose that fits all these moments best; boards by
    the camera that fits best. The world is the first camera's frame. DataError for cameras that share no moment."""
    views = _Views(
        lenses,
        fisheye,
        {(s.camera, s.moment): s for s in sights},
        {(s.camera, s.moment): board_pose(s, lenses[s.camera], fisheye) for s in sights},
    )
    cameras: dict[int, np.ndarray] = {0: np.eye(4)}
    while len(cameras) < len(names):
        missing = [index for index in range(len(names)) if index not in cameras]
        pairs = [(known, new) for new in missing for known in cameras]
        known, new = max(pairs, key=lambda pair: len(views.shared(*pair)))
        if not views.shared(known, new):
            one, other = (", ".join(names[index] for index in part) for part in (missing, cameras))
            what = f"no moment shows the board to one of {one} and to one of {other}"
            mend = "show it to two cameras at once; images of one moment have one name in all folders"
            raise DataError(what, where=where, mend=mend)
        cameras[new] = views.between(known, new) @ cameras[known]
    moments = 1 + max(sight.moment for sight in sights)
    boards = np.stack([views.board(cameras, moment) for moment in range(moments)])
    return Rig(lenses, np.stack([cameras[index] for index in range(len(names))]), boards, fisheye)


def board_pose(sight: Sight, lens: Float[np.ndarray, " 8"], fisheye: bool) -> Float[np.ndarray, "4 4"]:
    """Camera from board, from one image."""
    k, seen, none = camera_matrix(lens), sight.uv[:, None], np.zeros(4)
    if fisheye:
        straight = cv2.fisheye.undistortPoints(seen, k, lens[4:])
    else:
        straight = cv2.undistortPoints(seen, k, lens[4:])
    _, turns, moves, _ = cv2.solvePnPGeneric(sight.xyz, straight, np.eye(3), none, flags=cv2.SOLVEPNP_IPPE)
    turn, move = cv2.solvePnPRefineLM(sight.xyz, straight, np.eye(3), none, turns[0], moves[0])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], move.ravel()
    return pose


@dataclass(frozen=True)
class _Views:
    """What is seen, and the pose of the board in each camera, by (camera, moment)."""

    lenses: Float[np.ndarray, "c 8"]
    fisheye: bool
    sights: Mapping[tuple[int, int], Sight]
    poses: Mapping[tuple[int, int], np.ndarray]

    def shared(self, a: int, b: int) -> list[int]:
        return [moment for camera, moment in self.poses if camera == a and (b, moment) in self.poses]

    def between(self, a: int, b: int) -> Float[np.ndarray, "4 4"]:
        """b from a: of what each shared moment says, that by which the boards that a sees lie best in b."""
        moments = self.shared(a, b)
        said = [self.poses[b, moment] @ np.linalg.inv(self.poses[a, moment]) for moment in moments]

        def error(b_from_a: np.ndarray) -> float:
            return float(np.median([self._error(b, m, b_from_a @ self.poses[a, m]) for m in moments]))

        return min(said, key=error)

    def board(self, cameras: Mapping[int, np.ndarray], moment: int) -> Float[np.ndarray, "4 4"]:
        """World from board: of what the cameras say, that which fits all of them best."""
        seeing = [camera for camera in cameras if (camera, moment) in self.poses]
        said = [np.linalg.inv(cameras[camera]) @ self.poses[camera, moment] for camera in seeing]

        def error(world_from_board: np.ndarray) -> float:
            return sum(self._error(c, moment, cameras[c] @ world_from_board) for c in seeing)

        return min(said, key=error)

    def _error(self, camera: int, moment: int, camera_from_board: np.ndarray) -> float:
        """Mean distance in pixels; infinite where the board is not in front."""
        sight = self.sights[camera, moment]
        xyz = sight.xyz @ camera_from_board[:3, :3].T + camera_from_board[:3, 3]
        if (xyz[:, 2] <= 0).any():
            return np.inf
        uv = project(xyz, self.lenses[camera], self.fisheye)[0]
        return float(np.linalg.norm(uv - sight.uv, axis=-1).mean())
