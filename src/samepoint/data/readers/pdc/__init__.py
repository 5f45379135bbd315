"""Logs of pytorch-dense-correspondence (Dense Object Nets): a robot's scans of objects on a table.

    logs_proto/2018-04-16-14-25-19/processed/
      images/000000_rgb.png            8-bit colour; the numbers have gaps
      images/000000_depth.png          16-bit millimetres, registered to colour, 0 unknown
      images/camera_info.yaml          camera_matrix, image_width, image_height
      images/pose_data.yaml            {number: {camera_to_world: {quaternion: {w, x, y, z}, translation: {x, y, z}},
                                       rgb_image_filename, timestamp (nanoseconds)}}
      image_masks/000000_mask.png      0 background, 1 object
      rendered_images/000000_depth.png 16-bit millimetres, drawn from the fused mesh

Poses are camera to world (the robot's base), metres, OpenCV axes; the camera matrix counts from pixel centres. Depth
drawn from the fused mesh is preferred where it is there: the method trains on it. The images were rectified when they
were extracted (and masks and drawn depth come from the pinhole camera), so the distortion that camera_info.yaml
repeats is that of the camera before, and is not applied. Not read: meshes, point clouds, the TSDF, visible masks,
cropped depth, mesh descriptors, labelled key points.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.pdc.cameras import read_intrinsics, read_poses
from samepoint.data.readers.pdc.config import read_config
from samepoint.data.readers.tally import Tally
from samepoint.data.recording import (
    Dataset,
    DepthFile,
    Moment,
    ObjectModel,
    Placement,
    Recording,
    Split,
    View,
)
from samepoint.errors import DataError
from samepoint.reading import folders, matching

SIDE_FILES = ("camera_info.yaml", "pose_data.yaml")
METRES = 1e-3


def is_pdc(root: Path) -> bool:
    """Whether a folder is a log, its processed/ folder, or a folder of logs."""
    return _processed(root) is not None or bool(_logs(root))


def read_pdc(source: Path) -> Dataset:
    """Reads a log, its processed/ folder, a folder of logs, or a data set's configuration (YAML, see `config`).

    Each log becomes a recording of mode "scan". A configuration gives the splits, and its object_id the family; what
    the masks of a log show is the object, in a multi-object log all its objects together ("a+b"). Without a
    configuration each log has an object of its own, of no family. Images without a pose keep none; poses without an
    image are passed over; the notes count what is missing for single images. Raises DataError for missing or damaged
    files, wrong poses and sizes that do not fit.
    """
    source = Path(source)
    if source.suffix in (".yaml", ".yml"):
        return _read_configured(source)
    folder = _processed(source)
    logs = _logs(source) if folder is None else {_name(folder): folder}
    if not logs:
        mend = f"a log is a folder with images/{' and images/'.join(SIDE_FILES)}, perhaps within processed/"
        raise DataError("holds no log", where=source, mend=mend)
    tally = Tally()
    recordings = tuple(
        _read_log(path, name, k + 1, None, tally) for k, (name, path) in enumerate(logs.items())
    )
    known = [path for log in logs.values() for path in _known(log)]
    return noted(Dataset(source, recordings, _objects(recordings, {})), also=known, notes=tally.lines())


def _known(processed: Path) -> list[Path]:
    """Images that hold nothing beyond what is read: of visible or cropped parts, depth that the drawn one replaces,
    renderings of descriptors."""
    patterns = ("images/*_depth.png", "image_masks/*_visible_mask.png", "rendered_images/*.png")
    derived = ("mesh_descriptors/*/*", "images/*_cropped.png")
    return [path for pattern in (*patterns, *derived) for path in matching(processed, pattern)]


def _read_configured(path: Path) -> Dataset:
    listed = read_config(path)
    numbers = {key: k + 1 for k, key in enumerate(dict.fromkeys(log.family or log.folder for log in listed))}
    families = {numbers[log.family or log.folder]: log.family for log in listed}
    recordings: list[Recording] = []
    tally = Tally()
    for log in listed:
        folder = _processed(log.folder)
        if folder is None:
            mend = "restore the log, or take it off the list"
            raise DataError(f"is no log, but {path.name} lists it", where=log.folder, mend=mend)
        number = numbers[log.family or log.folder]
        recordings.append(_read_log(folder, f"{log.folder.name}/{log.split}", number, log.split, tally))
    return noted(Dataset(path, tuple(recordings), _objects(recordings, families)), notes=tally.lines())


def _objects(recordings: Iterable[Recording], families: dict[int, str | None]) -> dict[int, ObjectModel]:
    """Those that some mask shows."""
    seen = {p.object_id for recording in recordings for view in recording.views() for p in view.placements}
    return {number: ObjectModel(number, families.get(number)) for number in sorted(seen)}


def _read_log(folder: Path, name: str, object_id: int, split: Split | None, tally: Tally) -> Recording:
    images = _numbered(folder / "images", "_rgb.png")
    if not images:
        raise DataError("holds no images NNNNNN_rgb.png", where=folder / "images", mend="restore them")
    intrinsics = read_intrinsics(folder / "images" / "camera_info.yaml", next(iter(images.values())))
    poses, times = read_poses(folder / "images" / "pose_data.yaml", images)
    depths = _numbered(folder / "images", "_depth.png") | _numbered(folder / "rendered_images", "_depth.png")
    masks = _numbered(folder / "image_masks", "_mask.png")
    moments = []
    for number, image in images.items():
        depth = DepthFile(depths[number], METRES) if number in depths else None
        placements = (Placement(object_id, mask=masks[number]),) if number in masks else ()
        view = View("cam0", image, intrinsics, poses.get(number), depth, placements)
        moments.append(Moment((view,), times.get(number)))
    for what, known in (("pose", poses), ("depth image", depths), ("mask", masks)):
        if known:
            tally.add(f"images have no {what}", name, sum(n not in known for n in images), len(images))
    return Recording(name, "scan", tuple(moments), split)


def _processed(folder: Path) -> Path | None:
    """The folder of a log that holds images/."""
    for candidate in (folder, folder / "processed"):
        if any((candidate / "images" / name).exists() for name in SIDE_FILES):
            return candidate
    return None


def _logs(root: Path) -> dict[str, Path]:
    """The logs in a folder, or in its logs_proto/."""
    for base in (root, root / "logs_proto"):
        children = sorted(folders(base), key=natural_key)
        found = {p.name: folder for p in children if (folder := _processed(p)) is not None}
        if found:
            return found
    return {}


def _name(folder: Path) -> str:
    folder = folder.absolute()
    return folder.parent.name if folder.name == "processed" else folder.name


def _numbered(folder: Path, suffix: str) -> dict[int, Path]:
    """Files by their number, in its order."""
    found = matching(folder, f"*{suffix}")
    numbered = {int(n): p for p in found if (n := p.name.removesuffix(suffix)).isdigit()}
    return dict(sorted(numbered.items()))
