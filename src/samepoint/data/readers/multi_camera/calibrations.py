"""The calibrations of a recording: one for all moments, or one each; and how its frames are paired."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from samepoint.data.rig.anipose import METADATA, read_calibration
from samepoint.data.rig.camera import Calibration
from samepoint.errors import DataError, one_of
from samepoint.reading import matching
from samepoint.text import read_toml

CALIBRATION, CALIBRATIONS = "calibration.toml", "calibration"
PAIR_BY = "pair_by"
Pairing = Literal["auto", "number", "time"]
"""auto: by number where the times of frames allow it, else by time."""


class Calibrations:
    """One calibration for all moments (`given`, or the folder's), or one each."""

    def __init__(self, folder: Path, given: Calibration | None = None) -> None:
        self.folder, self.fixed, self._read = folder, given, {}
        if given is None and (folder / CALIBRATION).is_file():
            self.fixed = read_calibration(folder / CALIBRATION)
        first = next(iter(matching(folder / CALIBRATIONS, "*.toml")), None)
        if given is None and self.fixed is not None and first is not None:
            mend = f"remove one of them: {CALIBRATION} is for cameras that stand still"
            raise DataError(f"has both {CALIBRATION} and {CALIBRATIONS}/", where=folder, mend=mend)
        self.names = tuple(self.fixed or (self.of(first.stem) if first else {}))

    def of(self, moment: str) -> Calibration:
        if self.fixed is not None:
            return self.fixed
        if moment not in self._read:
            path = self.folder / CALIBRATIONS / f"{moment}.toml"
            if not path.is_file():
                mend = f"give {path.name}, or one {CALIBRATION} for all moments"
                raise DataError(f"moment {moment} has no calibration", where=path.parent, mend=mend)
            self._read[moment] = read_calibration(path)
            wanted = getattr(self, "names", tuple(self._read[moment]))
            if missing := [name for name in wanted if name not in self._read[moment]]:
                mend = "every moment's calibration has the same cameras"
                raise DataError(f"camera {missing[0]} is missing", where=path, mend=mend)
        return self._read[moment]


def pairing_of(folder: Path) -> Pairing:
    """What calibration.toml says under [metadata] of how frames belong together. DataError for another word."""
    path = folder / CALIBRATION
    metadata = read_toml(path).get(METADATA) if path.is_file() else None
    said = metadata.get(PAIR_BY, "auto") if isinstance(metadata, dict) else "auto"
    for known in ("auto", "number", "time"):
        if said == known:
            return known
    raise DataError(one_of(PAIR_BY, said, ("auto", "number", "time")), where=path)
