"""The objects of a data set: made or read once a process, and written beside the scenes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from samepoint.data.bop_writer import BopWriter, ObjectMesh
from samepoint.sim.meshes import FileObject, mesh_name, welded
from samepoint.sim.pool import Instance, Slot, make_instance, make_model
from samepoint.sim.settings import RenderSettings

log = logging.getLogger(__name__)


@lru_cache(maxsize=64)
def kept_instance(settings: RenderSettings, slot: Slot) -> Instance:
    """`make_instance`, remembered for the scenes that come."""
    return make_instance(settings, slot)


def write_objects(writer: BopWriter, settings: RenderSettings, slots: Sequence[Slot]) -> None:
    """Writes the meshes of objects. Where they were read from files, it is said once how many have no texture."""
    if settings.meshes is not None:
        _write_files(writer, settings, settings.meshes, slots)
        return
    for slot in slots:
        model = make_model(settings, slot)
        mesh = ObjectMesh(
            slot.family,
            _tensor(model.vertices),
            torch.from_numpy(model.faces.astype(np.int64)),
            _tensor(model.coordinates),
            {name: _tensor(point) for name, point in model.keypoints.items()},
        )
        writer.add_object(mesh, slot.object_id)


def _write_files(writer: BopWriter, settings: RenderSettings, folder: Path, slots: Sequence[Slot]) -> None:
    """Also notes beside the settings which file each object is and how it was moved (metres)."""
    sources: dict[str, object] = {}
    bare: list[str] = []
    for slot in slots:
        found = kept_instance(settings, slot).file
        assert found is not None
        assert slot.mesh is not None
        name = mesh_name(folder, slot.mesh)
        writer.add_object(_welded_mesh(found), slot.object_id)
        sources[str(slot.object_id)] = {"file": name, "moved": found.moved.tolist()}
        bare += [] if found.textured else [name]
    writer.generator["mesh_files"] = sources
    if bare:
        shown = ", ".join(bare[:3]) + (", ..." if len(bare) > 3 else "")
        log.warning("%d of %d meshes have no texture and get plain colours: %s", len(bare), len(slots), shown)


def _welded_mesh(found: FileObject) -> ObjectMesh:
    vertices, faces, coordinates = welded(found.model)
    return ObjectMesh(None, _tensor(vertices), torch.from_numpy(faces.astype(np.int64)), _tensor(coordinates))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
