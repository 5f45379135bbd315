"""Toy: a sitting animal figure with head, ears, snout, arms, legs and tail, looking to the front (-y)."""

from __future__ import annotations

from samepoint.sim.families.family import Family, Shape
from samepoint.sim.families.surface import Part, ellipsoid, rotate


def parts(shape: Shape) -> list[Part]:
    s, fat, head = shape["size"], shape["fat"], shape["head"]
    body = (0.30 * s * fat, 0.26 * s * fat, 0.34 * s)
    middle = 0.34 * s
    face = 0.24 * s * head
    top = middle + 0.27 * s + 0.75 * face
    ear, spread = shape["ear"] * face, 0.72 * face
    leg, arm = 0.12 * s, 0.085 * s
    out = [
        Part("body", ellipsoid((0, 0, middle), body, 16, 24), (0.0, 0.0, 0.5, 0.4)),
        Part("head", ellipsoid((0, -0.03 * s, top), (face * 1.08, face, face * 0.95), 16, 24),
             (0.5, 0.0, 1.0, 0.4)),
        Part("snout", ellipsoid((0, -0.03 * s - face * 0.9, top - 0.25 * face),
                                (0.42 * face, 0.42 * face * shape["snout"], 0.34 * face), 10, 16),
             (0.0, 0.4, 0.25, 0.6)),
        Part("nose", ellipsoid((0, -0.03 * s - face * (0.88 + 0.42 * shape["snout"]), top - 0.14 * face),
                               (0.14 * face, 0.1 * face, 0.1 * face), 6, 10), (0.25, 0.4, 0.37, 0.5)),
        Part("tail", ellipsoid((0, body[1] * 0.95, 0.14 * s), (0.07 * s, 0.08 * s, 0.07 * s), 8, 12),
             (0.37, 0.4, 0.5, 0.5)),
    ]  # fmt: skip
    for k, (side, sign) in enumerate((("left", -1), ("right", 1))):
        x = 0.5 * k
        tall = ellipsoid(
            (sign * spread, 0, top + 0.62 * face + 0.5 * ear), (0.36 * face, 0.16 * face, ear), 10, 14
        )
        tall = rotate(tall, 1, sign * shape["ear_tilt"], (sign * spread, 0, top + 0.5 * face))
        hand = ellipsoid(
            (sign * (body[0] + 0.02 * s), -0.05 * s, middle + 0.02 * s), (arm, arm, 0.22 * s), 12, 14
        )
        hand = rotate(hand, 0, -shape["arm"], (0, 0, middle + 0.16 * s))
        hand = rotate(hand, 1, -sign * 0.3, (sign * body[0], 0, middle + 0.16 * s))
        foot = ellipsoid((sign * 0.2 * s, -body[1] * 0.9, 0.11 * s), (leg, 0.2 * s, leg * 0.92), 12, 14)
        eye = ellipsoid(
            (sign * 0.4 * face, -0.03 * s - face * 0.86, top + 0.2 * face), (0.09 * face,) * 3, 6, 10
        )
        out += [
            Part(f"ear_{side}", tall, (x, 0.6, x + 0.25, 0.8)),
            Part(f"arm_{side}", hand, (x + 0.25, 0.6, x + 0.5, 0.8)),
            Part(f"foot_{side}", foot, (x, 0.8, x + 0.35, 1.0)),
            Part(f"eye_{side}", eye, (x + 0.35, 0.8, x + 0.5, 1.0)),
        ]
    return out


TOY = Family(
    "toy",
    {
        "size": (0.1, 0.2), "fat": (0.8, 1.15), "head": (0.9, 1.15), "ear": (0.35, 1.0), "snout": (0.7, 1.5),
        "ear_tilt": (0.0, 0.5), "arm": (0.2, 1.0),
    },
    parts,
    {
        "nose": ("nose", 0.5, 0.5), "ear_left": ("ear_left", 0.0, 0.0), "ear_right": ("ear_right", 0.0, 0.0),
        "belly": ("body", 0.5, 0.5), "back": ("body", 0.5, 0.0), "hand_left": ("arm_left", 1.0, 0.0),
        "hand_right": ("arm_right", 1.0, 0.0), "foot_left": ("foot_left", 0.5, 0.5),
        "foot_right": ("foot_right", 0.5, 0.5), "tail": ("tail", 0.5, 0.0),
    },
    upright=0.6,
)  # fmt: skip
