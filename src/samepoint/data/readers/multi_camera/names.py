"""How tables and people call cameras, frames and moments, and which are meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from samepoint.data.decode import IMAGE_SUFFIXES
from samepoint.data.readers.multi_camera.footage import Footage
from samepoint.data.readers.multi_camera.pairing import Paired
from samepoint.errors import DataError
from samepoint.text import slashed


class Names:
    """Of a recording. A frame may be written with its image's suffix or folder, and as a number without its zeros."""

    def __init__(self, footage: Mapping[str, Footage], paired: Paired) -> None:
        self.footage, self.moments = footage, tuple(paired.moments)
        self._places = {name: place for place, name in enumerate(self.moments)}
        self._frames = {camera: paired.moment_of(camera) for camera in footage}
        self._spelt = {camera: _by_number(shot.images) for camera, shot in footage.items()}
        self._moment_numbers = _by_number(self.moments)

    def camera(self, written: str, where: str) -> str:
        if written in self.footage:
            return written
        fitting = [name for name in self.footage if name.casefold() == written.casefold()]
        if len(fitting) == 1:
            return fitting[0]
        listed = ", ".join(self.footage)
        raise DataError(f"there is no camera {written!r}", where=where, mend=f"known are: {listed}")

    def moment(self, written: str, where: str) -> str:
        name = _meant(written, self._places, self._moment_numbers)
        if name is None:
            mend = f"moments are named like the images, such as {self.moments[0]}"
            raise DataError(f"there is no moment {written!r}", where=where, mend=mend)
        return name

    def place(self, moment: str) -> int:
        return self._places[moment]

    def frame(self, camera: str, written: str) -> str | None:
        """A camera's frame as it is named; None if there is none."""
        return _meant(written, self.footage[camera].images, self._spelt[camera])

    def moment_of(self, camera: str, frame: str) -> str | None:
        """None where it is not used."""
        return self._frames[camera].get(frame)

    def moment_of_frame(self, camera: str, written: str, where: str) -> str | None:
        """The moment of a camera's frame; None for one that is at no moment."""
        frame = self.frame(camera, written)
        if frame is not None:
            return self.moment_of(camera, frame)
        shot = self.footage[camera]
        known = _meant(written, self._places, self._moment_numbers)
        if shot.video:
            raise self._beyond(shot, written, where)
        if known is None:
            mend = f"moments are named like the images, such as {self.moments[0]}"
            raise DataError(f"there is no moment {written!r}", where=where, mend=mend)
        mend = f"restore {camera}/{known}, or remove the line"
        raise DataError(f"camera {camera} has no image of {known}", where=where, mend=mend)

    def _beyond(self, shot: Footage, written: str, where: str) -> DataError:
        """That a video lacks a frame, which `where` names: the video is at fault where it is cut off or shorter."""
        longer = [other.name for other in self.footage.values() if len(other.images) > len(shot.images)]
        if shot.broken:
            reason = shot.broken.removeprefix(f"{shot.source.name}: ")
            return DataError(f"{reason} ({where}, names its frame {written})", where=shot.source)
        if longer:
            what = f"has {len(shot.images)} frames, fewer than {longer[0]}, and no frame {written}"
            mend = f"copy the video again, or remove what names this frame ({where})"
            return DataError(what, where=shot.source, mend=mend)
        last = list(shot.images)[-1]
        mend = f"its frames are {next(iter(shot.images))} to {last}"
        return DataError(f"{shot.source.name} has no frame {written!r}", where=where, mend=mend)


def _by_number(names: Iterable[str]) -> dict[int, str]:
    """Names that are numbers, by these; without those that two share."""
    found: dict[int, list[str]] = {}
    for name in names:
        if name.isascii() and name.isdigit():
            found.setdefault(int(name), []).append(name)
    return {number: same[0] for number, same in found.items() if len(same) == 1}


def _meant(written: str, known: Mapping[str, object], numbers: Mapping[int, str]) -> str | None:
    name = written
    if name not in known:
        path = PurePosixPath(slashed(written))
        name = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
    if name not in known and name.removesuffix(".0").isascii() and name.removesuffix(".0").isdigit():
        name = numbers.get(int(name.removesuffix(".0")), name)
    return name if name in known else None
