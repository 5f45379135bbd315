"""The cameras of a cell. Poses are world_from_camera, OpenCV axes, metres; angles in radians."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from samepoint.sim.cameras import orbit

FIELD = 0.36
"""Metres that the shorter side of an image sees in the middle of the cell: 128 pixels of 2.8 mm."""
VIEW = np.deg2rad(45)
"""The field of view of the shorter side."""
LOWEST, HIGHEST = np.deg2rad(25), np.deg2rad(70)
BELOW_GRIPPER = np.deg2rad(50)
"""Elevations of cameras; the highest one where a gripper works in the cell."""
MIDDLE = np.array([0.0, 0.0, 0.03])
AIM = 0.01
"""Metres: cameras look past the middle by up to so much along each axis."""
MAX_ROLL = np.deg2rad(10)


def cell_cameras(
    generator: np.random.Generator, number: int, highest: float = HIGHEST
) -> Float[np.ndarray, "c 4 4"]:
    """Cameras in random directions, their azimuths spread around the cell."""
    start = generator.uniform(0, 2 * np.pi)
    distance = FIELD / 2 / np.tan(VIEW / 2)
    poses = []
    for k in range(number):
        azimuth = start + 2 * np.pi * (k + generator.uniform(-0.3, 0.3)) / number
        target = MIDDLE + generator.uniform(-AIM, AIM, 3)
        roll = float(generator.uniform(-MAX_ROLL, MAX_ROLL))
        poses.append(orbit(target, distance, azimuth, generator.uniform(LOWEST, highest), roll))
    return np.stack(poses)


def vertical_view(size: tuple[int, int]) -> float:
    """The vertical field of view of images of (height, width)."""
    return float(2 * np.arctan(np.tan(VIEW / 2) * size[0] / min(size)))
