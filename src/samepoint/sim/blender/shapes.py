"""The surface of a MuJoCo geom as triangles with normals and texture coordinates, in the geom's frame."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from samepoint.sim.families.surface import Grid, Part, assemble, ellipsoid, plate, revolve

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Shape:
    """Triangles in metres; `normals` and `uv` are of their corners. Row 0 of a texture is v = 0."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    normals: Float[np.ndarray, "f 3 3"]
    uv: Float[np.ndarray, "f 3 2"]


def shape_of(mujoco: ModuleType, model: Any, geom: int) -> Shape:
    """The surface of a geom, as finely divided as MuJoCo draws it. ValueError for a kind that has none (height
    fields, signed distances)."""
    kind, size = int(model.geom_type[geom]), model.geom_size[geom].astype(float)
    around, rows = int(model.vis.quality.numslices), int(model.vis.quality.numstacks)
    kinds = mujoco.mjtGeom
    if kind == kinds.mjGEOM_MESH:
        return _mesh(model, int(model.geom_dataid[geom]))
    makers = {
        kinds.mjGEOM_PLANE: lambda: [_plane(size)],
        kinds.mjGEOM_BOX: lambda: _box(size),
        kinds.mjGEOM_SPHERE: lambda: [ellipsoid((0, 0, 0), size[[0, 0, 0]], rows, around)],
        kinds.mjGEOM_ELLIPSOID: lambda: [ellipsoid((0, 0, 0), size, rows, around)],
        kinds.mjGEOM_CYLINDER: lambda: _cylinder(size[0], size[1], around),
        kinds.mjGEOM_CAPSULE: lambda: [_capsule(size[0], size[1], rows, around)],
    }
    for known, make in makers.items():
        if kind == known:
            parts = [Part("", grid, WHOLE) for grid in make()]
            surface = assemble(parts, parts)
            faces = surface.faces
            return Shape(surface.vertices, faces, surface.normals[faces], surface.uv[faces])
    raise ValueError(f"geoms of kind {kind} have no surface to draw")


def _mesh(model: Any, mesh: int) -> Shape:
    def rows(values: Any, starts: Any, counts: Any) -> np.ndarray:
        return values[starts[mesh] : starts[mesh] + counts[mesh]]

    vertices = rows(model.mesh_vert, model.mesh_vertadr, model.mesh_vertnum).astype(float)
    faces = rows(model.mesh_face, model.mesh_faceadr, model.mesh_facenum)
    normals = rows(model.mesh_normal, model.mesh_normaladr, model.mesh_normalnum).astype(float)
    normals = normals[rows(model.mesh_facenormal, model.mesh_faceadr, model.mesh_facenum)]
    uv = np.zeros((len(faces), 3, 2))
    if model.mesh_texcoordadr[mesh] >= 0:
        places = rows(model.mesh_texcoord, model.mesh_texcoordadr, model.mesh_texcoordnum).astype(float)
        uv = places[rows(model.mesh_facetexcoord, model.mesh_faceadr, model.mesh_facenum)]
    kept = _one_of_each(vertices, faces)
    return Shape(vertices, faces[kept], normals[kept], uv[kept])


def _one_of_each(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, " k"]:
    """Of triangles at the same place the first: light would be caught between a sheet's two sides."""
    _, place = np.unique(vertices, axis=0, return_inverse=True)
    _, first = np.unique(np.sort(place.reshape(-1)[faces], axis=1), axis=0, return_index=True)
    return np.sort(first)


def _plane(half: np.ndarray) -> Grid:
    return plate((-half[0], half[1], 0.0), (2 * half[0], 0.0, 0.0), (0.0, -2 * half[1], 0.0), 1, 1)


def _box(half: np.ndarray) -> list[Grid]:
    """Six sides, each seen from outside the right way round."""
    x, y, z = (np.eye(3)[axis] * half[axis] for axis in range(3))
    sides = [(x, y, z), (-x, y, -z), (x, z, -y), (-x, z, y), (y, z, x), (-y, z, -x)]
    return [plate(out - right + up, 2 * right, -2 * up, 1, 1) for right, up, out in sides]


def _cylinder(radius: float, half: float, around: int) -> list[Grid]:
    profiles = (
        [(0.0, half), (radius, half)],
        [(radius, half), (radius, -half)],
        [(radius, -half), (0.0, -half)],
    )
    return [revolve(profile, around) for profile in profiles]


def _capsule(radius: float, half: float, rows: int, around: int) -> Grid:
    turn = np.linspace(0, np.pi / 2, rows // 2 + 1)
    cap = np.stack([radius * np.sin(turn), radius * np.cos(turn)], axis=1)
    profile = np.concatenate([cap + np.array([0, half]), cap[::-1] * (1, -1) - np.array([0, half])])
    return revolve(profile, around)
