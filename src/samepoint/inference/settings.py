"""How a run's finder works: working size, temperature, and what its confidence means. Kept in the run's
config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from samepoint.errors import DataError, RunError
from samepoint.files import read_json, write_json
from samepoint.inference.confidence import Calibration

KEY = "finder"


@dataclass(frozen=True)
class FinderSettings:
    """Settings of a finder.

    `max_size`: long side in pixels at which the network sees an image (that of training; None: as it is;
    images are never enlarged). `temperature` of the probability over the image (that of training).
    `threshold`: a hit is visible if its confidence is at least this. `calibration`: from score and mass to
    confidence.
    """

    max_size: int | None = 320
    temperature: float = 0.05
    threshold: float = 0.5
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        if self.max_size is not None and self.max_size < 1:
            raise RunError(f"finder: max_size is {self.max_size}", mend="give a number of pixels above 0")
        if not self.temperature > 0:
            raise RunError(f"finder: temperature is {self.temperature}", mend="give a number above 0")
        if not 0 <= self.threshold <= 1:
            raise RunError(f"finder: threshold is {self.threshold}", mend="give a number from 0 to 1")

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same settings back."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any], where: object = None) -> FinderSettings:
        """The settings that `to_json` wrote. RunError for a missing or an unknown entry: nothing is filled
        in."""
        settings = _fields(FinderSettings, values, where)
        settings["calibration"] = Calibration(**_fields(Calibration, settings["calibration"], where))
        return FinderSettings(**settings)


def settings_of(config: Mapping[str, Any], where: object = None) -> FinderSettings:
    """The settings in a run's config.json. A run that was never calibrated has none: then the size and the
    temperature it was trained with, and the defaults for the rest."""
    if KEY in config:
        return FinderSettings.from_json(config[KEY], where)
    trained: dict[str, Any] = {}
    if "max_size" in config:
        trained["max_size"] = config["max_size"]
    recipe = config.get("recipe")
    if isinstance(recipe, Mapping) and "temperature" in recipe:
        trained["temperature"] = recipe["temperature"]
    return FinderSettings(**trained)


def write_settings(run: str | Path, settings: FinderSettings) -> None:
    """Puts the settings into the config.json of a run that exists (the file is replaced whole)."""
    path = Path(run) / "config.json"
    try:
        config = read_json(path)
    except DataError as error:
        raise RunError(error.what, where=path, mend="give the folder of a run") from error
    write_json(path, {**config, KEY: settings.to_json()}, indent=2)


def _fields(kind: type, values: object, where: object) -> dict[str, Any]:
    known = {entry.name for entry in fields(kind)}
    if not isinstance(values, Mapping) or set(values) != known:
        found = ", ".join(sorted(values)) if isinstance(values, Mapping) else repr(values)
        raise RunError(
            f"the finder's settings are not whole (found: {found})",
            where=where,
            mend=f"they must be: {', '.join(sorted(known))}",
        )
    return dict(values)
