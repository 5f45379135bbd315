"""The tables of a recording: clicks, exact points, times and static ranges, put to its moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.readers.multi_camera.footage import Footage
from samepoint.data.readers.multi_camera.names import Names
from samepoint.data.rig.foreign_labels.beside import foreign_note, is_foreign_table, take_command
from samepoint.data.rig.tables import (
    COORDINATES,
    LABELS,
    POINTS,
    STILL,
    TIMES,
    number,
    read_table,
    unused_columns,
)
from samepoint.errors import DataError

TABLES = {"labels.csv": LABELS, "points.csv": POINTS, "times.csv": TIMES, "still.csv": STILL}
T = TypeVar("T")
Clicks = dict[str, dict[str, dict[str, tuple[float, float]]]]


@dataclass
class Annotations:
    """By moment: `clicks` then by camera and keypoint, exact points (`truth`) by keypoint, `times` by camera.
    `still`: first and last place of ranges of moments."""

    clicks: Clicks = field(default_factory=dict)
    truth: dict[str, dict[str, Float[Tensor, " 3"]]] = field(default_factory=dict)
    times: dict[str, dict[str, float]] = field(default_factory=dict)
    still: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def has_times(folder: Path) -> bool:
    """Whether times.csv says something: moments are then those of its names."""
    return bool(_rows(folder / "times.csv", TIMES))


def read_annotations(folder: Path, footage: Mapping[str, Footage], names: Names) -> Annotations:
    """All four tables. A row of labels.csv or times.csv names a frame of its camera, one of the others a moment.

    Rows of labels without coordinates (empty, or NaN) are not labelled. DataError for a camera, frame or moment that
    there is not, naming the video that ends too early where that is why; and for what stands there twice.
    """
    made = Annotations()
    _read_clicks(made, folder / "labels.csv", names)
    made.notes += foreign_note(folder, bool(made.clicks))
    for where, row in _rows(folder / "points.csv", POINTS):
        xyz = torch.tensor([number(row[axis], axis, where) for axis in "xyz"], dtype=torch.float32)
        _add(made.truth.setdefault(names.moment(row["moment"], where), {}), row["keypoint"], xyz, where)
    for where, row in _rows(folder / "times.csv", TIMES):
        time, camera = number(row["time"], "time", where), names.camera(row["camera"], where)
        moment = names.moment_of_frame(camera, row["moment"], where)
        if moment is not None:
            _add(made.times.setdefault(moment, {}), camera, time, where)
    for where, row in _rows(folder / "still.csv", STILL):
        first, last = (names.moment(row[key], where) for key in ("first", "last"))
        places = names.place(first), names.place(last)
        if places[0] > places[1]:
            raise DataError(f"{first} comes after {last}", where=where, mend="write the earlier one first")
        made.still.append(places)
    return made


def _read_clicks(made: Annotations, path: Path, names: Names) -> None:
    if path.is_file() and is_foreign_table(path):
        moved = path.with_name("other_labels.csv")
        what = "is a table of DeepLabCut, Lightning Pose or SLEAP"
        raise DataError(
            what, where=path, mend=f"call it {moved.name}; {take_command(path.parent, [moved])} takes it"
        )
    bare = skipped = 0
    example = ""
    for where, row in _rows(path, LABELS, optional=COORDINATES):
        uv = _uv(row, where)
        camera = names.camera(row["camera"], where)
        moment = names.moment_of_frame(camera, row["moment"], where)
        if uv is None:
            bare += 1
        elif moment is None:
            skipped += 1
            example = example or f"{row['moment']} of {camera}"
        else:
            _add(made.clicks.setdefault(moment, {}).setdefault(camera, {}), row["keypoint"], uv, where)
    if bare:
        made.notes.append(f"{path.name}: {bare} rows have no coordinates and count as not labelled")
    if skipped:
        made.notes.append(
            f"{path.name}: {skipped} labels are not used: their frames ({example}, ...) are at no moment"
        )
    if path.is_file() and (columns := unused_columns(path, LABELS)):
        made.notes.append(f"{path.name}: the columns {', '.join(columns)} are not used")


def _uv(row: Mapping[str, str], where: str) -> tuple[float, float] | None:
    """None where both are missing: empty, or NaN."""
    if all(row[key].lower() in ("", "nan", "na", "none", "null") for key in COORDINATES):
        return None
    return number(row["u"], "u", where), number(row["v"], "v", where)


def _add(into: dict[str, T], name: str, value: T, where: str) -> None:
    if name in into:
        raise DataError(f"{name} is there twice", where=where, mend="keep one of the two lines")
    into[name] = value


def _rows(
    path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> list[tuple[str, dict[str, str]]]:
    return read_table(path, columns, optional) if path.is_file() else []
