"""Where the tip of a plug is labelled."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def labelled_tip(
    tip: Float[np.ndarray, " 3"],
    base: Float[np.ndarray, " 3"],
    opening: Float[np.ndarray, " 3"],
    outward: Float[np.ndarray, " 3"],
    radius: float,
) -> Float[np.ndarray, " 3"]:
    """The tip itself; once it is in the socket and cannot be seen, the middle of the socket's opening.

    It is in the socket when it is behind the plane of the opening, and the pin (from `base` to `tip`) passes that
    plane within `radius` metres of the middle. `outward`: unit vector out of the socket.
    """
    below, above = float((tip - opening) @ outward), float((base - opening) @ outward)
    if below >= 0 or above <= below:
        return tip
    passed = tip + (base - tip) * np.clip(-below / (above - below), 0, 1)
    return opening.copy() if np.linalg.norm(passed - opening) <= radius else tip
