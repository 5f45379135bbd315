"""Bundle adjustment of a rig that sees a flat board: lenses, cameras and boards that explain all corners best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

NUMBERS = 8
"""Of a lens: fx fy cx cy, then k1 k2 p1 p2 (Brown) or k1 k2 k3 k4 (fisheye)."""
BLOCK = NUMBERS + 6
"""Unknowns of a camera: its lens, then how it turns (radians) and moves (metres)."""
HUBER = (2.0, 0.2)
"""Pixels; corners that are further off count less: at first, and at last (if thrice the median error is not more)."""
AGREED = 5.0
"""Pixels; if a camera's median error is larger with the lenses as they are, they are left so: it is not they that are
wrong."""
PRIOR = 0.3
"""A coefficient of 1 costs as much as an error of so many pixels in one corner. Where corners say little of the lens,
this keeps it from running away; where they say something, it is nothing beside them."""


@dataclass(frozen=True)
class Sight:
    """Corners of the board (metres on the board) that a camera sees in a moment (pixels)."""

    camera: int
    moment: int
    xyz: Float[np.ndarray, "n 3"]
    uv: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class Rig:
    """`lenses`: see NUMBERS; `cameras`: camera from world; `boards`: world from board, one a moment. Metres."""

    lenses: Float[np.ndarray, "c 8"]
    cameras: Float[np.ndarray, "c 4 4"]
    boards: Float[np.ndarray, "m 4 4"]
    fisheye: bool


def project(
    xyz: Float[np.ndarray, "n 3"], lens: Float[np.ndarray, " 8"], fisheye: bool
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2 8"], Float[np.ndarray, "n 2 3"]]:
    """Pixels of points in the camera's frame, and their derivatives by the lens and by the points."""
    k, bent, zero = camera_matrix(lens), lens[4:], np.zeros(3)
    if fisheye:
        uv, slope = cv2.fisheye.projectPoints(xyz[:, None], zero, zero, k, bent)
        by_lens, by_point = slope[:, :8], slope[:, 11:14]
    else:
        uv, slope = cv2.projectPoints(xyz, zero, zero, k, bent)
        by_lens, by_point = slope[:, 6:14], slope[:, 3:6]
    return uv.reshape(-1, 2), by_lens.reshape(-1, 2, 8), by_point.reshape(-1, 2, 3)


def camera_matrix(lens: Float[np.ndarray, " 8"]) -> Float[np.ndarray, "3 3"]:
    fx, fy, cx, cy = lens[:4]
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def errors(rig: Rig, sights: Sequence[Sight]) -> list[Float[np.ndarray, "n 2"]]:
    """By sight: where the rig says that corners are, less where they are seen; pixels."""
    found = []
    for sight in sights:
        xyz = _moved(rig.cameras[sight.camera] @ rig.boards[sight.moment], sight.xyz)
        found.append(project(xyz, rig.lenses[sight.camera], rig.fisheye)[0] - sight.uv)
    return found


def refine(rig: Rig, sights: Sequence[Sight], steps: int = 50) -> tuple[Rig, Float[np.ndarray, "c 14"]]:
    """The rig of least error (Levenberg and Marquardt; Huber's loss), and standard deviations of cameras' unknowns.

    The first camera stays where it is. Poses are found first, then lenses too. Deviations assume independent errors
    of the corners; they are infinite where the sights do not determine the rig.
    """
    rig, huber = _descend(rig, sights, HUBER[0], steps, with_lenses=False), HUBER[0]
    if max(_medians(rig, sights)) <= AGREED:
        rig = _descend(rig, sights, HUBER[0], steps)
        huber = max(3 * max(_medians(rig, sights)), HUBER[1])
        rig = _descend(rig, sights, huber, steps)
    return rig, _System.of(rig, sights, huber).deviations(_cost(rig, sights, huber), sights)


def _descend(rig: Rig, sights: Sequence[Sight], huber: float, steps: int, with_lenses: bool = True) -> Rig:
    damping, cost = 1e-3, _cost(rig, sights, huber)
    system = _System.of(rig, sights, huber)
    for _ in range(steps):
        changed = system.step(rig, damping, with_lenses)
        new = np.inf if changed is None else _cost(changed, sights, huber)
        if changed is not None and new < cost:
            gained, rig, cost = cost - new, changed, new
            if gained < 1e-9 * (cost + 1e-12):
                break
            system, damping = _System.of(rig, sights, huber), max(damping / 10, 1e-9)
        elif damping > 1e6:
            break
        else:
            damping *= 10
    return rig


@dataclass(frozen=True)
class _System:
    """The normal equations, boards apart: each moment's six unknowns meet only those of the cameras."""

    cameras: Float[np.ndarray, "c c"]
    both: Float[np.ndarray, "m c 6"]
    boards: Float[np.ndarray, "m 6 6"]
    right_cameras: Float[np.ndarray, " c"]
    right_boards: Float[np.ndarray, "m 6"]

    @staticmethod
    def of(rig: Rig, sights: Sequence[Sight], huber: float) -> _System:
        unknowns, moments = BLOCK * len(rig.cameras), len(rig.boards)
        shapes = ((unknowns, unknowns), (moments, unknowns, 6), (moments, 6, 6), (unknowns,), (moments, 6))
        system = _System(*(np.zeros(shape) for shape in shapes))
        for sight in sights:
            error, by_camera, by_board = _slopes(rig, sight, huber)
            part = slice(BLOCK * sight.camera, BLOCK * (sight.camera + 1))
            system.cameras[part, part] += by_camera.T @ by_camera
            system.both[sight.moment, part] += by_camera.T @ by_board
            system.boards[sight.moment] += by_board.T @ by_board
            system.right_cameras[part] -= by_camera.T @ error
            system.right_boards[sight.moment] -= by_board.T @ error
        for camera, lens in enumerate(rig.lenses):
            bent = np.arange(BLOCK * camera + 4, BLOCK * camera + NUMBERS)
            system.cameras[bent, bent] += PRIOR**2
            system.right_cameras[bent] -= PRIOR**2 * lens[4:]
        return system

    def step(self, rig: Rig, damping: float, with_lenses: bool) -> Rig | None:
        """The rig after one step; None if the equations have no solution."""
        try:
            boards = np.linalg.inv(_damped(self.boards, damping))
            reduced = self._reduced(_damped(self.cameras, damping), boards)
            right = self.right_cameras - np.einsum("mci,mij,mj->c", self.both, boards, self.right_boards)
            free = self._free(with_lenses)
            by_camera = np.zeros(len(right))
            by_camera[free] = np.linalg.solve(reduced[np.ix_(free, free)], right[free])
        except np.linalg.LinAlgError:
            return None
        rest = self.right_boards - np.einsum("mci,c->mi", self.both, by_camera)
        by_board = np.einsum("mij,mj->mi", boards, rest)
        parts = by_camera.reshape(-1, BLOCK)
        lenses = rig.lenses + parts[:, :NUMBERS]
        if not np.isfinite(lenses).all() or (lenses[:, :2] <= 0).any():
            return None
        cameras = np.stack([_turned(m, d) for m, d in zip(rig.cameras, parts[:, NUMBERS:], strict=True)])
        moved = np.stack([_turned(m, d) for m, d in zip(rig.boards, by_board, strict=True)])
        return replace(rig, lenses=lenses, cameras=cameras, boards=moved)

    def deviations(self, cost: float, sights: Sequence[Sight]) -> Float[np.ndarray, "c 14"]:
        free = self._free(with_lenses=True)
        spread = np.full(len(self.right_cameras), np.inf)
        degrees = 2 * sum(len(sight.uv) for sight in sights) - len(free) - self.right_boards.size
        try:
            reduced = self._reduced(self.cameras, np.linalg.inv(self.boards))
            squares = np.diag(np.linalg.inv(reduced[np.ix_(free, free)]))
        except np.linalg.LinAlgError:
            return spread.reshape(-1, BLOCK)
        if degrees > 0 and (squares > 0).all():
            spread[free] = np.sqrt(squares * cost / degrees)
        return spread.reshape(-1, BLOCK)

    def _reduced(self, cameras: np.ndarray, boards: np.ndarray) -> np.ndarray:
        return cameras - np.einsum("mci,mij,mdj->cd", self.both, boards, self.both, optimize=True)

    def _free(self, with_lenses: bool) -> np.ndarray:
        unknowns = np.arange(len(self.right_cameras))
        pose_of_others = (unknowns % BLOCK >= NUMBERS) & (unknowns >= BLOCK)
        return np.flatnonzero(pose_of_others | (with_lenses & (unknowns % BLOCK < NUMBERS)))


def _slopes(rig: Rig, sight: Sight, huber: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors (2n), and their derivatives by the camera's 14 and the board's 6 unknowns, weighted by Huber's loss."""
    camera = rig.cameras[sight.camera]
    turned = sight.xyz @ rig.boards[sight.moment][:3, :3].T
    xyz = _moved(camera, turned + rig.boards[sight.moment][:3, 3])
    uv, by_lens, by_point = project(xyz, rig.lenses[sight.camera], rig.fisheye)
    error = uv - sight.uv
    far = np.linalg.norm(error, axis=-1)
    weight = np.sqrt(huber / np.maximum(far, huber))[:, None]
    turn = by_point @ _cross(camera[:3, 3] - xyz)
    by_camera = np.concatenate((by_lens, turn, by_point), axis=-1) * weight[..., None]
    in_world = by_point @ camera[:3, :3]
    by_board = np.concatenate((in_world @ _cross(-turned), in_world), axis=-1) * weight[..., None]
    return (error * weight).ravel(), by_camera.reshape(-1, BLOCK), by_board.reshape(-1, 6)


def _cost(rig: Rig, sights: Sequence[Sight], huber: float) -> float:
    far = np.linalg.norm(np.concatenate(errors(rig, sights)), axis=-1)
    fit = np.where(far <= huber, far**2, huber * (2 * far - huber)).sum()
    return float(fit + PRIOR**2 * (rig.lenses[:, 4:] ** 2).sum())


def _medians(rig: Rig, sights: Sequence[Sight]) -> list[float]:
    """By camera."""
    found: dict[int, list[np.ndarray]] = {}
    for sight, error in zip(sights, errors(rig, sights), strict=True):
        found.setdefault(sight.camera, []).append(np.linalg.norm(error, axis=-1))
    return [float(np.median(np.concatenate(distances))) for distances in found.values()]


def _damped(blocks: np.ndarray, damping: float) -> np.ndarray:
    diagonal = np.einsum("...ii->...i", blocks)
    return blocks + damping * diagonal[..., None] * np.eye(blocks.shape[-1])


def _turned(motion: np.ndarray, change: np.ndarray) -> np.ndarray:
    """A motion turned about its own origin in the target's frame, and moved."""
    turned = motion.copy()
    turned[:3, :3] = cv2.Rodrigues(change[:3])[0] @ motion[:3, :3]
    turned[:3, 3] += change[3:]
    return turned


def _moved(motion: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    return xyz @ motion[:3, :3].T + motion[:3, 3]


def _cross(xyz: np.ndarray) -> np.ndarray:
    """n 3 3 matrices: the cross product with each of these from the left."""
    x, y, z = xyz.T
    o = np.zeros_like(x)
    return np.stack((o, -z, y, z, o, -x, -y, x, o), axis=-1).reshape(-1, 3, 3)
