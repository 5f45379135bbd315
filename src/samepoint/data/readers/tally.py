"""What many scenes or episodes lack, counted together: one line for each kind and not one for each scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """Counts by what is to be said: how many, of how many, and where first."""

    _found: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def add(self, what: str, where: Path | str, count: int, of: int) -> None:
        """Counts `count` more of the `of` in one place."""
        if count:
            entry = self._found.setdefault(what, {}).setdefault(str(where), [0, of])
            entry[0] += count

    def lines(self) -> list[str]:
        """Such as "5 of 8 images have no depth image (train/000000/depth)"."""
        return [_line(what, places) for what, places in self._found.items()]


def _line(what: str, places: dict[str, list[int]]) -> str:
    count, of = (sum(column) for column in zip(*places.values(), strict=True))
    number = f"{count}" if count == of else f"{count} of {of}"
    others = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{number} {what} ({next(iter(places))}{others})"
