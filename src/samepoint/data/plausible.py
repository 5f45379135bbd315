"""Depths that can be: a unit that is wrong by a thousand is seen in the median."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from samepoint.errors import DataError


@dataclass(frozen=True)
class DepthRange:
    """Metres between which a median depth lies, both included."""

    nearest: float
    farthest: float

    def __str__(self) -> str:
        return f"{self.nearest:g} to {self.farthest:g} m"

    def holds(self, median: float) -> bool:
        return self.nearest <= median <= self.farthest

    def factor(self, median: float) -> float:
        """The usual factor that brings a median that is outside into the range."""
        factors = (1e-3, 1e-2, 0.1, 1e-4, 1e-6) if median > 1 else (1e3, 1e2, 10.0, 1e4, 1e6)
        return next((factor for factor in factors if self.holds(median * factor)), factors[0])


PICTURE = DepthRange(0.05, 30.0)
"""Of all that a depth camera sees."""
OBJECT = DepthRange(0.02, 20.0)
"""Of an object that somebody masked."""


def depth_unit(metres: float) -> str:
    """What to do about depth that is being made into data."""
    return f"give --depth-unit {metres:.6g} (metres of one unit)"


def check_depth(
    metres: Shaped[np.ndarray, "*n"],
    where: object,
    metres_per_unit: float = 1.0,
    *,
    masked: bool = True,
    mend: Callable[[float], str] = depth_unit,
) -> float:
    """The median depth of an object; DataError if nothing is known of it, or if no object is so near or so far.

    `metres`: depth on the mask (`masked` false: of a whole image), 0, NaN or infinite where unknown;
    `metres_per_unit`: how it became metres, for a line in which `mend` of the right metres a unit says what to do.
    """
    known = metres[np.isfinite(metres) & (metres > 0)]
    if not len(known):
        give = "give the depth image of this photo, registered to it, or leave depth out"
        raise DataError("depth is unknown everywhere on the mask", where=where, mend=give)
    median = float(np.median(known))
    usual = OBJECT if masked else PICTURE
    if not usual.holds(median):
        what = f"the median depth{' on the mask' if masked else ''} is {median:.3g} m, not {usual}"
        raise DataError(what, where=where, mend=mend(metres_per_unit * usual.factor(median)))
    return median
