"""Where cameras stand. Poses are world_from_camera, OpenCV axes, metres; angles in radians."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Ball = tuple[Float[np.ndarray, " 3"], float]
"""(centre, radius) around an object, metres."""

CLEARANCE = 0.06
ELEVATIONS = (np.deg2rad(30), np.deg2rad(65))


def look_at(
    eye: Float[np.ndarray, " 3"], target: Float[np.ndarray, " 3"], roll: float = 0.0
) -> Float[np.ndarray, "4 4"]:
    """A camera at `eye` looking at `target`; `roll` turns it clockwise about its axis (0: horizon level)."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
    pose[:3, 3] = eye
    return pose


def orbit(
    target: Float[np.ndarray, " 3"], distance: float, azimuth: float, elevation: float, roll: float = 0.0
) -> Float[np.ndarray, "4 4"]:
    """A camera `distance` from `target`, `elevation` above the horizon."""
    flat = np.cos(elevation)
    away = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    return look_at(target + distance * away, target, roll)


def overview(
    generator: np.random.Generator, balls: Sequence[Ball], fovy: float, azimuth: float, max_roll: float
) -> Float[np.ndarray, "4 4"]:
    """A view of everything in `balls`, now and then cutting some of it off."""
    middle, reach = _bounds(balls)
    target = middle + generator.uniform(-0.25, 0.25, 3) * reach * (1, 1, 0.3)
    distance = reach / np.tan(fovy / 2) * generator.uniform(0.55, 1.05)
    return _clear(generator, balls, target, distance, azimuth, max_roll)


def close_up(
    generator: np.random.Generator, balls: Sequence[Ball], fovy: float, azimuth: float, max_roll: float
) -> Float[np.ndarray, "4 4"]:
    """A view that one of `balls` about fills."""
    centre, radius = balls[int(generator.integers(len(balls)))]
    target = centre + generator.uniform(-0.35, 0.35, 3) * radius
    distance = max(radius / np.tan(fovy / 2) * generator.uniform(0.75, 1.4), radius + CLEARANCE)
    return _clear(generator, balls, target, distance, azimuth, max_roll)


def from_above(
    generator: np.random.Generator, reach: float, fovy: float, max_roll: float
) -> Float[np.ndarray, "4 4"]:
    """A fixed camera that looks down on the middle of the table."""
    target = np.append(generator.uniform(-0.03, 0.03, 2), 0.03)
    distance = reach / np.tan(fovy / 2) * generator.uniform(1.0, 1.25)
    elevation = generator.uniform(np.deg2rad(78), np.deg2rad(89))
    return orbit(target, distance, generator.uniform(0, 2 * np.pi), elevation, _roll(generator, max_roll))


def ring(
    generator: np.random.Generator, number: int, reach: float, fovy: float, max_roll: float
) -> list[Float[np.ndarray, "4 4"]]:
    """`number` cameras spread around the table."""
    start = generator.uniform(0, 2 * np.pi)
    out = []
    for k in range(number):
        target = np.append(generator.uniform(-0.03, 0.03, 2), generator.uniform(0.02, 0.06))
        distance = reach / np.tan(fovy / 2) * generator.uniform(0.95, 1.3)
        azimuth = start + 2 * np.pi * (k + generator.uniform(-0.2, 0.2)) / number
        elevation = generator.uniform(np.deg2rad(30), np.deg2rad(70))
        out.append(orbit(target, distance, azimuth, elevation, _roll(generator, max_roll)))
    return out


def _roll(generator: np.random.Generator, max_roll: float) -> float:
    return float(generator.uniform(-max_roll, max_roll))


def _bounds(balls: Sequence[Ball]) -> tuple[Float[np.ndarray, " 3"], float]:
    centres = np.stack([centre for centre, _ in balls])
    middle = (centres.min(0) + centres.max(0)) / 2
    return middle, max(float(np.linalg.norm(centre - middle)) + radius for centre, radius in balls)


def _clear(
    generator: np.random.Generator,
    balls: Sequence[Ball],
    target: Float[np.ndarray, " 3"],
    distance: float,
    azimuth: float,
    max_roll: float,
) -> Float[np.ndarray, "4 4"]:
    """Backs off until the camera is inside nothing."""
    elevation = generator.uniform(*ELEVATIONS)
    roll = _roll(generator, max_roll)
    while True:
        pose = orbit(target, distance, azimuth, elevation, roll)
        if all(np.linalg.norm(pose[:3, 3] - centre) > radius + CLEARANCE for centre, radius in balls):
            return pose
        distance *= 1.15
