"""cameras.bin and images.bin of a COLMAP model: little endian, without gaps."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from samepoint.data.readers.colmap.model import EXPORT, MODELS, ColmapCamera, ColmapImage, unknown_model
from samepoint.errors import DataError
from samepoint.reading import read_bytes

NAMES = {number: name for name, (number, _) in MODELS.items()}
POINT = struct.calcsize("<ddQ")
"""Bytes of a keypoint: x, y and the id of its 3-D point."""


def binary_cameras(path: Path) -> dict[int, ColmapCamera]:
    """Cameras by id: uint64 count; uint32 id, int32 model, uint64 width, uint64 height, float64 parameters."""
    file = _Bytes(path)
    cameras: dict[int, ColmapCamera] = {}
    for _ in range(file.count()):
        number, model, width, height = file.take("IiQQ")
        if model not in NAMES:
            raise unknown_model(model, path)
        parameters = file.take(f"{MODELS[NAMES[model]][1]}d")
        cameras[number] = ColmapCamera(NAMES[model], width, height, parameters)
    file.close()
    return cameras


def binary_images(path: Path) -> Iterator[ColmapImage]:
    """Images: uint64 count; uint32 id, 7 float64 pose, uint32 camera, name and zero byte, uint64 count of points."""
    file = _Bytes(path)
    for _ in range(file.count()):
        _, *pose, camera = file.take("I7dI")
        image = ColmapImage(file.text(), camera, tuple(pose[:4]), tuple(pose[4:]))
        file.skip(file.count() * POINT)
        yield image
    file.close()


class _Bytes:
    """A file read from front to end. DataError where it ends too early or too late."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0
        self.content = read_bytes(path)

    def take(self, form: str) -> tuple:
        """The next values of a struct format."""
        start = self.skip(struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{form}", self.content, start)

    def count(self) -> int:
        return self.take("Q")[0]

    def text(self) -> str:
        """The next name, which a zero byte ends."""
        end = self.content.find(b"\0", self.at)
        start = self.skip((len(self.content) if end < 0 else end) + 1 - self.at)
        try:
            return self.content[start:end].decode()
        except UnicodeDecodeError as error:
            raise DataError("holds a name that is not UTF-8", where=self.path, mend=EXPORT) from error

    def skip(self, size: int) -> int:
        """Goes on by so many bytes and returns where it was."""
        start, self.at = self.at, self.at + size
        if self.at > len(self.content):
            raise DataError("is truncated", where=self.path, mend=EXPORT)
        return start

    def close(self) -> None:
        if self.at != len(self.content):
            what = f"has {len(self.content) - self.at} bytes more than it announces"
            raise DataError(what, where=self.path, mend=EXPORT)
