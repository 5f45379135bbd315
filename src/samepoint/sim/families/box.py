"""Box: a printed carton with slightly bulging sides."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Grid, Numbers, Part, plate

CELLS = 8


def parts(shape: Shape) -> list[Part]:
    w, d, h, bulge = shape["width"] / 2, shape["depth"] / 2, shape["height"], shape["bulge"]
    x, y, z = np.eye(3)

    def side(corner: Numbers, right: np.ndarray, down: np.ndarray) -> Grid:
        grid = plate(corner, right, down, CELLS, CELLS)
        t = 1 - np.linspace(-1, 1, CELLS + 1) ** 2
        out = np.cross(down, right) / np.linalg.norm(np.cross(down, right))
        return grid + bulge * (t[:, None] * t[None, :])[..., None] * out

    return [
        Part("front", side((-w, -d, h), 2 * w * x, -h * z), (0.0, 0.0, 0.38, 0.7)),
        Part("back", side((w, d, h), -2 * w * x, -h * z), (0.38, 0.0, 0.76, 0.7)),
        Part("right", side((w, -d, h), 2 * d * y, -h * z), (0.76, 0.0, 1.0, 0.5)),
        Part("left", side((-w, d, h), -2 * d * y, -h * z), (0.76, 0.5, 1.0, 1.0)),
        Part("top", side((-w, d, h), 2 * w * x, -2 * d * y), (0.0, 0.7, 0.38, 1.0)),
        Part("bottom", side((-w, -d, 0), 2 * w * x, 2 * d * y), (0.38, 0.7, 0.76, 1.0)),
    ]


BOX = Family(
    "box",
    {"width": (0.06, 0.19), "depth": (0.03, 0.08), "height": (0.09, 0.23), "bulge": (0.0, 0.003)},
    parts,
    {
        "front": ("front", 0.5, 0.5), "back": ("back", 0.5, 0.5), "top": ("top", 0.5, 0.5),
        "front_top_left": ("front", 0.0, 0.0), "front_top_right": ("front", 0.0, 1.0),
        "front_bottom_left": ("front", 1.0, 0.0), "front_bottom_right": ("front", 1.0, 1.0),
    },
    upright=0.4,
)  # fmt: skip
