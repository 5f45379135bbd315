"""A soft toy fox: limbs that bend, one skin over all of them, keypoints inside."""

from samepoint.sim.cell.plush.actor import Plush, plush

__all__ = ["Plush", "plush"]
