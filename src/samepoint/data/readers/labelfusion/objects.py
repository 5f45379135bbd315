"""What LabelFusion knows of objects: their names and meshes, and where they are in an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.decode import decode_image
from samepoint.data.mesh import write_ply
from samepoint.data.readers.labelfusion.vtp import read_vtp
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.data.readers.scratch_files import write_mask
from samepoint.data.readers.yaml_mapping import read_mapping
from samepoint.data.recording import ObjectModel, Placement
from samepoint.errors import DataError


@dataclass(frozen=True)
class KnownObjects:
    """object_data.yaml: {name: {mesh: object-meshes/NAME.vtp, label: NUMBER}}, labels 1 to 255.

    `path` is None where the file is missing; `labels` by name.
    """

    path: Path | None
    labels: dict[str, int]
    meshes: dict[int, Path]

    def checked(self, label: int, where: Path, name: str | None = None) -> int:
        """The label. DataError if object_data.yaml does not know it, or (where given) not by this name."""
        if self.path is None:
            what = "shows an object, but there is no object_data.yaml"
            raise DataError(what, where=where, mend="put it into the log's folder or one of the two above")
        fits = label in self.labels.values() if name is None else self.labels.get(name) == label
        if not fits:
            what = f"has the label {label}" + ("" if name is None else f" for {name}")
            mend = f"give it there: {self.path.name} must name every label"
            raise DataError(f"{what}, which {self.path} does not have", where=where, mend=mend)
        return label


def read_known_objects(path: Path | None) -> KnownObjects:
    labels: dict[str, int] = {}
    meshes: dict[int, Path] = {}
    for name, entry in (read_mapping(path) if path is not None else {}).items():
        label = entry.get("label") if isinstance(entry, dict) else None
        if not isinstance(label, int) or not 0 < label < 256 or label in labels.values():
            what = f"{name} has the label {label!r}"
            raise DataError(what, where=path, mend="give each object a number of its own, 1 to 255")
        labels[str(name)] = label
        if path is not None and entry.get("mesh"):
            meshes[label] = path.parent / str(entry["mesh"])
    return KnownObjects(path, labels, meshes)


def read_placements(image: Path, objects: KnownObjects, scratch: Path) -> tuple[Placement, ...]:
    """The objects in NUMBER_rgb.png, by its NUMBER_labels.png and NUMBER_poses.yaml (each may be missing).

    The label image is split into one mask an object, written to `scratch`.
    """
    stem = image.name.removesuffix("_rgb.png")
    masks = _split(image.with_name(f"{stem}_labels.png"), stem, objects, scratch)
    poses = _poses(image.with_name(f"{stem}_poses.yaml"), objects)
    return tuple(Placement(label, poses.get(label), masks.get(label)) for label in sorted({*masks, *poses}))


def object_models(labels: Iterable[int], objects: KnownObjects, scratch: Path) -> dict[int, ObjectModel]:
    """The objects of these labels; VTP meshes become PLY in `scratch`, meshes of other forms are left out."""
    names = {label: name for name, label in objects.labels.items()}
    models: dict[int, ObjectModel] = {}
    for label in sorted(labels):
        mesh = objects.meshes.get(label)
        if mesh is not None and mesh.suffix == ".vtp" and mesh.is_file():
            converted = scratch / f"object-{label}.ply"
            write_ply(converted, read_vtp(mesh))
            mesh = converted
        usable = mesh is not None and mesh.suffix == ".ply" and mesh.is_file()
        models[label] = ObjectModel(label, names[label], mesh if usable else None)
    return models


def _split(path: Path, stem: str, objects: KnownObjects, scratch: Path) -> dict[int, Path]:
    if not path.is_file():
        return {}
    labels = decode_image(path)[..., 0]
    masks: dict[int, Path] = {}
    for label in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)[1:]) + 1:
        number = objects.checked(int(label), path)
        masks[number] = write_mask(scratch / f"{stem}_{number}.png", labels == number)
    return masks


def _poses(path: Path, objects: KnownObjects) -> dict[int, Float[Tensor, "4 4"]]:
    """{NAME: {label, num_pixels, pose: [[x, y, z], [w, x, y, z]]}}: object to camera, metres."""
    if not path.is_file() or not path.stat().st_size:  # nothing is in view
        return {}
    labels: list[int] = []
    matrices: list[np.ndarray] = []
    names: list[str] = []
    for name, entry in read_mapping(path).items():
        where = f"{path}, {name}"
        label, pose = _fields(entry, where)
        matrices.append(matrix_from(rotation_from_quaternion(pose[1], where), pose[0], 1.0, where))
        labels.append(objects.checked(label, path, str(name)))
        names.append(where)
    return dict(zip(labels, checked_poses(matrices, names), strict=True))


def _fields(entry: Any, where: str) -> tuple[int, list]:
    label, pose = (entry.get("label"), entry.get("pose")) if isinstance(entry, dict) else (None, None)
    if not isinstance(label, int) or not isinstance(pose, list) or len(pose) != 2:
        mend = "write label: NUMBER and pose: [[x, y, z], [w, x, y, z]]"
        raise DataError("has no label and pose", where=where, mend=mend)
    return label, pose
