"""An object's declared symmetry as a finite set of motions of its own frame.

A symmetry is a motion after which the object looks as before. BOP declares some discrete ones, and axes about which
any turn is one; here the discrete ones are completed to a group and the axes are sampled.
"""

from __future__ import annotations

import math

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.recording import Symmetry
from samepoint.errors import DataError
from samepoint.geometry.motions import rigid

SAME = math.radians(1.0)
"""Discrete motions whose rotations differ by less are one and the same: declared ones are rounded. (Two symmetries of
a bounded object that turn it alike are equal.)"""

MOST_DISCRETE = 120
"""Discrete motions of one object; a dodecahedron has 60. With more, what is declared is no symmetry."""

TURNS = 36
"""Turns about an axis where the object's size is unknown."""

FEWEST, MOST_TURNS = 12, 360
"""Limits of the number of turns about an axis. All are multiples of 12, so that turns by a half, third, quarter or
sixth are among them."""

MOST = 1024
"""Motions of one object: more axes than one are sampled more coarsely."""


def turns_for(diameter: float, spacing: float) -> int:
    """How many turns bring the copies of a point at most `spacing` apart, on an object of `diameter` (same unit).

    Copies lie on a circle round the axis, no wider than the object. Rounded up to a multiple of 12, 12 to 360.
    """
    if not spacing > 0:
        raise DataError(f"the spacing of symmetric copies is {spacing}", mend="give pixels above 0")
    wanted = math.ceil(min(math.pi * diameter / spacing, float(MOST_TURNS)) / FEWEST) * FEWEST
    return max(wanted, FEWEST)


def symmetry_motions(symmetry: Symmetry, turns: int = TURNS) -> Float[Tensor, "s 4 4"]:
    """All motions `object_from_object` (metres) after which the object looks as before, each once, identity first.

    The products of the discrete motions (with all that follow from them) and `turns` turns about each axis, as in
    BOP; several axes are multiplied with each other. Raises DataError for an axis without direction, and for
    discrete motions that are no symmetries of anything bounded, because their products never come back.
    """
    motions = _group([motion.double() for motion in symmetry.discrete])
    axes = len(symmetry.continuous)
    if axes > 1:
        turns = min(turns, max(FEWEST, int((MOST / len(motions)) ** (1 / axes))))
    for axis, offset in symmetry.continuous:
        about = turns_about(axis.double(), offset.double(), turns)
        motions = _distinct((about[:, None] @ motions).flatten(0, 1), 0.45 * 2 * math.pi / turns)
    return motions.float()


def turns_about(axis: Float[Tensor, " 3"], offset: Float[Tensor, " 3"], turns: int) -> Float[Tensor, "s 4 4"]:
    """Even turns about the line through `offset` (metres) along `axis`; the first is the identity."""
    length = torch.linalg.vector_norm(axis)
    if not (torch.isfinite(offset).all() and torch.isfinite(length) and length > 1e-6):
        line = f"a symmetry has the axis {axis.tolist()} with offset {offset.tolist()}"
        raise DataError(line, mend="give symmetries_continuous a direction, or leave it out")
    angles = torch.arange(turns, dtype=axis.dtype) * (2 * math.pi / turns)
    rotation: Tensor = roma.rotvec_to_rotmat(angles[:, None] * axis / length)  # type: ignore[assignment]
    return rigid(rotation, offset - rotation @ offset)


def _group(generators: list[Float[Tensor, "4 4"]]) -> Float[Tensor, "s 4 4"]:
    """The identity, the given motions, and all their products."""
    identity = torch.eye(4, dtype=torch.float64)
    found = step = torch.stack((identity, *generators))
    found, size = _distinct(found, SAME), 0
    while len(found) > size:
        size = len(found)
        found = _distinct(torch.cat((found, (found[:, None] @ step).flatten(0, 1))), SAME)
        if len(found) > MOST_DISCRETE:
            raise DataError(
                f"{len(generators)} discrete symmetries have more than {MOST_DISCRETE} different products",
                mend="give symmetries_discrete that bring the object back to itself, exact to a degree",
            )
    return found


def _distinct(motions: Float[Tensor, "s 4 4"], angle: float) -> Float[Tensor, "t 4 4"]:
    """Without those whose rotation differs by less than `angle` (radians) from that of an earlier one."""
    rotations = motions[:, :3, :3].flatten(1)
    # the Frobenius distance of two rotations is 2 sqrt(2) sin(half their angle)
    near = torch.cdist(rotations, rotations) < 2 * math.sqrt(2) * math.sin(angle / 2)
    return motions[~near.tril(-1).any(1)]
