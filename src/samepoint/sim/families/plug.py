"""Plug: a mains plug, prongs to the front (-y), with a piece of cable at the back."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Part, closed_tube, ellipsoid, smooth, tube


def parts(shape: Shape) -> list[Part]:
    length, wide, thick = shape["length"], shape["width"] / 2, shape["thickness"] / 2
    z = thick
    t = np.linspace(0, 1, 12)
    waist = np.interp(t, [0, 0.2, 0.45, 0.75, 1], [0.28, 0.55, shape["waist"], 1.0, 0.97])
    path = np.stack([0 * t, length * (0.5 - t), 0 * t + z], axis=1)
    rings = np.stack([wide * waist, thick * np.sqrt(waist)], axis=1)
    bend = shape["bend"]
    cable = [(0, length / 2 - 0.004, z), (0, length / 2 + 0.02, z), (bend * 0.4, length / 2 + 0.06, 0.7 * z),
             (bend, length / 2 + 0.1, 0.004)]  # fmt: skip
    gap, pin = shape["gap"] / 2, shape["prong"]
    front, badge = -length / 2, (0.3 * wide, 0.12 * length, 0.0016)

    def prong(x: float) -> np.ndarray:
        points = [
            (x, front + 0.002, z),
            (x, front - 0.5 * pin, z),
            (x, front - 0.9 * pin, z),
            (x, front - pin, z),
        ]
        return closed_tube(points, [0.0026, 0.0026, 0.0026, 0.0016], 12, (1, 0, 0))

    return [
        Part("body", closed_tube(path, rings, 28, (1, 0, 0), 3.2),
             (0.0, 0.0, 0.7, 0.7)),
        Part("prong_left", prong(-gap), (0.7, 0.0, 0.85, 0.3)),
        Part("prong_right", prong(gap), (0.85, 0.0, 1.0, 0.3)),
        Part("relief", closed_tube(smooth(cable[:2], 8), np.linspace(0.0075, 0.0045, 8), 14, (1, 0, 0)),
             (0.7, 0.3, 1.0, 0.7)),
        Part("cable", tube(smooth(cable, 18), 0.0036, 10, (1, 0, 0)), (0.0, 0.7, 0.7, 1.0)),
        Part("cable_end", ellipsoid(cable[-1], (0.0035, 0.0035, 0.0035), 6, 10), (0.7, 0.7, 0.85, 0.85)),
        Part("mark", ellipsoid((0, -0.1 * length, z + thick * 0.97), badge, 6, 14),
             (0.85, 0.7, 1.0, 0.85)),
    ]  # fmt: skip


PLUG = Family(
    "plug",
    {
        "length": (0.045, 0.062), "width": (0.036, 0.05), "thickness": (0.02, 0.03), "waist": (0.55, 0.85),
        "gap": (0.016, 0.022), "prong": (0.017, 0.024), "bend": (-0.05, 0.05),
    },
    parts,
    {
        "prong_left": ("prong_left", 1.0, 0.5), "prong_right": ("prong_right", 1.0, 0.5),
        "mark": ("mark", 0.0, 0.0), "below": ("body", 0.6, 0.0), "cable_start": ("relief", 1.0, 0.5),
        "cable_end": ("cable", 1.0, 0.5),
    },
    upright=0.6,
)  # fmt: skip
