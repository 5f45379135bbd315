"""Depths that can be: a unit that is wrong by a thousand is seen in the median."""

from __future__ import annotations

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


def check_depth(metres: Shaped[np.ndarray, "*n"], where: object, metres_per_unit: float = 1.0) -> float:
    """The median depth of an object; DataError if nothing is known of it, or if no object is so near or so far.

    `metres`: depth on the mask, 0, NaN or infinite where unknown; `metres_per_unit`: how it became metres, for a line
    that offers the right `--depth-unit`.
    """
    known = metres[np.isfinite(metres) & (metres > 0)]
    if not len(known):
        mend = "give the depth image of this photo, registered to it, or leave depth out"
        raise DataError("depth is unknown everywhere on the mask", where=where, mend=mend)
    median = float(np.median(known))
    if not OBJECT.holds(median):
        what = f"the median depth on the mask is {median:.3g} m, not {OBJECT}"
        right = metres_per_unit * OBJECT.factor(median)
        raise DataError(what, where=where, mend=f"give --depth-unit {right:.6g} (metres of one unit)")
    return median
