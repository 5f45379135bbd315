"""What stands in a recording and is not read: counted and named, so that nothing a user gives is dropped in silence.

A reader hands its data set to `noted`, with the files that it read and that no view names (poses, cameras). What
looks like data and was not taken becomes a line in `Dataset.notes`, which info, import, train and doctor print.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from samepoint.data.file_kinds import DATA_SUFFIXES
from samepoint.data.recording import Dataset
from samepoint.reading import walk

LINES = 8
"""At most so many folders are named; a further line counts the others."""
POSE_FOLDERS = frozenset({"pose", "poses", "extrinsics", "cam_pose", "camera_poses"})
POSE_SUFFIXES = frozenset({".txt", ".json", ".yaml", ".yml", ".csv"})
"""Files of these kinds are poses in such a folder."""
POSE_NAMES = frozenset(
    {
        *("poses.txt", "poses.json", "poses.csv", "trajectory.txt", "trajectory.log", "traj.txt", "traj.log"),
        *("groundtruth.txt", "camera_poses.txt", "camera_trajectory.txt", "extrinsics.json", "cameras.json"),
    }
)
"""Files with the poses of all images."""


def noted(
    dataset: Dataset,
    *,
    also: Iterable[Path] = (),
    reasons: Mapping[Path, str] | None = None,
    notes: Iterable[str] = (),
) -> Dataset:
    """The data set with `notes`, and one more for each folder below its root that holds data nobody took.

    `also`: files that were read and that no view names. `reasons`: why a file, or all files of a folder, are left
    out. For readers whose files are used where they are; one that extracts files hands over `notes` alone, by
    `replace`.
    """
    taken = {os.path.abspath(path) for path in (*files_of(dataset), *also)}
    lines = (*dataset.notes, *notes, *left_out(dataset.root, taken, reasons or {}))
    return replace(dataset, notes=tuple(dict.fromkeys(lines)))


def files_of(dataset: Dataset) -> Iterator[Path]:
    """Every file that a view or an object of the data set names."""
    for view in dataset.views():
        yield view.image
        if view.depth is not None:
            yield view.depth.path
        if view.depth_quantiles is not None:
            yield view.depth_quantiles.path
        yield from (placement.mask for placement in view.placements if placement.mask is not None)
    yield from (model.mesh for model in dataset.objects.values() if model.mesh is not None)


def left_out(root: Path, taken: set[str], reasons: Mapping[Path, str]) -> tuple[str, ...]:
    """A line for each folder at or below `root` and kind of file in it that looks like data and is not `taken`
    (absolute paths). Hidden files and folders are passed over; a `root` that is a file has none."""
    because = {os.path.abspath(path): reason for path, reason in reasons.items()}
    lines: list[str] = []
    for folder, names in _data_files(root):
        places = {name: os.path.abspath(os.path.join(folder, name)) for name in names}
        free = [name for name in names if places[name] not in taken]
        inherited = _inherited(folder, root, because)
        kinds = {
            name: (Path(name).suffix.lower(), because.get(places[name], inherited) or "") for name in free
        }
        for suffix, reason in dict.fromkeys(kinds.values()):
            these = [name for name in free if kinds[name] == (suffix, reason)]
            of = sum(Path(name).suffix.lower() == suffix for name in names)
            lines.append(_line(os.path.relpath(folder, root), these, of, suffix, reason))
    if len(lines) > LINES:
        more = len(lines) - LINES + 1
        lines[LINES - 1 :] = [f"{more} more kinds of files in other folders are not used"]
    return tuple(lines)


def _line(folder: str, names: list[str], of: int, suffix: str, reason: str) -> str:
    where = "" if folder == "." else f"{Path(folder).as_posix()}: "
    number = f"{len(names)}" if len(names) == of else f"{len(names)} of {of}"
    shown = names[0] if len(names) == 1 else f"{names[0]}, ..."
    verb = "is" if len(names) == 1 else "are"
    line = f"{where}{number} {suffix} file{'s' * (of != 1)} {verb} not used ({shown})"
    return f"{line}: {reason}" if reason else line


def _inherited(folder: str, root: Path, because: Mapping[str, str]) -> str | None:
    """The reason of the folder or of one above it."""
    place, top = os.path.abspath(folder), os.path.abspath(root)
    while True:
        if place in because or place == top or place == os.path.dirname(place):
            return because.get(place)
        place = os.path.dirname(place)


def _data_files(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Folders and the names in them that look like data, sorted."""
    for folder, files in walk(root) if root.is_dir() else ():
        poses = folder.name.lower() in POSE_FOLDERS
        names = [path.name for path in files if _looks_like_data(path.name, poses)]
        if names:
            yield str(folder), names


def _looks_like_data(name: str, poses: bool) -> bool:
    suffix = Path(name).suffix.lower()
    return suffix in DATA_SUFFIXES or (poses and suffix in POSE_SUFFIXES) or name.lower() in POSE_NAMES
