"""Bottle: a body with a label, a shoulder, a neck and a screw cap."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Part, revolve, smooth, spaced

SEGMENTS = 32


def parts(shape: Shape) -> list[Part]:
    h, r, neck = shape["height"], shape["radius"], shape["neck"]
    top = h * shape["body"]
    lid = 0.02
    shoulder = smooth([(neck, h - lid), (neck, h - lid - 0.01), (0.5 * (r + neck), 0.5 * (top + h - lid)),
                       (r, top)], 10)  # fmt: skip
    body = smooth([(r, top), (r * shape["waist"], 0.55 * top), (r, 0.2 * top), (r, 0.012), (0.9 * r, 0)], 16)
    lid_line = [(neck + 0.003, h - 0.001), (neck + 0.004, h - 0.5 * lid), (neck + 0.004, h - lid)]
    square = shape["square"]
    blend = np.linspace(2.0, square, len(shoulder))
    return [
        Part("body", revolve(body, SEGMENTS, np.full(len(body), square), (1.0, shape["depth"])),
             (0.0, 0.0, 1.0, 0.6)),
        Part("shoulder", revolve(shoulder, SEGMENTS, blend) * _depth(shoulder, shape["depth"]),
             (0.0, 0.6, 1.0, 0.8)),
        Part("cap", revolve(lid_line, SEGMENTS), (0.0, 0.8, 0.6, 0.9)),
        Part("cap_top", revolve(spaced([(0, h), (neck + 0.003, h - 0.001)], 4), SEGMENTS),
             (0.6, 0.8, 0.8, 1.0)),
        Part("cap_under", revolve(spaced([(neck + 0.004, h - lid), (neck, h - lid)], 2), SEGMENTS),
             (0.0, 0.9, 0.6, 1.0)),
        Part("bottom", revolve(spaced([(0.9 * r, 0), (0.6 * r, 0.004), (0, 0.004)], 5), SEGMENTS,
                               np.full(5, square), (1.0, shape["depth"])), (0.8, 0.8, 1.0, 1.0)),
    ]  # fmt: skip


def _depth(profile: np.ndarray, depth: float) -> np.ndarray:
    """Flattens the lower rows of the shoulder as the body is flattened, and leaves the neck round."""
    y = np.linspace(1.0, depth, len(profile))
    return np.stack([np.ones_like(y), y, np.ones_like(y)], axis=1)[:, None]


BOTTLE = Family(
    "bottle",
    {
        "height": (0.16, 0.27), "radius": (0.03, 0.045), "neck": (0.011, 0.016), "body": (0.58, 0.78),
        "waist": (0.86, 1.04), "square": (2.0, 5.0), "depth": (0.7, 1.0),
    },
    parts,
    {
        "cap": ("cap_top", 0.0, 0.0), "neck": ("shoulder", 0.1, 0.5), "shoulder": ("shoulder", 0.75, 0.5),
        "label": ("body", 0.5, 0.5), "label_back": ("body", 0.5, 0.0), "left": ("body", 0.5, 0.25),
        "base": ("bottom", 1.0, 0.0),
    },
    upright=0.55,
)  # fmt: skip
