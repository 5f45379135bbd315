"""Mug: a wall, its inside, and a handle at +x."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Part, revolve, smooth, spaced, tube

SEGMENTS = 32


def parts(shape: Shape) -> list[Part]:
    h, r, wall = shape["height"], shape["radius"], shape["wall"]
    base, belly = r * shape["taper"], r * (1 + shape["belly"])
    foot = 0.004
    wall_line = smooth([(r, h), (belly, 0.55 * h), (base, foot), (base - 0.002, 0)], 12)
    inside = smooth([(base - wall, 2 * wall), (belly - wall, 0.55 * h), (r - wall, h)], 9)
    x = float(np.interp(0.8 * h, wall_line[::-1, 1], wall_line[::-1, 0])) - 0.5 * wall
    x_low = float(np.interp(0.25 * h, wall_line[::-1, 1], wall_line[::-1, 0])) - 0.5 * wall
    reach, thick = shape["handle"], shape["handle_thickness"]
    arc = [
        (x, 0, 0.80 * h), (x + 0.7 * reach, 0, 0.82 * h), (x + reach, 0, 0.62 * h),
        (x_low + 0.8 * reach, 0, 0.34 * h), (x_low, 0, 0.25 * h),
    ]  # fmt: skip
    return [
        Part("wall", revolve(wall_line, SEGMENTS), (0.0, 0.0, 1.0, 0.45)),
        Part("bottom", revolve(spaced([(base - 0.002, 0), (base * 0.8, 0.002), (0, 0.002)], 5), SEGMENTS),
             (0.0, 0.75, 0.45, 1.0)),
        Part("rim", revolve(smooth([(r - wall, h), (r - wall / 2, h + wall * 0.45), (r, h)], 5), SEGMENTS),
             (0.0, 0.45, 1.0, 0.5)),
        Part("inside", revolve(inside, SEGMENTS), (0.0, 0.5, 1.0, 0.75)),
        Part("floor", revolve(spaced([(0, 2 * wall), (base - wall, 2 * wall)], 4), SEGMENTS),
             (0.45, 0.75, 0.75, 1.0)),
        Part("handle", tube(smooth(arc, 16), [(thick * 1.3, thick * 0.8)] * 16, 12), (0.75, 0.75, 1.0, 1.0)),
    ]  # fmt: skip


MUG = Family(
    "mug",
    {
        "height": (0.075, 0.115), "radius": (0.034, 0.047), "taper": (0.72, 1.0), "belly": (-0.05, 0.12),
        "wall": (0.003, 0.0045), "handle": (0.024, 0.036), "handle_thickness": (0.0045, 0.007),
    },
    parts,
    {
        "handle": ("handle", 0.5, 0.5), "handle_top": ("handle", 0.2, 0.5), "rim_front": ("rim", 0.5, 0.5),
        "rim_back": ("rim", 0.5, 0.0), "rim_opposite": ("rim", 0.5, 0.25), "label": ("wall", 0.5, 0.5),
        "base": ("bottom", 1.0, 0.0),
    },
    upright=0.7,
    template={"wall": 0.006},
)  # fmt: skip
