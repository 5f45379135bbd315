"""Labels of other programs, each put to its camera and its frame: the rows of a labels.csv."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from samepoint.data.natural_order import natural_key
from samepoint.data.readers.multi_camera.names import Names
from samepoint.data.rig.foreign_labels.labels import ForeignLabel, ForeignLabels
from samepoint.data.rig.foreign_labels.read import read_foreign_labels
from samepoint.errors import DataError
from samepoint.text import slashed

Key = tuple[str, str, str]
"""Camera, frame, keypoint."""


@dataclass(frozen=True)
class Placed:
    """`rows` of a labels.csv, in order; `lines` that say what was taken of each file and what was not."""

    rows: tuple[tuple[str, str, str, float, float], ...]
    lines: tuple[str, ...]


def place(sources: Sequence[str], names: Names, least: float) -> Placed:
    """The labels of files (`FILE`, or `CAMERA=FILE`). Predictions surer than `least` are taken.

    The camera of a label is that of its image's folder, else of the file's name or a folder above it. A person's
    label counts before a prediction, a surer prediction before another. DataError for a file of no camera or several,
    for two different labels of persons, and if no label is of a frame of the recording.
    """
    found: dict[Key, ForeignLabel] = {}
    lines: list[str] = []
    strays: list[str] = []
    for source in sources:
        camera, path = _split(source, names)
        read = read_foreign_labels(path)
        unsure = sum(label.confidence is not None and not label.confidence >= least for label in read.labels)
        taken = stray = 0
        for label in read.labels:
            if label.confidence is not None and not label.confidence >= least:
                continue
            key = _key(label, camera, path, names)
            if key is None:
                strays.append(label.frame)
                stray += 1
                continue
            taken += 1
            _keep(found, key, label, path)
        lines += _told(read, taken, unsure, stray, strays, least)
    if not found:
        shown = next(iter(next(iter(names.footage.values())).images))
        example = (
            f"none of their frames (such as {strays[0]}) is one of the recording's"
            if strays
            else "no label is left"
        )
        mend = (
            f"frames are named like {shown}"
            if strays
            else f"--confidence (now {least:g}) says how sure predictions must be"
        )
        raise DataError(example, where=", ".join(sources), mend=mend)
    ordered = sorted(found, key=lambda key: (natural_key(key[1]), list(names.footage).index(key[0])))
    rows = tuple((frame, camera, name, *found[camera, frame, name].uv) for camera, frame, name in ordered)
    return Placed(rows, tuple(lines))


def _told(
    read: ForeignLabels, taken: int, unsure: int, stray: int, strays: Sequence[str], least: float
) -> Iterator[str]:
    predicted = sum(label.confidence is not None for label in read.labels)
    yield f"{read.path}: {taken} labels taken ({read.form})"
    if predicted:
        yield f"  {predicted} of its labels are predictions of a network, not clicks of a person"
    if unsure:
        yield f"  {unsure} predictions are less sure than {least:g} and left out"
    if read.empty:
        yield f"  {read.empty} keypoints of its frames are not labelled"
    if stray:
        yield f"  {stray} labels are of frames that the recording has not (such as {strays[-1]}) and left out"
    yield from (f"  {note}" for note in read.notes)


def _split(source: str, names: Names) -> tuple[str | None, Path]:
    camera, mark, file = source.partition("=")
    if mark and not Path(source).exists():
        return names.camera(camera, f"--from {source}"), Path(file)
    return None, Path(source)


def _key(label: ForeignLabel, given: str | None, path: Path, names: Names) -> Key | None:
    """None for a frame that the recording has not."""
    folders = PurePosixPath(slashed(label.frame)).parts[:-1]
    camera = given or camera_named(
        (*reversed(folders), path.stem, *reversed(path.absolute().parts[-4:-1])), names
    )
    if camera is None:
        listed = ", ".join(names.footage)
        mend = f"name the file after its camera ({listed}), or give CAMERA={path}"
        raise DataError("is of no camera that is known", where=path, mend=mend)
    frame = names.frame(camera, label.frame)
    if frame is None:  # img0012 is frame 12
        last = re.search(r"(\d+)$", PurePosixPath(slashed(label.frame)).stem)
        frame = names.frame(camera, last[1]) if last else None
    return None if frame is None else (camera, frame, label.keypoint)


def camera_named(words: Sequence[str], names: Names) -> str | None:
    """The camera that the first of these names is, or holds as a word of its own (`left_predictions`, `leftDLC_...`);
    None without. DataError for a name that holds two cameras."""
    for word in words:
        exact = [camera for camera in names.footage if camera.casefold() == word.casefold()]
        held = exact or [camera for camera in names.footage if _holds(word, camera)]
        longest = [camera for camera in held if not any(camera != o and camera in o for o in held)]
        if len(longest) > 1:
            mend = f"give {longest[0]}=FILE"
            raise DataError(
                f"{word!r} is of several cameras ({', '.join(longest)})", where="--from", mend=mend
            )
        if longest:
            return longest[0]
    return None


def _holds(word: str, camera: str) -> bool:
    inside = rf"(?<![^\W_]){re.escape(camera)}(?=$|[\W_]|DLC|DeepCut)"
    return re.search(inside, word, re.IGNORECASE) is not None


def _keep(found: dict[Key, ForeignLabel], key: Key, label: ForeignLabel, path: Path) -> None:
    known = found.get(key)
    if known is not None and known.confidence is None and label.confidence is None and known.uv != label.uv:
        camera, frame, keypoint = key
        what = f"{keypoint} of {camera} at {frame} is labelled twice, at different places"
        raise DataError(what, where=path, mend="keep one of the labels")
    if known is None or _weight(label) > _weight(known):
        found[key] = label


def _weight(label: ForeignLabel) -> float:
    return float("inf") if label.confidence is None else label.confidence
