"""Rendered data: parametric object families on a table, drawn with MuJoCo and written as files."""

from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderMode, RenderSettings

__all__ = ["RenderMode", "RenderSettings", "render_dataset"]
