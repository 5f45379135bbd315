"""Cap: a baseball cap; dome, brim towards the front (-y), button and inside."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Grid, Part, around, ellipsoid

SEGMENTS, ROWS = 32, 12


def parts(shape: Shape) -> list[Part]:
    wall = shape["wall"]
    brim, under = _brim(shape)
    return [
        Part("dome", _dome(shape, 0.0), (0.0, 0.0, 1.0, 0.42)),
        Part("inside", _dome(shape, wall)[::-1], (0.0, 0.42, 1.0, 0.62)),
        Part("brim", brim, (0.0, 0.62, 0.6, 0.97)),
        Part("under", under, (0.6, 0.62, 1.0, 0.87)),
        Part("button", ellipsoid((0, 0, shape["height"]), (0.007, 0.007, 0.004), 6, 12),
             (0.6, 0.87, 0.8, 1.0)),
        Part("rim", np.stack([_dome(shape, 0.0)[-1], _dome(shape, wall)[-1]]), (0.0, 0.97, 0.6, 1.0)),
    ]  # fmt: skip


def _dome(shape: Shape, inset: float) -> Grid:
    """Rows from the top down to the rim: a half ellipsoid whose front stands steeper than its back."""
    width, length, height = shape["width"] / 2 - inset, shape["length"] / 2 - inset, shape["height"] - inset
    phi = np.linspace(0, np.pi / 2, ROWS + 1)[:, None]
    ring = around(SEGMENTS)
    front = np.clip(-ring[:, 1], 0, 1)
    radius = np.sin(phi) ** (1 - shape["front"] * front)
    z = height * np.cos(phi) ** 0.85 + 0 * front
    return np.stack([width * radius * ring[:, 0], length * radius * ring[:, 1], z], axis=-1)


def _brim(shape: Shape) -> tuple[Grid, Grid]:
    """Upper and lower side; rows run outwards, columns from the left to the right end."""
    angle = -np.pi / 2 + np.linspace(-1.15, 1.15, 25)
    across = np.linspace(-1, 1, 25)
    out = np.linspace(0, 1, 7)[:, None]
    reach = shape["brim"] * np.sqrt(np.clip(1 - across**2, 0, 1)) ** 0.8
    inner = 0.985 * np.stack(
        [shape["width"] / 2 * np.cos(angle), shape["length"] / 2 * np.sin(angle)], axis=-1
    )
    x = inner[:, 0] * (1 + 0.12 * out * np.sqrt(np.clip(1 - across**2, 0, 1)))
    y = inner[:, 1] - out * reach
    drop = shape["curve"] * (x / (shape["width"] / 2)) ** 2
    z = np.broadcast_to(0.004 + shape["curve"] - drop + 0.006 * out * (1 - across**2), x.shape)
    top = np.stack([x, y, z], axis=-1)
    thin = shape["wall"] * 0.8 * (1 - across**2) + 0.0008
    return top, (top - np.array([0, 0, 1.0]) * thin[:, None])[::-1]


CAP = Family(
    "cap",
    {
        "width": (0.145, 0.175), "length": (0.17, 0.2), "height": (0.09, 0.125), "brim": (0.055, 0.08),
        "curve": (0.004, 0.03), "front": (0.1, 0.5), "wall": (0.002, 0.004),
    },
    parts,
    {
        "button": ("button", 0.0, 0.0), "logo": ("dome", 0.6, 0.5), "brim_front": ("brim", 1.0, 0.5),
        "brim_left": ("brim", 0.5, 0.15), "brim_right": ("brim", 0.5, 0.85), "back": ("dome", 0.75, 0.0),
        "left": ("dome", 0.6, 0.25), "right": ("dome", 0.6, 0.75),
    },
    upright=0.75,
    template={"wall": 0.01},
)  # fmt: skip
