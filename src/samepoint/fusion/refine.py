"""Poses made to agree with the fused surface: a robot's or a tracker's are off by millimetres and tenths of a degree.

A frame's depth points are moved onto the surface, point to plane (Chen and Medioni 1991; frame to model as in
KinectFusion, Newcombe et al. 2011), by a motion that is small as a prior says: what the depth does not determine,
such as a shift along a bare table, stays as it was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float64

from samepoint.fusion.frames import PosedFrame
from samepoint.fusion.views import MeshViews

POINTS = 3000
ITERATIONS = 8
NEAR = 0.015
"""Metres: points farther from the surface are not on it."""
FACING = 0.3
"""Least cosine between the surface's normal and the way back to the camera."""
NOISE = 0.003
"""Standard deviation of a point's distance from the surface, metres. Neighbours err alike, hence `TOGETHER`."""
TOGETHER = 100.0
"""So many points count as one measurement."""


@dataclass(frozen=True)
class PosePrior:
    """How far poses may be off: standard deviations, metres and radians."""

    shift: float = 0.005
    turn: float = float(np.deg2rad(0.5))


def refined_pose(
    frame: PosedFrame, model: MeshViews, prior: PosePrior = PosePrior()
) -> Float64[np.ndarray, "4 4"]:
    """`world_from_camera` that is most probable, given the depth, the surface and the recorded pose."""
    points = _points(frame)
    pose, twist = frame.world_from_camera, np.zeros(6)
    precision = np.array([prior.turn**-2] * 3 + [prior.shift**-2] * 3)
    for _ in range(ITERATIONS):
        step = _step(points, pose, model, twist, precision)
        if step is None:
            return frame.world_from_camera
        twist = twist + step
        pose = _moved(frame.world_from_camera, twist)
        if np.abs(step).max() < 1e-5:
            break
    return pose


def _points(frame: PosedFrame) -> Float[np.ndarray, "n 3"]:
    """Depth points in the camera frame, on a regular grid of pixels."""
    rows, columns = np.nonzero(frame.depth > 0)
    chosen = slice(None, None, max(1, len(rows) // POINTS))
    rows, columns = rows[chosen], columns[chosen]
    rays = np.stack((columns, rows, np.ones_like(rows)), axis=-1) @ np.linalg.inv(frame.intrinsics).T
    return rays * frame.depth[rows, columns][:, None].astype(np.float64)


def _step(
    points: Float[np.ndarray, "n 3"],
    pose: Float64[np.ndarray, "4 4"],
    model: MeshViews,
    twist: Float64[np.ndarray, " 6"],
    precision: Float64[np.ndarray, " 6"],
) -> Float64[np.ndarray, " 6"] | None:
    """One step of Gauss-Newton for (turn, shift) in the camera's frame; None where nothing is near the surface."""
    if not len(points):
        return None
    world = points @ pose[:3, :3].T + pose[:3, 3]
    nearest, normals = model.closest(world)
    way = world - nearest
    normals = normals.astype(np.float64)
    back = pose[:3, 3] - world
    back /= np.maximum(np.linalg.norm(back, axis=1, keepdims=True), 1e-9)
    used = (np.linalg.norm(way, axis=1) < NEAR) & ((normals * back).sum(1) > FACING)
    if used.sum() < 6:
        return None
    error, normal, point = (way * normals).sum(1)[used], normals[used] @ pose[:3, :3], points[used]
    weight = (
        1 / (NOISE**2 * TOGETHER) / (1 + (error / NOISE) ** 2)
    )  # Cauchy: what moved or mixes two surfaces
    jacobian = np.concatenate((np.cross(point, normal), normal), axis=1)
    normal_matrix = jacobian.T @ (weight[:, None] * jacobian) + np.diag(precision)
    return -np.linalg.solve(normal_matrix, jacobian.T @ (weight * error) + precision * twist)


def _moved(
    world_from_camera: Float64[np.ndarray, "4 4"], twist: Float64[np.ndarray, " 6"]
) -> Float64[np.ndarray, "4 4"]:
    """The camera turned and shifted in its own frame."""
    motion = np.eye(4)
    motion[:3, :3] = cv2.Rodrigues(twist[:3])[0]
    motion[:3, 3] = twist[3:]
    return world_from_camera @ motion
