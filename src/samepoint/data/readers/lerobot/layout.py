"""meta/info.json of a LeRobot data set: its version, features and the names of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samepoint.data.readers.lerobot.tables import real_number
from samepoint.errors import DataError, one_of
from samepoint.files import read_json

INFO = Path("meta/info.json")
VERSIONS = ("v2.0", "v2.1", "v3.0")


@dataclass(frozen=True)
class Layout:
    """What meta/info.json says. `features`: each column or video by its key, with its "dtype"."""

    root: Path
    version: str
    fps: float
    features: Mapping[str, Mapping[str, Any]]
    content: Mapping[str, Any]

    @property
    def where(self) -> Path:
        return self.root / INFO

    def of_type(self, *dtypes: str) -> list[str]:
        return [key for key, feature in self.features.items() if feature.get("dtype") in dtypes]

    def file(self, template: str, **values: object) -> Path:
        """The file that a template of info.json names."""
        text = self.content.get(template)
        if not isinstance(text, str):
            raise DataError(f"lacks {template}", where=self.where, mend="write the data set again")
        try:
            return self.root / text.format(**values)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            known = ", ".join(values)
            what = f"{template} {text!r} cannot be filled in ({type(error).__name__}: {error})"
            raise DataError(what, where=self.where, mend=f"its fields are {known}") from error


def read_layout(root: Path) -> Layout:
    """Reads meta/info.json. DataError for another version and for what is missing or unusable."""
    where = root / INFO
    content = read_json(where)
    if not isinstance(content, dict) or not isinstance(content.get("features"), dict):
        raise DataError("has no features", where=where, mend="give the root of a LeRobot data set")
    version = content.get("codebase_version")
    if version not in VERSIONS:
        raise DataError(
            one_of("codebase_version", version, VERSIONS), where=where, mend="convert it with lerobot"
        )
    for key, feature in content["features"].items():
        if not isinstance(feature, dict) or "/" in key:
            raise DataError(f"feature {key!r} is not one", where=where, mend="write the data set again")
    fps = real_number(content.get("fps"), "fps", where)
    if fps <= 0:
        raise DataError(f"fps is {fps}", where=where, mend="give the frames per second of the videos")
    return Layout(root, version, fps, content["features"], content)
