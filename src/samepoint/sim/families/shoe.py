"""Shoe: a sneaker with its toe towards the front (-y); sole, upper, inside, tongue and laces."""

from __future__ import annotations

import numpy as np

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Grid, Part, around, closed_tube, tube

SEGMENTS, LACES = 40, 5


def parts(shape: Shape) -> list[Part]:
    upper = _upper(shape)
    collar, sole = upper[0], upper[-1]
    ground = sole * (1.0, 1.0, 0.0)
    flare = np.array([1.05, 1.02, 1.0])
    side = np.stack([sole * (1.03, 1.015, 1.0), sole * flare * (1, 1, 0.5), ground * flare, ground])
    bottom = np.stack([ground * (k, k, 0.0) + (0, 0, 0.002 * (k < 1)) for k in (1.0, 0.8, 0.5, 0.0)])
    centre = collar.mean(0)
    insole = shape["sole"] + 0.004
    lowest = (collar - centre) * (0.85, 0.9, 0) + centre * (1, 1, 0) + (0, -0.02, insole)
    inside = [centre * (1, 1, 0) + (0, -0.02, insole) + 0 * collar, lowest]
    inside += [lowest + (((collar - centre) * (0.86, 0.93, 1) + centre) - lowest) * t for t in (0.5, 0.9)]
    return [
        Part("upper", upper, (0.0, 0.0, 1.0, 0.5)),
        Part("sole_top", np.stack([sole, side[0]]), (0.0, 0.5, 1.0, 0.52)),
        Part("sole", side, (0.0, 0.52, 1.0, 0.62)),
        Part("bottom", bottom, (0.0, 0.62, 0.7, 0.78)),
        Part("inside", np.stack([*inside, collar]), (0.0, 0.78, 0.7, 0.98)),
        Part("tongue", _tongue(collar), (0.7, 0.62, 1.0, 0.8)),
        *(_lace(upper, k) for k in range(LACES)),
    ]


def _outline(length: float, width: float) -> np.ndarray:
    """The sole seen from above: wide at the ball, narrow at the waist."""
    ring = around(SEGMENTS, 2.4)
    along = ring[:, 1]
    waist = 1 - 0.16 * np.exp(-(((along - 0.15) / 0.35) ** 2)) + 0.08 * np.exp(-(((along + 0.45) / 0.3) ** 2))
    x = width / 2 * ring[:, 0] * waist - 0.06 * width * np.cos(np.pi * along)
    return np.stack([x, length / 2 * along], axis=1)


def _upper(shape: Shape) -> Grid:
    """Rows from the collar down to the sole; each ring is the outline drawn back and tilted."""
    length, high = shape["length"], shape["height"]
    t = np.linspace(0, 1, 15)
    y = length * np.interp(t, [0, 0.15, 0.3, 0.5, 0.72, 0.88, 1], [0, -0.002, 0.015, 0.08, 0.27, 0.43, 0.55])
    z = high * np.interp(t, [0, 0.15, 0.3, 0.5, 0.72, 0.88, 1], [0, 0.28, 0.42, 0.52, 0.7, 0.86, 1.0])
    z_back = high * shape["heel"] * t**1.1
    flat = _outline(length * 0.985, shape["width"] * 0.97)
    back = flat[:, 1].max()
    rings = []
    for k in range(len(t)):
        front = flat[:, 1].min() + y[k]
        share = (flat[:, 1] - flat[:, 1].min()) / np.ptp(flat[:, 1])
        along = front + share * (back - 0.01 * t[k] - front)
        narrow = 1 - 0.3 * t[k] ** 1.6 + 0.05 * np.sin(np.pi * t[k])
        middle = np.interp(along, *_middle(flat))
        x = middle + (np.interp(along, *_half_width(flat)) * np.sign(flat[:, 0] - np.interp(
            flat[:, 1], *_middle(flat))) * _roundness(share)) * narrow  # fmt: skip
        saddle = shape["saddle"] * high * t[k] ** 2 * np.sin(np.pi * share)
        rings.append(np.stack([x, along, shape["sole"] + z[k] + (z_back[k] - z[k]) * share - saddle], axis=1))
    grid = np.stack(rings[::-1])
    grid[:, -1] = grid[:, 0]
    return grid


def _middle(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, left, right = _sides(flat)
    return y, (left + right) / 2


def _half_width(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, left, right = _sides(flat)
    wide = (right - left) / 2
    inner = wide[len(wide) // 8 : -len(wide) // 8]
    wide[: len(wide) // 8], wide[-len(wide) // 8 :] = inner[0], inner[-1]
    return y, wide


def _sides(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = np.linspace(flat[:, 1].min(), flat[:, 1].max(), 65)
    half = SEGMENTS // 2
    left, right = flat[: half + 1][::-1], flat[half:]
    return y, np.interp(y, left[:, 1], left[:, 0]), np.interp(y, right[:, 1], right[:, 0])


def _roundness(share: np.ndarray) -> np.ndarray:
    """How wide the ring is at each share of its length, 0 at toe and heel."""
    edge = 1 - np.abs(2 * share - 1)
    return np.clip(1 - (1 - np.clip(edge / 0.45, 0, 1)) ** 2.4, 0, 1) ** 0.5


def _tongue(collar: np.ndarray) -> Grid:
    front = collar[SEGMENTS // 2]
    wide = 0.6 * np.ptp(collar[:, 0])
    rise = [np.array([0, 0.004 + 0.018 * s, 0.028 - 0.05 * (1 - s)]) for s in (1.0, 0.6, 0.2, -0.2)]
    path = front + np.stack(rise)
    return closed_tube(path, [(wide * k, 0.003) for k in (0.42, 0.5, 0.5, 0.45)], 16, (1, 0, 0), 3.0)


def _lace(upper: Grid, k: int) -> Part:
    """A string across the instep, a little above the upper."""
    row = 1 + round(k * 1.6)
    middle = SEGMENTS // 2
    path = upper[row, middle - 5 : middle + 6] + (0, -0.001, 0.003)
    top = 0.8 + 0.04 * k
    return Part(f"lace{k}", tube(path, 0.0024, 6, (0, 1, 1)), (0.7, top, 1.0, top + 0.04))


SHOE = Family(
    "shoe",
    {
        "length": (0.22, 0.29), "width": (0.08, 0.105), "height": (0.07, 0.1), "heel": (0.8, 1.1),
        "sole": (0.018, 0.032), "saddle": (0.05, 0.2),
    },
    parts,
    {
        "toe": ("upper", 0.85, 0.5), "toe_tip": ("sole", 0.0, 0.5), "heel": ("upper", 0.5, 0.0),
        "collar_back": ("upper", 0.0, 0.0), "collar_left": ("upper", 0.0, 0.25),
        "collar_right": ("upper", 0.0, 0.75), "tongue": ("tongue", 0.0, 0.0), "lace": ("lace2", 0.5, 0.5),
    },
    upright=0.75,
)  # fmt: skip
