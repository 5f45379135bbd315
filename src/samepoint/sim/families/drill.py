"""Drill: a cordless drill pointing to the front (-y); body, chuck, bit, handle, trigger and battery."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Part, closed_tube, ellipsoid, revolve, smooth, spaced


def parts(shape: Shape) -> list[Part]:
    radius, high = shape["radius"], shape["height"]
    axis, half = high + radius, shape["length"] / 2
    lean, bit = shape["lean"], shape["bit"]
    nose = -half - shape["chuck"]
    body = [(0, half, axis), (0, half - 0.008, axis), (0, half * 0.4, axis), (0, -half * 0.4, axis),
            (0, -half, axis)]  # fmt: skip
    grip = [(0, 0.015 * half, axis - 0.4 * radius), (0, lean * 0.3, 0.75 * high), 
            (0, lean * 0.8, 0.35 * high), (0, lean, 0.12 * high)]  # fmt: skip
    w, d = shape["battery"] / 2, shape["battery"] * 0.72
    block = [(0.0, 0.033), (0.9, 0.033), (1.0, 0.029), (1.0, 0.004), (0.94, 0.0), (0.0, 0.0)]
    rows = np.concatenate([[block[0]], spaced(block[1:5], 8), [block[5]]])
    battery = revolve(rows, 24, np.full(len(rows), 6.0)) * (w, d, 1.0) + (0, lean - 0.12 * d, 0)
    hold = [(0.62 * radius, 0.82 * radius)] * 14
    button = (0.007, 0.012, 0.014)
    widths = [0.72, 0.95, 1.0, 1.0, 0.8]
    return [
        Part("body", closed_tube(smooth(body, 14), radius * np.interp(
            np.linspace(0, 1, 14), np.linspace(0, 1, 5), widths), 24, (1, 0, 0)), (0.0, 0.0, 0.5, 0.5)),
        Part("chuck", closed_tube([(0, -half, axis), (0, nose * 0.5 - half * 0.5, axis), (0, nose, axis)],
                                  [radius * 0.62, radius * 0.6, radius * 0.36], 20, (1, 0, 0)),
             (0.5, 0.0, 0.75, 0.2)),
        Part("bit", closed_tube([(0, nose, axis), (0, nose - bit * 0.9, axis), (0, nose - bit, axis)],
                                [0.0032, 0.0032, 0.001], 10, (1, 0, 0)), (0.75, 0.0, 1.0, 0.2)),
        Part("handle", closed_tube(smooth(grip, 14), hold, 20, (1, 0, 0), 2.6),
             (0.0, 0.5, 0.5, 1.0)),
        Part("battery", battery, (0.5, 0.2, 1.0, 0.6)),
        Part("trigger", ellipsoid((0, 0.3 * lean - 0.85 * radius, 0.8 * high), button, 8, 12, 2.6),
             (0.5, 0.6, 0.75, 0.8)),
        Part("vent", ellipsoid((0, half * 0.55, axis + radius * 0.95), (0.012, 0.02, 0.004), 6, 12, 4.0),
             (0.5, 0.8, 1.0, 1.0)),
    ]  # fmt: skip


DRILL = Family(
    "drill",
    {
        "length": (0.11, 0.15), "radius": (0.024, 0.032), "height": (0.11, 0.14), "lean": (0.005, 0.035),
        "chuck": (0.028, 0.045), "bit": (0.02, 0.06), "battery": (0.06, 0.078),
    },
    parts,
    {
        "tip": ("bit", 1.0, 0.5), "chuck": ("chuck", 0.5, 0.5), "top": ("vent", 0.0, 0.0),
        "back": ("body", 0.0, 0.0), "trigger": ("trigger", 0.5, 0.5), "handle": ("handle", 0.55, 0.0),
        "battery": ("battery", 0.5, 0.5), "side_left": ("body", 0.5, 0.25), "side_right": ("body", 0.5, 0.75),
    },
    upright=0.35,
)  # fmt: skip
