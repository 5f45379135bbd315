"""Conversion of other forms into the native form on disk: a reader each, and one writer for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from samepoint.data.bop import read_bop
from samepoint.data.bop_writer import BopWriter, ObjectMesh, WrittenView
from samepoint.data.decode import decode_view
from samepoint.data.frames import read_frames
from samepoint.data.mesh import load_mesh
from samepoint.data.recording import Dataset, ObjectModel, View
from samepoint.errors import DataError, one_of
from samepoint.files import folder_written_whole

FORMATS: dict[str, Callable[[Path], Dataset]] = {"bop": read_bop, "frames": read_frames}
"""What `samepoint data import` reads, by name."""


def import_dataset(form: str, source: Path, out: Path) -> Dataset:
    """Reads `source` as `form`, writes it to `out` in the native form, and returns what was written."""
    if form not in FORMATS:
        raise DataError(one_of("format", form, FORMATS))
    if not Path(source).exists():
        raise DataError("does not exist", where=source, mend="check the path")
    write_native(FORMATS[form](Path(source)), Path(out))
    return read_bop(Path(out))


def import_bop(source: Path, out: Path) -> Dataset:
    """A BOP data set of any maker, to the native form."""
    return import_dataset("bop", source, out)


def import_frames(source: Path, out: Path) -> Dataset:
    """Colour, depth and pose folders, to the native form."""
    return import_dataset("frames", source, out)


def write_native(dataset: Dataset, out: Path) -> None:
    """Writes any data set to `out`, a new or empty folder, which appears whole or not at all.

    Image and depth files are copied as they are, after decoding them once to find damaged ones. Recordings
    without split become train. Where masks overlap the later placement wins; mesh colours are not kept.
    """
    with folder_written_whole(out) as draft:
        writer = BopWriter(draft, {"imported_from": dataset.root.name})
        for model in dataset.objects.values():
            writer.add_object(_object_mesh(model), model.object_id)
        numbers: Counter[str] = Counter()
        for recording in dataset.recordings:
            split = recording.split or "train"
            with writer.scene(split, numbers[split], recording.mode) as scene:
                for moment in recording.moments:
                    scene.add_moment(
                        [_written(view) for view in moment.views], moment.time, moment.sync_group
                    )
            numbers[split] += 1
        writer.close()


def _object_mesh(model: ObjectModel) -> ObjectMesh:
    vertices, faces, coordinates = torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64), None
    if model.mesh is not None:
        mesh = load_mesh(model)
        vertices, faces, coordinates = mesh.vertices, mesh.faces, mesh.coordinates
    return ObjectMesh(model.family, vertices, faces, coordinates, model.keypoints, model.symmetry)


def _written(view: View) -> WrittenView:
    arrays = decode_view(view)
    depth = view.depth
    exact = depth is not None and depth.path.suffix.lower() == ".png"
    metres = (
        None
        if arrays.depth is None or arrays.metres_per_unit is None
        else arrays.depth * arrays.metres_per_unit
    )
    return WrittenView(
        view.camera,
        view.image,
        view.intrinsics,
        view.world_from_camera,
        depth if exact else metres,
        arrays.labels,
        [(p.object_id, p.camera_from_object) for p in view.placements],
        [p.visible_fraction for p in view.placements],
    )
