"""Writes posed images in the native form on disk: BOP with a samepoint.json beside it (docs/data.md).

Scenes are independent: a `SceneWriter` needs only the root, so that processes may share the work. A data set
without samepoint.json was not closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float, Int
from torch import Tensor

from samepoint.data.mesh import Mesh, write_ply
from samepoint.data.recording import Mode, Split, Symmetry
from samepoint.data.scene_writer import MILLIMETRES, SceneWriter, WrittenView, float64_array, number_list
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors, write_json
from samepoint.geometry.meshes import diameter

__all__ = ["BopWriter", "ObjectMesh", "SceneWriter", "WrittenView"]


@dataclass(frozen=True)
class ObjectMesh:
    """An object to write. Vertices in metres, object frame; `coordinates` canonical, shared by the family."""

    family: str | None
    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    coordinates: Float[Tensor, "v 3"] | None = None
    keypoints: Mapping[str, Float[Tensor, " 3"]] = field(default_factory=dict)
    symmetry: Symmetry | None = None


class BopWriter:
    """Starts a data set in a new or empty folder; `close` writes what makes it one."""

    def __init__(self, root: Path, generator: Mapping[str, object] | None = None) -> None:
        self.root = Path(root)
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise DataError("this folder is not empty", where=self.root, mend="choose a new folder")
        with clear_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        self.generator = dict(generator or {})
        self._objects: dict[str, dict[str, object]] = {}
        self._models: dict[str, dict[str, object]] = {}

    def add_object(self, model: ObjectMesh, object_id: int | None = None) -> int:
        """Writes the mesh (millimetres, with cx cy cz) and returns its object id, from 1 upwards.

        A mesh without vertices is an object of unknown shape: no file is written for it.
        """
        number = object_id if object_id is not None else max(map(int, self._objects), default=0) + 1
        if str(number) in self._objects:
            raise DataError(f"object id {number} is taken", where=self.root)
        if len(model.vertices):
            mesh = Mesh(model.vertices, model.faces, model.coordinates)
            write_ply(self.root / "models" / f"obj_{number:06d}.ply", mesh, scale=MILLIMETRES)
        self._models[str(number)] = {**_extent(model.vertices), **_symmetries(model.symmetry)}
        keypoints = {name: number_list(xyz) for name, xyz in model.keypoints.items()}
        self._objects[str(number)] = {"family": model.family, "keypoints": keypoints}
        return number

    def scene(
        self, split: Split, name_index: int, mode: Mode = "scan", take: str | None = None
    ) -> SceneWriter:
        return SceneWriter(self.root, split, name_index, mode, take)

    def close(self) -> None:
        """Writes models_info.json and, last, samepoint.json."""
        if self._models:
            write_json(self.root / "models" / "models_info.json", self._models, indent=1)
        content = {
            "format": "samepoint-bop",
            "version": 1,
            "objects": self._objects,
            "generator": self.generator,
        }
        write_json(self.root / "samepoint.json", content, indent=1)


def _extent(vertices: Tensor) -> dict[str, object]:
    """BOP's diameter (`geometry.meshes.diameter`), min_* and size_* in millimetres."""
    points = vertices.detach().cpu().double() * MILLIMETRES
    if not len(points):
        return {}
    lowest, highest = points.min(0).values, points.max(0).values
    extent = {f"min_{axis}": float(lowest[i]) for i, axis in enumerate("xyz")}
    extent |= {f"size_{axis}": float(highest[i] - lowest[i]) for i, axis in enumerate("xyz")}
    return {"diameter": diameter(points), **extent}


def _symmetries(symmetry: Symmetry | None) -> dict[str, object]:
    if symmetry is None:
        return {}
    out: dict[str, object] = {}
    if symmetry.discrete:
        scaled = [float64_array(motion).copy() for motion in symmetry.discrete]
        for motion in scaled:
            motion[:3, 3] *= MILLIMETRES
        out["symmetries_discrete"] = [motion.ravel().tolist() for motion in scaled]
    if symmetry.continuous:
        out["symmetries_continuous"] = [
            {"axis": number_list(axis), "offset": [x * MILLIMETRES for x in number_list(offset)]}
            for axis, offset in symmetry.continuous
        ]
    return out
