"""Recordings whose files of one moment lie side by side in one folder and differ by a word in their names.

    frame-000000.color.png   frame-000000.depth.png   frame-000000.pose.txt      (7-Scenes)
    000001-color.png   000001-depth.png   000001-label.png   000001-meta.mat     (YCB-Video)

The camera is a file in that folder or in the one above (`side_cameras`), or the meta files; without one depth is not
used. 65535 is
unknown depth. Poses are camera-to-world, metres, OpenCV axes; labels are numbers of objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from samepoint.data.file_kinds import DEPTH_SUFFIXES, is_image
from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.masks_beside import Masks, masks_beside
from samepoint.data.readers.name_roles import Role, role_of
from samepoint.data.readers.photo_roles import roles_within
from samepoint.data.readers.posed_views import cameras_of, posed_views
from samepoint.data.readers.side_cameras import NAMED
from samepoint.data.readers.ycb_meta import with_meta
from samepoint.data.recording import Dataset, Moment, ObjectModel, Recording, Split
from samepoint.errors import DataError
from samepoint.reading import entries, folders
from samepoint.text import read_lines

UNKNOWN = 65535
SPLITS: dict[str, Split] = {"TrainSplit.txt": "train", "TestSplit.txt": "test"}
"""7-Scenes: lines "sequence1" name the folder seq-01."""


def is_flat(root: Path) -> bool:
    """Whether a folder, or one in it, holds images beside their depth or poses, by the words in their names."""
    return bool(_flat_folders(root))


def read_flat(root: Path) -> Dataset:
    """Each folder is a recording, of mode "scan" if poses or depth are known, else "photos".

    Raises DataError for wrong poses and sizes that do not fit.
    """
    root = Path(root)
    recordings: list[Recording] = []
    objects: dict[int, ObjectModel] = {}
    read: list[Path] = []
    notes: list[str] = []
    reasons: dict[Path, str] = {}
    splits = _splits(root)
    found = _flat_folders(root)
    if not found:
        mend = "name the files NAME-color.png, NAME-depth.png, NAME-pose.txt"
        raise DataError("holds no images beside their depth or poses", where=root, mend=mend)
    for folder, roles in found.items():
        part = _read(root, folder, roles, splits.get(folder))
        recordings += part.recordings
        objects |= part.objects
        read += _read_beside(folder, roles)
        where = "" if folder == root else f"{folder.name}: "
        notes += [f"{where}{note}" for note in part.notes]
        if not any(view.depth is not None for view in part.views()):
            depths = [path for path, role in roles.items() if role == "depth"]
            reasons |= dict.fromkeys(depths, f"no camera; write {NAMED} there")
    return noted(Dataset(root, tuple(recordings), objects), also=read, reasons=reasons, notes=notes)


def _read(root: Path, folder: Path, roles: Mapping[Path, Role], split: Split | None) -> Dataset:
    images = _images(folder, roles)
    depths, poses, masks, labels = (
        sorted((path for path, r in roles.items() if r == role), key=natural_key)
        for role in ("depth", "pose", "mask", "label")
    )
    placed = Masks()
    if labels or masks:
        placed = masks_beside(images, files=labels or masks, labels=bool(labels))
    depths = [path for path in depths if path.suffix.lower() in DEPTH_SUFFIXES]
    cameras = cameras_of((folder, root), images[0], depths)
    used = depths if cameras.colour else []
    found = posed_views(images, used, poses, placed, cameras, unknown_depth=UNKNOWN)
    by_image, said = with_meta(found.views, depths, _metas(folder))
    views = tuple(by_image.values())
    posed = any(view.depth is not None or view.world_from_camera is not None for view in views)
    name = folder.absolute().name if folder == root else folder.relative_to(root).as_posix()
    moments = tuple(Moment((view,)) for view in views)
    recording = Recording(name, "scan" if posed else "photos", moments, split)
    numbers = {placement.object_id for view in views for placement in view.placements}
    objects = {**{number: ObjectModel(number) for number in sorted(numbers)}, **placed.objects}
    return Dataset(folder, (recording,), objects, (*found.notes, *said))


def _metas(folder: Path) -> list[Path]:
    """YCB-Video's NAME-meta.mat."""
    return [path for path in entries(folder) if path.name.lower().endswith("-meta.mat")]


def _read_beside(folder: Path, roles: Mapping[Path, Role]) -> list[Path]:
    """Poses and meta files, which no view names."""
    return [*_metas(folder), *(path for path, role in roles.items() if role == "pose")]


def _images(folder: Path, roles: Mapping[Path, Role]) -> list[Path]:
    shown = [path for path in entries(folder) if is_image(path) and path not in roles]
    coloured = [path for path in shown if role_of(path.stem)[1] == "colour"]
    return sorted(coloured or shown, key=natural_key)


def _flat_folders(root: Path) -> dict[Path, dict[Path, Role]]:
    """The folders of such recordings, with the roles of the files in them that are no colour images."""
    found: dict[Path, dict[Path, Role]] = {}
    for folder in (root, *sorted(folders(root), key=natural_key)):
        files = entries(folder)
        images = [path for path in files if is_image(path)]
        words = {role_of(path.stem)[1] for path in files if path.is_file()}
        if not images or not words & {"depth", "pose"}:
            continue
        arrays = [path for path in files if path.suffix.lower() in DEPTH_SUFFIXES and not is_image(path)]
        texts = [path for path in files if path.suffix.lower() == ".txt"]
        roles = roles_within(images, [*arrays, *texts])
        if {"depth", "pose"} & set(roles.values()):
            found[folder] = roles
    return found


def _splits(root: Path) -> dict[Path, Split]:
    """7-Scenes' lists of sequences."""
    splits: dict[Path, Split] = {}
    for name, split in SPLITS.items():
        if (root / name).is_file():
            numbers = ("".join(filter(str.isdigit, line)) for line in read_lines(root / name))
            splits |= {root / f"seq-{int(number):02d}": split for number in numbers if number}
    return splits
