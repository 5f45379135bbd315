"""Blender's Cycles as a renderer of MuJoCo worlds (the extra `blender`)."""

from samepoint.sim.blender.loading import load_bpy
from samepoint.sim.blender.renderer import BlenderRenderer

__all__ = ["BlenderRenderer", "load_bpy"]
