"""An analytic table-top: boxes on a plane, seen by exact depth cameras. Distances are metres, z is up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samepoint.fusion.frames import PosedFrame

SIZE = (120, 160)
K = np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]])


@dataclass(frozen=True)
class Box:
    low: tuple[float, float, float]
    high: tuple[float, float, float]


def looking_at(eye, target=(0.0, 0.0, 0.03)):
    """world_from_camera with OpenCV's axes."""
    forward = np.subtract(target, eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack((right, np.cross(forward, right), forward), axis=1)
    pose[:3, 3] = eye
    return pose


def cast(pose, boxes, size=SIZE, k=K):
    """Depth along the optical axis, and what is seen: -1 the plane z = 0 (40 cm about the origin), -2 nothing, else
    the box."""
    v, u = np.mgrid[: size[0], : size[1]]
    rays = np.stack((u, v, np.ones_like(u)), -1) @ np.linalg.inv(k).T @ pose[:3, :3].T
    eye = pose[:3, 3]
    with np.errstate(all="ignore"):
        depth = -eye[2] / rays[..., 2]
        hit = eye + depth[..., None] * rays
        on = (depth > 0) & (np.abs(hit[..., :2]) < 0.4).all(-1)
        depth, seen = np.where(on, depth, np.inf), np.where(on, -1, -2)
        for index, box in enumerate(boxes):
            near = (np.array(box.low) - eye) / rays
            far = (np.array(box.high) - eye) / rays
            enter, leave = np.minimum(near, far).max(-1), np.maximum(near, far).min(-1)
            mine = (enter < leave) & (enter > 0) & (enter < depth)
            depth, seen = np.where(mine, enter, depth), np.where(mine, index, seen)
    return np.where(np.isfinite(depth), depth, 0).astype(np.float32), seen


def ring(number=16, radius=0.5, height=0.4):
    angles = np.linspace(0, 2 * np.pi, number, endpoint=False)
    return [looking_at((radius * np.cos(a), radius * np.sin(a), height)) for a in angles]


def frames_of(boxes, poses, noise=0.0, size=SIZE, k=K):
    generator = np.random.default_rng(0)
    out = []
    for pose in poses:
        depth, seen = cast(pose, boxes, size, k)
        depth = np.where(depth > 0, depth + noise * generator.normal(size=depth.shape), 0).astype(np.float32)
        image = np.full((*size, 3), 90, np.uint8)
        image[seen >= 0] = (200, 60, 60)
        out.append(PosedFrame(image, depth, k, pose))
    return out
