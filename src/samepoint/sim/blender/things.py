"""MuJoCo's geoms as Blender objects with materials."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim.blender.shapes import Shape, shape_of

VISIBLE_GROUPS = 3
"""MuJoCo draws the geoms of groups 0, 1 and 2."""


def mirror(bpy: Any, mujoco: ModuleType, model: Any, generator: np.random.Generator) -> dict[int, Any]:
    """Makes a Blender object of every geom that MuJoCo draws: {geom: object}, none in its place yet.

    Each thing (a body, or a geom of the world) has a random finish.
    """
    made: dict[int, Any] = {}
    finishes: dict[tuple[bool, int], dict[str, float]] = {}
    images: dict[int, Any] = {}
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        thing = (body == 0, geom if body == 0 else body)
        if thing not in finishes:
            finishes[thing] = random_finish(generator)
        if model.geom_group[geom] >= VISIBLE_GROUPS or _rgba(model, geom)[3] == 0:
            continue
        mesh = _blender_mesh(bpy, f"geom{geom}", shape_of(mujoco, model, geom))
        mesh.materials.append(_material(bpy, mujoco, model, geom, finishes[thing], images))
        made[geom] = bpy.data.objects.new(mesh.name, mesh)
        bpy.context.scene.collection.objects.link(made[geom])
    return made


def random_finish(generator: np.random.Generator) -> dict[str, float]:
    """How a surface takes light: from matt cloth to varnish. Names are inputs of Blender's Principled BSDF."""
    cloth, varnish = generator.uniform(size=2) < (0.25, 0.2)
    return {
        "Roughness": float(generator.uniform(0.25, 0.95)),
        "Specular IOR Level": float(generator.uniform(0.1, 0.7)),
        "Sheen Weight": float(generator.uniform(0.1, 0.6)) * float(cloth),
        "Coat Weight": float(generator.uniform(0.2, 0.8)) * float(varnish and not cloth),
        "Coat Roughness": float(generator.uniform(0.03, 0.3)),
    }


def linear(colour: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Light of a displayed (sRGB) colour in [0, 1]."""
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def _blender_mesh(bpy: Any, name: str, shape: Shape) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(shape.vertices))
    mesh.vertices.foreach_set("co", shape.vertices.astype(np.float32).ravel())
    mesh.loops.add(3 * len(shape.faces))
    mesh.loops.foreach_set("vertex_index", shape.faces.astype(np.int32).ravel())
    mesh.polygons.add(len(shape.faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * len(shape.faces), 3, dtype=np.int32))
    layer = mesh.uv_layers.new(name="uv")
    layer.uv.foreach_set("vector", shape.uv.astype(np.float32).ravel())
    mesh.update()
    mesh.shade_smooth()
    mesh.normals_split_custom_set(shape.normals.reshape(-1, 3).astype(np.float32))
    return mesh


def _material(
    bpy: Any, mujoco: ModuleType, model: Any, geom: int, finish: dict[str, float], images: dict[int, Any]
) -> Any:
    material = bpy.data.materials.new(f"geom{geom}")
    material.use_nodes = True
    tree = material.node_tree
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    for name, value in finish.items():
        surface.inputs[name].default_value = value
    surface.inputs["Base Color"].default_value = (*linear(_rgba(model, geom)[:3]), 1.0)
    texture = _texture(mujoco, model, geom)
    if texture >= 0:
        if texture not in images:
            images[texture] = _image(bpy, model, texture)
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = images[texture]
        tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
    return material


def _rgba(model: Any, geom: int) -> Float[np.ndarray, " 4"]:
    material = int(model.geom_matid[geom])
    return (model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]).astype(float)


def _texture(mujoco: ModuleType, model: Any, geom: int) -> int:
    material = int(model.geom_matid[geom])
    role = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
    return -1 if material < 0 else int(model.mat_texid[material, role])


def _image(bpy: Any, model: Any, texture: int) -> Any:
    """Blender's row 0 lies at v = 0, as MuJoCo's does."""
    height, width, channels = (
        int(values[texture]) for values in (model.tex_height, model.tex_width, model.tex_nchannel)
    )
    start = int(model.tex_adr[texture])
    picture = model.tex_data[start : start + height * width * channels].reshape(height, width, channels)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = picture[..., :3] / np.float32(255)
    image = bpy.data.images.new(f"texture{texture}", width, height)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image
