"""cameras.txt and images.txt of a COLMAP model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from samepoint.data.readers.colmap.model import EXPORT, MODELS, ColmapCamera, ColmapImage, unknown_model
from samepoint.errors import DataError
from samepoint.text import read_lines


def text_cameras(path: Path) -> dict[int, ColmapCamera]:
    """Cameras by id, a line each: CAMERA_ID MODEL WIDTH HEIGHT PARAMS."""
    cameras: dict[int, ColmapCamera] = {}
    for where, line in _lines(path):
        if not _filled(line):
            continue
        number, model, width, height, *parameters = _fields(line, 4, where)
        if model not in MODELS:
            raise unknown_model(model, where)
        if len(parameters) != MODELS[model][1]:
            what = f"{model} has {MODELS[model][1]} parameters, found {len(parameters)}"
            raise DataError(what, where=where, mend=EXPORT)
        size = _integer(width, where), _integer(height, where)
        cameras[_integer(number, where)] = ColmapCamera(model, *size, _floats(parameters, where))
    return cameras


def text_images(path: Path) -> Iterator[ColmapImage]:
    """Images, two lines each: IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, and its points, which may be none.

    Some programs leave out the empty lines of images without points: a line that names a file is no line of points.
    """
    points = False
    for where, line in _lines(path):
        if points and not _names_a_file(line):
            points = False
        elif _filled(line):
            _, *pose, camera, name = _fields(line, 10, where)
            values = _floats(pose, where)
            yield ColmapImage(name, _integer(camera, where), values[:4], values[4:])
            points = True


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line and what to call it."""
    for number, line in enumerate(read_lines(path), 1):
        yield f"{path}, line {number}", line


def _filled(line: str) -> bool:
    return bool(line) and not line.startswith("#")


def _names_a_file(line: str) -> bool:
    """Whether it is the first line of an image: what follows its ninth field are no numbers."""
    fields = line.split(None, 9)
    if len(fields) < 10 or line.startswith("#"):
        return False
    try:
        _floats(fields[9].split(), "")
    except DataError:
        return True
    return False


def _fields(line: str, least: int, where: str) -> list[str]:
    """At least so many fields; of ten, the last is a file name that may hold blanks."""
    fields = line.split(None, 9) if least == 10 else line.split()
    if len(fields) < least:
        raise DataError(f"has {len(fields)} fields, not {least}", where=where, mend=EXPORT)
    return fields


def _integer(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"{text!r} is not a whole number", where=where, mend=EXPORT) from error


def _floats(texts: list[str], where: str) -> tuple[float, ...]:
    try:
        return tuple(float(text) for text in texts)
    except ValueError as error:
        raise DataError(f"{' '.join(texts)!r} are not numbers", where=where, mend=EXPORT) from error
