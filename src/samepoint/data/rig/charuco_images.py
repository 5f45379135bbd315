"""Images of a ChArUco board, a folder a camera: which corners each shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from samepoint.data.decode import IMAGE_SUFFIXES, decode_image
from samepoint.data.rig.charuco_board import (
    FEW_MARKERS,
    Board,
    Found,
    check_board,
    find,
    first_marker,
    other_dictionary,
)
from samepoint.errors import DataError
from samepoint.reading import entries, folders
from samepoint.types import Size

SAMPLE = 12
"""Images, evenly spread, by which the number of the first marker is found."""
FEWEST_CORNERS = 6
"""In an image with fewer the board is not taken for seen."""
Progress = Callable[[str, int, int], None]
"""Told of a camera: its name, images that were looked at, images there are."""


@dataclass(frozen=True)
class Looked:
    """What a camera has seen of the board: by moment, where it is seen well enough. `images` counts all."""

    name: str
    size: Size
    images: int
    boards: Mapping[str, Found]


def look(path: Path, board: Board, progress: Progress | None = None) -> dict[str, Looked]:
    """The cameras of a folder by name: a folder each; images of one name (without suffix) are of one moment.

    DataError for folders without images, a damaged image, images of two sizes in one folder, another board than
    `board` (it says which one where it can), and a camera that does not see it at all.
    """
    path = Path(path)
    cameras = {name: _look(name, files, board, progress) for name, files in _files(path).items()}
    seen = [found for camera in cameras.values() for found in camera.boards.values()]
    check_board(board, seen, path)
    good = {name: _good(camera, board) for name, camera in cameras.items()}
    if not any(camera.boards for camera in good.values()):
        _say_why(path, seen, board)
    for name, camera in good.items():
        if not camera.boards:
            what = f"the board is seen in none of {camera.images} images"
            mend = "take sharp, well lit images of it with this camera, or leave the folder out"
            raise DataError(what, where=path / name, mend=mend)
    return good


def with_first_marker(path: Path, board: Board) -> Board:
    """The board with the number of its first marker, as some images of a folder (see `look`) show it."""
    files = [file for camera in _files(Path(path)).values() for file in camera.values()]
    step = np.linspace(0, len(files) - 1, min(len(files), SAMPLE)).round().astype(int)
    found = [find(board, read_grey(files[index])) for index in step]
    first = first_marker(board, found)
    return board if first is None else replace(board, first=first)


def _files(path: Path) -> dict[str, dict[str, Path]]:
    """Images by camera and moment."""
    if not path.is_dir():
        what = "this folder does not exist" if not path.exists() else "is not a folder"
        raise DataError(what, where=path, mend="give the folder that holds a folder of images a camera")
    cameras: dict[str, dict[str, Path]] = {}
    for folder in folders(path):
        images = [p for p in entries(folder) if _is_image(p)]
        named = {image.stem: image for image in images}
        if len(named) < len(images):
            double = next(image for image in images if named[image.stem] != image)
            raise DataError(f"two images are named {double.stem}", where=folder, mend="keep one of them")
        if named:
            cameras[folder.name] = named
    if not cameras:
        mend = "put the images of each camera into a folder of its own there, images of one moment under one name"
        raise DataError("holds no folders with images", where=path, mend=mend)
    return cameras


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _look(name: str, files: Mapping[str, Path], board: Board, progress: Progress | None) -> Looked:
    size: Size | None = None
    boards: dict[str, Found] = {}
    for index, (moment, file) in enumerate(files.items()):
        grey = read_grey(file)
        height, width = grey.shape
        if size is not None and size != (height, width):
            what = f"is {width}x{height}, the images before it are {size[1]}x{size[0]}"
            raise DataError(
                what, where=file, mend="a camera is calibrated for one size: keep images of one size"
            )
        size = (height, width)
        boards[moment] = find(board, grey)
        if progress is not None:
            progress(name, index + 1, len(files))
    assert size is not None  # there are files
    return Looked(name, size, len(files), boards)


def read_grey(path: Path) -> UInt8[np.ndarray, "h w"]:
    """An image in shades of grey, turned as its EXIF orientation says, as everywhere here."""
    return cv2.cvtColor(decode_image(path), cv2.COLOR_RGB2GRAY)


def _good(camera: Looked, board: Board) -> Looked:
    kept = {
        moment: found
        for moment, found in camera.boards.items()
        if len(found.ids) >= FEWEST_CORNERS and not _in_line(board.corners[found.ids])
    }
    return Looked(camera.name, camera.size, camera.images, kept)


def _in_line(places: Float[np.ndarray, "n 3"]) -> bool:
    return bool(np.linalg.matrix_rank(places - places.mean(axis=0), tol=1e-6) < 2)


def _say_why(path: Path, seen: list[Found], board: Board) -> None:
    """DataError: nobody sees the board."""
    what = f"no image shows a {board}"
    markers = sum(len(found.marker_ids) >= FEW_MARKERS for found in seen)  # fewer are chance finds
    if markers:
        what += f", but {markers} of {len(seen)} show some of its markers"
        mend = (
            "bring the whole board closer, sharp and flat, and check --board, --square, --marker, --legacy and"
            " --first-id"
        )
        first = first_marker(board, seen)
        if first not in (None, board.first):
            mend = f"they begin at number {first}: --first-id {first}"
        raise DataError(what, where=path, mend=mend)
    files = [file for camera in _files(path).values() for file in list(camera.values())[:3]]
    other = other_dictionary(board, [read_grey(file) for file in files[:12]])
    mend = "check --dictionary, and that the board is not mirrored, too far or blurred"
    if other is not None:
        mend = f"there are markers of another dictionary: --dictionary {other}"
    raise DataError(what, where=path, mend=mend)
