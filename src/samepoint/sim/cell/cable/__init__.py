"""A flexible cable with a plug that a gripper brings to a socket."""

from samepoint.sim.cell.cable.actor import Cable, cable

__all__ = ["Cable", "cable"]
