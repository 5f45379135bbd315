"""A ChArUco board: its corners in an image, and whether the printed board is the one that was said."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from samepoint.errors import DataError, one_of

DICTIONARIES: dict[str, int] = dict(
    sorted(
        (
            (name, getattr(cv2.aruco, name))
            for name in dir(cv2.aruco)
            if name.startswith("DICT_") and name.isupper() and "APRILTAG" not in name
        ),
        key=lambda entry: entry[1],
    )
)
"""Those of ArUco, smaller ones of a kind first."""
FEW_MARKERS = 4
"""Of fewer one cannot tell how they lie."""
FITS = 0.9
"""A board is taken for the printed one if so large a share of the markers lies where it says."""
ERRORS_ONLY = 2
"""Of OpenCV's levels of log."""
LIKELY = 25
"""Columns or rows of a printed board, at most."""


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV says for each image anew what it thinks of a board's margins."""
    level = cv2.setLogLevel(ERRORS_ONLY)
    try:
        yield
    finally:
        cv2.setLogLevel(level)


@dataclass(frozen=True)
class Board:
    """`columns` and `rows` count squares; `square` and `marker` are lengths of edges in metres; `legacy`: boards with
    an even number of rows made by OpenCV before 4.6 begin with a white square; `first`: the number of the first
    marker, of boards of a set. DataError for what no board is."""

    columns: int
    rows: int
    square: float
    marker: float
    dictionary: str = "DICT_5X5_100"
    legacy: bool = False
    first: int = 0

    def __post_init__(self) -> None:
        if self.dictionary not in DICTIONARIES:
            raise DataError(one_of("dictionary", self.dictionary, DICTIONARIES))
        if min(self.columns, self.rows) < 3:
            what = f"a board of {self.columns}x{self.rows} squares is too small"
            raise DataError(what, mend="count squares, not corners, along both edges")
        if not 0 < self.marker < self.square < 10:
            what = f"a marker of {self.marker:g} m does not fit a square of {self.square:g} m"
            raise DataError(
                what, mend="give the lengths of a marker and of a square in metres, such as 0.022, 0.03"
            )
        if self.first < 0:
            raise DataError(f"{self.first} is the number of no marker", mend="the first of a dictionary is 0")
        if self.first + self.markers > len(self.markings.bytesList):
            last = f", up to number {self.first + self.markers - 1}" if self.first else ""
            board = f"a board of {self.columns}x{self.rows} has {self.markers} markers"
            what = f"{board}{last}, {self.dictionary} fewer"
            raise DataError(what, mend="give the dictionary that the board was made with")

    @property
    def markers(self) -> int:
        return self.columns * self.rows // 2

    @property
    def markings(self) -> cv2.aruco.Dictionary:
        return cv2.aruco.getPredefinedDictionary(DICTIONARIES[self.dictionary])

    @functools.cached_property
    def opencv(self) -> cv2.aruco.CharucoBoard:
        size, ids = (self.columns, self.rows), np.arange(self.first, self.first + self.markers)
        with _quiet():
            board = cv2.aruco.CharucoBoard(size, self.square, self.marker, self.markings, ids)
            board.setLegacyPattern(self.legacy)
        return board

    @functools.cached_property
    def detector(self) -> cv2.aruco.CharucoDetector:
        with _quiet():
            return cv2.aruco.CharucoDetector(self.opencv)

    @functools.cached_property
    def corners(self) -> Float[np.ndarray, "n 3"]:
        """Where the corners between squares lie on the board, metres; x along a row, y down, z = 0."""
        with _quiet():
            return np.asarray(self.opencv.getChessboardCorners(), dtype=np.float64)

    @functools.cached_property
    def marker_corners(self) -> Float[np.ndarray, "m 4 3"]:
        """Where the corners of the markers lie on the board, metres."""
        with _quiet():
            return np.array(self.opencv.getObjPoints(), dtype=np.float64)

    def options(self) -> str:
        """The board as it is written on the command line, without lengths."""
        legacy = " --legacy" if self.legacy else ""
        first = f" --first-id {self.first}" if self.first else ""
        return f"--board {self.columns}x{self.rows} --dictionary {self.dictionary}{legacy}{first}"

    def __str__(self) -> str:
        legacy = "legacy " if self.legacy else ""
        first = f" from marker {self.first}" if self.first else ""
        return f"{legacy}board of {self.columns}x{self.rows} squares and {self.dictionary}{first}"


@dataclass(frozen=True)
class Found:
    """Corners between squares and markers of a board in one image: their numbers, and pixels of that image."""

    ids: Int[np.ndarray, " n"]
    uv: Float[np.ndarray, "n 2"]
    marker_ids: Int[np.ndarray, " m"]
    marker_uv: Float[np.ndarray, "m 4 2"]


def find(board: Board, grey: UInt8[np.ndarray, "h w"]) -> Found:
    """What is seen of the board; nothing of it if nothing is."""
    with _quiet():
        uv, ids, marker_uv, marker_ids = board.detector.detectBoard(grey)
    none = np.empty(0)
    markers = np.asarray(none if marker_ids is None else marker_uv).astype(np.float64).reshape(-1, 4, 2)
    corners = np.asarray(none if ids is None else uv).astype(np.float64).reshape(-1, 2)
    return Found(
        np.asarray(none if ids is None else ids).astype(np.int64).ravel(),
        _refined(board, grey, corners, markers),
        np.asarray(none if marker_ids is None else marker_ids).astype(np.int64).ravel(),
        markers,
    )


def _refined(board: Board, grey: np.ndarray, uv: np.ndarray, markers: np.ndarray) -> np.ndarray:
    """Corners where the squares meet. (OpenCV below 4.14 gives them half a pixel too far right and down: its issue
    25539.) The window looked at holds no part of a marker."""
    if not len(uv) or not len(markers):
        return uv
    side = np.linalg.norm(markers - np.roll(markers, 1, axis=1), axis=-1).min()
    half = int(np.clip(side / board.marker * (board.square - board.marker) / 2, 2, 10))
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-3)
    start = np.ascontiguousarray(uv.reshape(-1, 1, 2), dtype=np.float32)
    fine = cv2.cornerSubPix(grey, start, (half, half), (-1, -1), stop)
    return np.asarray(fine, dtype=np.float64).reshape(-1, 2)


def marker_length(board: Board, found: Found) -> tuple[float, float] | None:
    """The edge of a marker in metres, as measured by the corners between squares, and in pixels; None where there are
    too few. (Edges are seen up to a pixel short.)"""
    if len(found.ids) < 6 or not len(found.marker_uv):
        return None
    board_from_image, _ = cv2.findHomography(
        found.uv, board.corners[found.ids, :2], cv2.RANSAC, board.square / 4
    )
    if board_from_image is None:
        return None
    corners = cv2.perspectiveTransform(found.marker_uv.reshape(-1, 1, 2), board_from_image).reshape(-1, 4, 2)
    return _edge(corners), _edge(found.marker_uv)


def _edge(corners: Float[np.ndarray, "m 4 2"]) -> float:
    return float(np.median(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)))


def lies_as_printed(board: Board, found: Found) -> float | None:
    """The share of the markers that lie as on the board, as far as a plane seen by a lens goes; None if they are too
    few to say. Markers that the board does not have are in no place."""
    if len(found.marker_ids) < FEW_MARKERS:
        return None
    numbers = found.marker_ids - board.first
    known = (numbers >= 0) & (numbers < board.markers)
    if known.sum() < FEW_MARKERS:
        return 0.0 if board.first else None
    places = board.marker_corners[numbers[known], :, :2].reshape(-1, 2)
    uv = found.marker_uv[known].reshape(-1, 2)
    side = float(
        np.median(np.linalg.norm(found.marker_uv[known][:, 0] - found.marker_uv[known][:, 1], axis=-1))
    )
    _, inside = cv2.findHomography(places, uv, cv2.RANSAC, max(0.25 * side, 1.0))
    return 0.0 if inside is None else float(inside.mean()) * known.mean()


def check_board(board: Board, found: Sequence[Found], where: object) -> None:
    """DataError if in most images the markers lie as on another board; it says which. (Where they fit none, a lens
    may bend them, or there are other markers beside it.)"""
    enough = [one for one in found if len(one.marker_ids) >= FEW_MARKERS]
    strange = [one for one in enough if (lies_as_printed(board, one) or 0.0) < FITS]
    if not enough or len(strange) * 2 < len(enough):
        return
    first = first_marker(board, strange)
    shifted = replace(board, first=first) if first not in (None, board.first) else None
    likely = shifted or next(_other_boards(board, strange[:8]), None)
    if likely is not None:
        what = f"the markers do not lie as on a {board}"
        raise DataError(what, where=where, mend=f"they fit {likely.options()}")


def _other_boards(board: Board, found: Sequence[Found]) -> Iterator[Board]:
    """Boards on which all these markers lie where they are seen; of rows, as few as there must be."""
    highest = max(int(one.marker_ids.max()) for one in found) - board.first
    for columns in sorted(range(3, LIKELY), key=lambda count: abs(count - board.columns)):
        fewest = max(3, -(-2 * (highest + 1) // columns))
        for rows in (fewest, fewest + 1):
            for legacy in (board.legacy, not board.legacy):
                try:
                    other = replace(board, columns=columns, rows=rows, legacy=legacy)
                except DataError:
                    continue  # more markers than the dictionary has
                if all((lies_as_printed(other, one) or 0.0) >= FITS for one in found):
                    yield other


def first_marker(board: Board, found: Sequence[Found]) -> int | None:
    """The number at which the markers of the printed board begin, by how they lie in most of these images; that of
    `board` where they fit it, or show too little. None if no number fits."""
    enough = [one for one in found if len(one.marker_ids) >= FEW_MARKERS]
    if not enough or _fit(board, enough):
        return board.first
    numbers = np.concatenate([one.marker_ids for one in enough])
    seen, counts = np.unique(numbers, return_counts=True)
    sure = seen[counts > 1] if len(enough) > 1 else seen  # one that is seen once may be a chance find
    if not len(sure):
        return None
    low, high = int(sure.min()), int(sure.max())
    last = len(board.markings.bytesList) - board.markers
    tried = range(max(0, high - board.markers + 1), min(low, last) + 1)
    return next((first for first in tried if _fit(replace(board, first=first), enough)), None)


def _fit(board: Board, found: Sequence[Found]) -> bool:
    """Whether in most images the markers lie as on the board."""
    shares = [lies_as_printed(board, one) for one in found]
    return sum(bool(share is not None and share >= FITS) for share in shares) * 2 > len(shares)


def other_dictionary(board: Board, images: Sequence[UInt8[np.ndarray, "h w"]]) -> str | None:
    """The dictionary whose markers these images show, if one does."""
    counts: dict[str, int] = {}
    for name, number in DICTIONARIES.items():
        detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(number))
        seen = [detector.detectMarkers(grey)[1] for grey in images]
        counts[name] = sum(len(ids) for ids in seen if ids is not None and len(ids) >= FEW_MARKERS)
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] and best != board.dictionary else None
