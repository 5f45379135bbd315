"""What tells one object from another: how large it is, where its mesh lies in its frame, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.mesh import load_mesh
from samepoint.data.recording import ObjectModel
from samepoint.errors import DataError
from samepoint.geometry.meshes import diameter

TOLERANCE = 0.02
"""Share of the diameter by which two meshes of one object may differ (simplified, rounded)."""


@dataclass(frozen=True)
class ObjectShape:
    """`diameter` (metres, the largest distance between vertices), `box` (the lowest and the highest corner of the
    vertices' bounding box, metres, object frame) and `family` of an object; None where unknown."""

    diameter: float | None = None
    box: Float[Tensor, "2 3"] | None = None
    family: str | None = None

    def difference(self, other: ObjectShape) -> str | None:
        """What shows that the two are not one object, in words; None where nothing does.

        Names count only where no sizes can be compared: one mesh may go by two names.
        """
        names = None
        if self.family is not None and other.family is not None and self.family != other.family:
            names = f"{self.family!r}, not {other.family!r}"
        size, compared = self._size_difference(other)
        if size is not None:
            return size if names is None else f"{size} ({names})"
        return None if compared or names is None else f"it is {names}"

    def _size_difference(self, other: ObjectShape) -> tuple[str | None, bool]:
        """How far the sizes differ, in words, and whether there were any to compare."""
        compared = False
        if self.diameter is not None and other.diameter is not None:
            compared, limit = True, TOLERANCE * max(self.diameter, other.diameter)
            if abs(self.diameter - other.diameter) > limit:
                return f"its diameter is {_cm(self.diameter)}, not {_cm(other.diameter)}", True
        if self.box is not None and other.box is not None:
            compared, off = True, float((self.box - other.box).abs().max())
            if off > TOLERANCE * max(float((box[1] - box[0]).norm()) for box in (self.box, other.box)):
                return f"the bounding boxes of their meshes are {_cm(off)} apart", True
        return None, compared


def shape_of(model: ObjectModel) -> ObjectShape:
    """From the model's own diameter, or that of its mesh, and the mesh. DataError for a mesh that cannot be read."""
    if model.mesh is None:
        return ObjectShape(model.diameter, None, model.family)
    vertices = load_mesh(model).vertices
    if len(vertices) == 0 or not bool(vertices.isfinite().all()):
        raise DataError("the mesh has no vertices, or some that are not finite", where=model.mesh)
    box = torch.stack((vertices.amin(0), vertices.amax(0)))
    return ObjectShape(model.diameter or diameter(vertices), box, model.family)


def _cm(metres: float) -> str:
    return f"{100 * metres:.3g} cm"
