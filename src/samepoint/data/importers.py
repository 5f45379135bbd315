"""Conversion of other forms into the native form on disk: a reader each, and one writer for all."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from samepoint.data.bop_writer import BopWriter, ObjectMesh, WrittenView
from samepoint.data.corrections import Corrections, corrected
from samepoint.data.decode import DecodedView
from samepoint.data.deep_pixels import is_deep
from samepoint.data.image_files import is_heif
from samepoint.data.mesh import load_mesh
from samepoint.data.pixel_notes import with_pixel_notes
from samepoint.data.readers.bask import read_bask
from samepoint.data.readers.blenderproc import read_blenderproc
from samepoint.data.readers.bop import read_bop
from samepoint.data.readers.colmap import read_colmap
from samepoint.data.readers.flat_frames import is_flat, read_flat
from samepoint.data.readers.frames import is_frames, read_frames
from samepoint.data.readers.labelfusion import read_labelfusion
from samepoint.data.readers.lerobot import read_lerobot
from samepoint.data.readers.nerf_supervision import read_nerf_supervision
from samepoint.data.readers.nerfstudio import read_nerfstudio
from samepoint.data.readers.pdc import read_pdc
from samepoint.data.readers.pose_times import PoseTiming
from samepoint.data.readers.tum import read_tum
from samepoint.data.recording import Dataset, DepthFile, ObjectModel, View
from samepoint.data.straight import decode_straight
from samepoint.data.takes import with_takes
from samepoint.errors import DataError, one_of
from samepoint.files import clear_disk_errors, folder_written_whole

Reader = Callable[[Path, Path], Dataset]
"""Reads a source; what it must extract (frames of videos, arrays) it puts into the second folder, which is empty and
lasts until everything is written."""


def in_place(read: Callable[[Path], Dataset]) -> Reader:
    """The reader of a form whose files can be used as they are."""
    return lambda source, _scratch: read(source)


def _frames(source: Path) -> Dataset:
    """Folders of colour, depth and poses, or all side by side in one."""
    return read_flat(source) if not is_frames(source) and is_flat(source) else read_frames(source)


FORMATS: dict[str, Reader] = {
    "bop": in_place(read_bop),
    "frames": in_place(_frames),
    "pdc": in_place(read_pdc),
    "bask": read_bask,
    "nerfstudio": in_place(read_nerfstudio),
    "colmap": in_place(read_colmap),
    "tum": in_place(read_tum),
    "labelfusion": read_labelfusion,
    "nerf-supervision": read_nerf_supervision,
    "blenderproc": read_blenderproc,
    "lerobot": read_lerobot,
}
"""What `samepoint data import` reads, by name."""
COPIED = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
"""Images that are copied as they are; others are written as PNG."""


TIMED: dict[str, Callable[[Path, Path, PoseTiming], Dataset]] = {
    "tum": lambda source, _scratch, timing: read_tum(source, timing),
    "labelfusion": read_labelfusion,
}
"""The forms whose poses have times of their own."""


def import_dataset(
    form: str,
    source: Path,
    out: Path,
    corrections: Corrections | None = None,
    timing: PoseTiming | None = None,
) -> Dataset:
    """Reads `source` as `form`, writes it to `out` in the native form, and returns what was written, with the
    notes of what was not."""
    if form not in FORMATS:
        raise DataError(one_of("format", form, FORMATS))
    read = FORMATS[form]
    if timing is not None and timing.interpolate_poses:
        if form not in TIMED:
            mend = f"only {' and '.join(TIMED)} have poses with times of their own"
            raise DataError("--interpolate-poses does nothing for this format", where=form, mend=mend)
        read = partial(_read_timed, TIMED[form], timing)
    source, out = Path(source), Path(out)
    if not source.exists():
        raise DataError("does not exist", where=source, mend="check the path")
    with clear_disk_errors(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".importing-")
    with scratch:
        dataset = with_pixel_notes(read(source, Path(scratch.name)))
        write_native(corrected(dataset, corrections or Corrections()), out)
    return replace(read_bop(out), notes=dataset.notes)


def _read_timed(
    read: Callable[[Path, Path, PoseTiming], Dataset], timing: PoseTiming, source: Path, scratch: Path
) -> Dataset:
    return read(source, scratch, timing)


def write_native(dataset: Dataset, out: Path) -> None:
    """Writes any data set to `out`, a new or empty folder, which appears whole or not at all.

    Image and depth files are copied as they are, after decoding them once to find damaged ones; those of a lens that
    bends are straightened. Recordings without split become train. Where masks overlap the later placement wins; mesh
    colours are not kept.
    """
    with folder_written_whole(out) as draft:
        writer = BopWriter(draft, {"imported_from": dataset.root.name})
        for model in dataset.objects.values():
            writer.add_object(object_mesh(model), model.object_id)
        numbers: Counter[str] = Counter()
        for recording in with_takes(dataset.recordings):
            split = recording.split or "train"
            with writer.scene(split, numbers[split], recording.mode, recording.take) as scene:
                for moment in recording.moments:
                    scene.add_moment(
                        [written_view(view) for view in moment.views], moment.time, moment.sync_group
                    )
            numbers[split] += 1
        writer.close()


def object_mesh(model: ObjectModel) -> ObjectMesh:
    """An object of any data set, ready to be written in the native form."""
    vertices, faces, coordinates = torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64), None
    if model.mesh is not None:
        mesh = load_mesh(model)
        vertices, faces, coordinates = mesh.vertices, mesh.faces, mesh.coordinates
    return ObjectMesh(model.family, vertices, faces, coordinates, model.keypoints, model.symmetry)


def written_view(view: View) -> WrittenView:
    """A view of any data set, ready to be written in the native form."""
    return with_arrays(view, decode_straight(view))


def with_arrays(view: View, arrays: DecodedView) -> WrittenView:
    """The same with `arrays`, which are straight, in place of what the view's files hold. An image or a depth image
    that was straight in its file, and of a kind that other programs read, is copied all the same."""
    depth, bent = view.depth, view.lens is not None and not view.lens.straight
    exact = not bent and depth is not None and _exact(depth)
    metres = (
        None
        if arrays.depth is None or arrays.metres_per_unit is None
        else arrays.depth * arrays.metres_per_unit
    )
    return WrittenView(
        view.camera,
        arrays.image if bent or not _plain(view.image) else view.image,
        view.intrinsics,
        view.world_from_camera,
        depth if exact else metres,
        arrays.labels,
        [(p.object_id, p.camera_from_object) for p in view.placements],
        [p.visible_fraction for p in view.placements],
        arrays.depth_quantiles,
    )


def _plain(image: Path) -> bool:
    """Whether a file can be copied: of a usual kind, and of 8 bits (of others the white depends on the series)."""
    return image.suffix.lower() in COPIED and not is_heif(image) and not is_deep(image)


def _exact(depth: DepthFile) -> bool:
    return depth.path.suffix.lower() == ".png" and depth.unknown is None and depth.intrinsics is None
