"""The skin of the fox at rest, put together from parts as the rigid families are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from samepoint.sim.cell.plush.bones import ARM, LEG, TAIL, Place, pulls
from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Grid, Part, closed_tube, ellipsoid, rotate, smooth

HEAD: Place = (0.0, -0.092, 0.071)


def parts(shape: Shape) -> list[Part]:
    spine = [(0.0, -0.078, 0.05), (0.0, -0.03, 0.046), (0.0, 0.03, 0.046), (0.0, 0.08, 0.047)]
    muzzle = (HEAD[0], HEAD[1] - 0.036, HEAD[2] - 0.008)
    out = [
        Part("torso", _stuffed(spine, [0.033, 0.034, 0.036, 0.035], 24, 28), (0.0, 0.0, 0.5, 0.4)),
        Part("head", ellipsoid(HEAD, (0.037, 0.034, 0.034), 16, 24), (0.5, 0.0, 1.0, 0.4)),
        Part("tail", _stuffed([*TAIL, (0.0, 0.163, 0.047)], [0.011, 0.016, 0.02, 0.018, 0.01], 20, 16),
             (0.0, 0.4, 0.5, 0.6)),
        Part("snout", ellipsoid(muzzle, (0.016, 0.02, 0.013), 10, 16), (0.5, 0.4, 0.75, 0.6)),
        Part("nose", ellipsoid((0.0, muzzle[1] - 0.019, muzzle[2] + 0.005), (0.006, 0.005, 0.005), 6, 10),
             (0.75, 0.4, 0.85, 0.5)),
    ]  # fmt: skip
    for k, (side, sign) in enumerate((("left", -1.0), ("right", 1.0))):
        x = 0.5 * k
        ear = ellipsoid((sign * 0.023, HEAD[1] + 0.006, HEAD[2] + 0.041), (0.013, 0.007, 0.023), 10, 14)
        ear = rotate(ear, 1, sign * 0.3, (sign * 0.023, HEAD[1], HEAD[2] + 0.03))
        eye = ellipsoid((sign * 0.015, HEAD[1] - 0.031, HEAD[2] + 0.009), (0.0042,) * 3, 6, 10)
        arm = [(sign * px, y, z) for px, y, z in (*ARM, (0.09, -0.081, 0.022))]
        leg = [(sign * px, y, z) for px, y, z in (*LEG, (0.086, 0.077, 0.022))]
        out += [
            Part(f"arm_{side}", _stuffed(arm, [0.014, 0.0145, 0.017, 0.013], 18, 16), (x, 0.6, x + 0.25, 0.8)),
            Part(f"leg_{side}", _stuffed(leg, [0.016, 0.0165, 0.018, 0.014], 18, 16), (x + 0.25, 0.6, x + 0.5, 0.8)),
            Part(f"ear_{side}", ear, (x, 0.8, x + 0.25, 1.0)),
            Part(f"eye_{side}", eye, (x + 0.25, 0.8, x + 0.35, 0.9)),
        ]  # fmt: skip
    return out


FOX = Family("fox", {}, parts, {})


def skin_at_rest() -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v bones"]]:
    """The vertices of the skin, in the order of `FOX.build`, and how much each bone holds each of them."""
    made = [(part.name, part.grid.reshape(-1, 3)) for part in parts({})]
    vertices = np.concatenate([points for _, points in made])
    return vertices, np.concatenate([pulls(name, points) for name, points in made])


def _stuffed(path: Sequence[Place], radii: Sequence[float], rows: int, segments: int) -> Grid:
    """A tube with rounded ends, its middle column up."""
    line = smooth(path, rows)
    along = np.linspace(0, 1, rows)
    radius = np.interp(along, np.linspace(0, 1, len(radii)), radii)
    edge = np.clip(np.minimum(along, 1 - along) / 0.2, 0, 1)
    radius = radius * np.sqrt(np.clip(1 - (1 - edge) ** 2, 0.02, 1))
    flat = line[-1, :2] - line[0, :2]
    side = np.array([-flat[1], flat[0], 0.0]) / np.linalg.norm(flat)
    return closed_tube(line, radius, segments, side)
