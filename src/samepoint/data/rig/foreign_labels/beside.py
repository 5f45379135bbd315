"""Label files of other programs that lie in a recording and are not read."""

from __future__ import annotations

import shlex
from pathlib import Path

from samepoint.reading import entries, folders

HEAD = 1 << 16
"""Bytes of a table that tell its form."""
SHOWN = 12
"""Files that a command names; of more it names the folder of the first."""
PROGRAMS = ("collecteddata", "dlc_", "deepcut", "analysis", "predictions")
"""Words in the names of HDF5 files that hold labels."""


def is_foreign_table(path: Path) -> bool:
    """Whether a CSV is one of DeepLabCut's, Lightning Pose's or SLEAP's, by its first rows."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD).replace(b"\0", b"").decode("latin-1").lower()
    except OSError:
        return False
    rows = [
        line.split(";" if ";" in line else ",")[0].strip('"\xef\xbb\xbf\xff\xfe ')
        for line in head.split("\n")[:4]
    ]
    deeplabcut = rows[:1] == ["scorer"] and "bodyparts" in rows and "coords" in rows
    return deeplabcut or ("frame_idx" in head.split("\n")[0] and ".x" in head.split("\n")[0])


def foreign_files(folder: Path) -> list[Path]:
    """In a recording's folder, those of its cameras, and two folders further down."""
    places = [folder, *folders(folder)]
    places += [below for place in places[1:] for below in folders(place)]
    return [file for place in places for file in entries(place) if _holds_labels(file)]


def foreign_note(folder: Path, labelled: bool) -> list[str]:
    """A line that names them and the command that takes them, or says that labels.csv counts (`labelled`)."""
    files = foreign_files(folder)
    if not files:
        return []
    number = f"{len(files)} file{'s' * (len(files) > 1)} with labels of other programs"
    if labelled:
        return [f"{number} ({files[0].relative_to(folder)}, ...) not used: labels.csv counts"]
    return [f"{number} not used: {take_command(folder, files)} takes them"]


def take_command(folder: Path, files: list[Path]) -> str:
    """Of files of one name and several suffixes the CSV is named."""
    chosen: dict[Path, Path] = {}
    for file in files:
        if file.with_suffix("") not in chosen or file.suffix.lower() == ".csv":
            chosen[file.with_suffix("")] = file
    named = [shlex.quote(str(file)) for file in chosen.values()][:SHOWN]
    more = " ..." if len(chosen) > SHOWN else ""
    return f"samepoint data labels {shlex.quote(str(folder))} --from {' '.join(named)}{more}"


def _holds_labels(file: Path) -> bool:
    suffix, name = file.suffix.lower(), file.name.lower()
    if suffix in (".h5", ".hdf5"):
        return any(word in name for word in PROGRAMS)
    return suffix == ".slp" or (suffix == ".csv" and is_foreign_table(file))
