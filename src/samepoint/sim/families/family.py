"""What a family is: shape parameters, parts, keypoints, and how instances share canonical coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from samepoint.sim.families.surface import Part, Rectangle, assemble

Shape = Mapping[str, float]
"""Values of a family's shape parameters (metres, radians or ratios)."""


@dataclass(frozen=True)
class Family:
    """A kind of object. `parts` builds it from shape parameters, always with the same rows and columns.

    `parameters` are (lowest, highest) values; the template has the middle ones, except where `template` says
    otherwise (thicker walls keep the inside and the outside apart). `keypoints` are (part, row, column) with
    row and column as fractions of the part's grid. `upright` is how often an object is put down as it stands.
    """

    name: str
    parameters: Mapping[str, tuple[float, float]]
    parts: Callable[[Shape], list[Part]]
    keypoints: Mapping[str, tuple[str, float, float]]
    upright: float = 0.6
    template: Shape = field(default_factory=dict)

    def template_shape(self) -> dict[str, float]:
        middle = {name: (low + high) / 2 for name, (low, high) in self.parameters.items()}
        return {**middle, **self.template}

    def sample_shape(self, generator: np.random.Generator) -> dict[str, float]:
        """Random shape parameters, uniform in their ranges."""
        return {name: float(generator.uniform(low, high)) for name, (low, high) in self.parameters.items()}

    def panels(self) -> dict[str, Rectangle]:
        """The rectangle of each part in the texture."""
        return {part.name: part.panel for part in self.parts(self.template_shape())}

    def build(self, shape: Shape) -> Model:
        """The mesh of one shape, with its base at z = 0 and the family's canonical coordinates."""
        parts, template = self.parts(shape), self.parts(self.template_shape())
        surface = assemble(parts, template)
        rest = np.concatenate([part.grid.reshape(-1, 3) for part in template])
        low, high = rest.min(0), rest.max(0)
        coordinates = (rest - low) / (high - low).max()
        lift = np.array([0.0, 0.0, surface.vertices[:, 2].min()])
        vertices = surface.vertices - lift
        points = {name: vertices[self._vertex(template, *where)] for name, where in self.keypoints.items()}
        return Model(vertices, surface.normals, surface.uv, surface.faces, coordinates, points)

    def _vertex(self, template: list[Part], name: str, row: float, column: float) -> int:
        start = 0
        for part in template:
            rows, columns = part.grid.shape[:2]
            if part.name == name:
                return start + round(row * (rows - 1)) * columns + round(column * (columns - 1))
            start += rows * columns
        raise KeyError(name)


@dataclass(frozen=True)
class Model:
    """One object: metres, object frame (z up, front -y, base at z = 0).

    `coordinates` are canonical: the vertex's place in the family's template, scaled evenly so that the
    longest side of the template's bounding box is [0, 1]. `uv` is (right, down) in the texture, fractions.
    """

    vertices: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    uv: Float[np.ndarray, "v 2"]
    faces: Int[np.ndarray, "f 3"]
    coordinates: Float[np.ndarray, "v 3"]
    keypoints: Mapping[str, Float[np.ndarray, " 3"]]
