"""Socket: a power socket lying on its back; frame, round recess with holes and clips, cable nose and lamp."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Part, closed_tube, ellipsoid, revolve, spaced

SEGMENTS = 40


def parts(shape: Shape) -> list[Part]:
    size, high, cup, deep = shape["size"] / 2, shape["height"], shape["cup"], shape["deep"]
    square = shape["square"]
    stretch = (1.0, shape["stretch"])
    edge = spaced([(size * 0.95, high), (size, high - 0.004), (size, 0.003), (size * 0.97, 0.0)], 8)
    face = spaced([(cup, high + 0.002), (cup + 0.003, high + 0.002), (size * 0.95, high)], 7)
    round_to_square = np.interp(np.linspace(0, 1, 7), [0, 0.3, 1], [2.0, 2.2, square])
    frame = revolve(face, SEGMENTS, round_to_square)
    frame = frame * np.stack([np.ones(7), np.linspace(1, stretch[1], 7), np.ones(7)], axis=1)[:, None]
    wall = spaced([(cup * 0.96, high - deep), (cup, high + 0.002)], 5)
    floor = spaced([(0.0, high - deep), (cup * 0.96, high - deep)], 6)
    ear = size * stretch[1]
    nose = [(0, ear - 0.004, high * 0.5), (0, ear + 0.006, high * 0.5), (0, ear + shape["nose"], high * 0.5)]
    clip = (0.004, 0.003, 0.5 * deep)
    return [
        Part("frame", frame, (0.0, 0.0, 1.0, 0.25)),
        Part("edge", revolve(edge, SEGMENTS, np.full(8, square), stretch), (0.0, 0.25, 1.0, 0.5)),
        Part("recess", revolve(wall, SEGMENTS), (0.0, 0.5, 1.0, 0.62)),
        Part("floor", revolve(floor, SEGMENTS), (0.0, 0.62, 1.0, 0.75)),
        Part("bottom", revolve(spaced([(size * 0.97, 0), (0, 0)], 4), SEGMENTS, np.full(4, square), stretch),
             (0.0, 0.75, 0.5, 1.0)),
        Part("hole_left", ellipsoid((-0.0095, 0, high - deep), (0.003, 0.003, 0.001), 4, 12),
             (0.5, 0.75, 0.6, 0.85)),
        Part("hole_right", ellipsoid((0.0095, 0, high - deep), (0.003, 0.003, 0.001), 4, 12),
             (0.6, 0.75, 0.7, 0.85)),
        Part("nose", closed_tube(nose, [0.009, 0.008, 0.005], 14, (1, 0, 0)), (0.5, 0.85, 0.75, 1.0)),
        Part("clip_front", ellipsoid((0, -cup * 0.93, high - 0.5 * deep), clip, 6, 10, 4.0),
             (0.75, 0.75, 0.85, 0.85)),
        Part("clip_back", ellipsoid((0, cup * 0.93, high - 0.5 * deep), clip, 6, 10, 4.0),
             (0.85, 0.75, 0.95, 0.85)),
        Part("lamp", ellipsoid((0.72 * size, -0.72 * ear, high), (0.006, 0.004, 0.003), 6, 12, 3.0),
             (0.75, 0.85, 1.0, 1.0)),
    ]  # fmt: skip


SOCKET = Family(
    "socket",
    {
        "size": (0.07, 0.095), "height": (0.028, 0.045), "cup": (0.019, 0.023), "deep": (0.012, 0.018),
        "square": (3.0, 8.0), "stretch": (1.0, 1.35), "nose": (0.015, 0.04),
    },
    parts,
    {
        "hole_left": ("hole_left", 0.0, 0.0), "hole_right": ("hole_right", 0.0, 0.0),
        "lamp": ("lamp", 0.0, 0.0), "nose": ("nose", 1.0, 0.5), "clip_front": ("clip_front", 0.5, 0.5),
        "frame_left": ("frame", 0.6, 0.25), "frame_right": ("frame", 0.6, 0.75),
    },
    upright=0.8,
)  # fmt: skip
