"""Random light: a sky that shines from all sides, and one to three suns or lamps."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim.blender.things import linear
from samepoint.sim.patterns import from_hsv

WHITE = np.pi
"""Watts a square metre that make a white surface as bright as a screen shows it."""


def light_up(bpy: Any, generator: np.random.Generator, room: float) -> None:
    """Lights the scene about the origin, where a white surface comes near to white. `room`: see `World`."""
    total = WHITE * generator.uniform(0.9, 1.4)
    of_sky = generator.uniform(0.15, 0.65)
    _sky(bpy, generator, float(total * of_sky / np.pi))
    number = int(generator.integers(1, 4))
    shares = generator.dirichlet(np.ones(number))
    for share in shares:
        _lamp(bpy, generator, float(total * (1 - of_sky) * share), room)


def _sky(bpy: Any, generator: np.random.Generator, strength: float) -> None:
    """A gradient from below the horizon to the zenith, of the mean brightness `strength`."""
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    shade = next(node for node in nodes if node.type == "BACKGROUND")
    place, split = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeSeparateXYZ")
    height, ramp = nodes.new("ShaderNodeMapRange"), nodes.new("ShaderNodeValToRGB")
    height.inputs["From Min"].default_value = -1.0
    colours = np.stack([_tone(generator) for _ in range(3)])
    colours = colours * strength / colours.mean()
    ramp.color_ramp.elements.new(0.5)
    for element, colour in zip(ramp.color_ramp.elements, colours):
        element.color = (*colour, 1.0)
    links.new(place.outputs["Generated"], split.inputs["Vector"])
    links.new(split.outputs["Z"], height.inputs["Value"])
    links.new(height.outputs["Result"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], shade.inputs["Color"])


def _tone(generator: np.random.Generator) -> Float[np.ndarray, " 3"]:
    colour = from_hsv(generator.uniform(), generator.uniform(0.0, 0.35), generator.uniform(0.5, 1.0))
    return linear(np.array(colour) / 255)


def _lamp(bpy: Any, generator: np.random.Generator, power: float, room: float) -> None:
    """A sun or a square lamp that gives the origin `power` watts a square metre; the camera does not see it."""
    turn, high = generator.uniform(0, 2 * np.pi), generator.uniform(0.5, 1.4)
    way = np.array([np.cos(turn) * np.cos(high), np.sin(turn) * np.cos(high), np.sin(high)])
    far, size = generator.uniform(1.1, 1.8) * room, generator.uniform(0.1, 1.2) * room
    angle, warm = generator.uniform(0.01, 0.35), generator.uniform(-0.15, 0.15)
    sun = generator.uniform() < 0.4
    lamp = bpy.data.lights.new("lamp", "SUN" if sun else "AREA")
    lamp.color = (1 + warm, 1.0, 1 - warm)
    lamp.energy = power if sun else power * np.pi * far**2
    if sun:
        lamp.angle = angle
    else:
        lamp.size = size
    holder = bpy.data.objects.new("lamp", lamp)
    holder.visible_camera = False
    holder.matrix_world = _shining(way * far, -way).T.tolist()
    bpy.context.scene.collection.objects.link(holder)


def _shining(place: Float[np.ndarray, " 3"], along: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """The pose of a lamp, which shines along its -z axis."""
    side = np.cross([0.0, 0.0, 1.0], -along)
    side = side / np.linalg.norm(side)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([side, np.cross(-along, side), -along], axis=1)
    pose[:3, 3] = place
    return pose
