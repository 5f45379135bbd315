"""A rendered robot cell: several calibrated cameras look at a keypointed object, moment by moment."""

from samepoint.sim.cell.render import render_cell
from samepoint.sim.cell.settings import CellSettings

__all__ = ["CellSettings", "render_cell"]
