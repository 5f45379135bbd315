"""Errors of real sensors, put on rendered views."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

DEPTH_NOISE = 0.0015
"""Standard deviation of depth in metres at 1 m; it grows with the square of the distance."""
EDGE, GRAZING = 0.02, 6.0
"""Holes: where depth steps by more than EDGE metres beyond what a steep surface does from pixel to pixel, and
where it rises faster than GRAZING metres a metre."""
POSE_SHIFT, POSE_TURN = 0.002, np.deg2rad(0.3)


def noisy_depth(
    generator: np.random.Generator, depth: Float[np.ndarray, "h w"], focal: float
) -> Float[np.ndarray, "h w"]:
    """Depth with noise, and 0 at steps, at grazing angles and in a few blotches."""
    far, near = cv2.dilate(depth, np.ones((3, 3))), cv2.erode(depth, np.ones((3, 3)))
    step = far - near
    across = np.maximum(2 * depth / focal, 1e-6)  # metres that the three pixels span
    slope = step / across
    ragged = generator.uniform(0.6, 1.4, depth.shape)
    holes = (step > (EDGE + 3 * across) * ragged) | (slope > GRAZING * ragged)
    small = generator.uniform(size=(depth.shape[0] // 12 + 1, depth.shape[1] // 12 + 1)).astype(np.float32)
    holes |= cv2.resize(small, depth.shape[::-1], interpolation=cv2.INTER_CUBIC) > 0.985
    error = generator.normal(0, 1, depth.shape).astype(np.float32)
    error = 0.6 * error + cv2.GaussianBlur(error, (0, 0), 2) * 2
    out = depth + DEPTH_NOISE * depth**2 * error
    return np.where(holes | (depth <= 0), 0.0, out).astype(np.float32)


def noisy_image(
    generator: np.random.Generator, image: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Slight blur and grain."""
    blurred = cv2.GaussianBlur(image, (0, 0), float(generator.uniform(0.3, 0.7)))
    return np.clip(blurred + generator.normal(0, 3.0, image.shape), 0, 255).astype(np.uint8)


def noisy_pose(
    generator: np.random.Generator, world_from_camera: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "4 4"]:
    """A pose that is off by millimetres and tenths of a degree."""
    turn, _ = cv2.Rodrigues(generator.normal(0, POSE_TURN / np.sqrt(3), 3))
    out = world_from_camera.copy()
    out[:3, :3] = out[:3, :3] @ turn
    out[:3, 3] += generator.normal(0, POSE_SHIFT / np.sqrt(3), 3)
    return out
