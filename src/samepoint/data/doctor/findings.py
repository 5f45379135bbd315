"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["right", "fault", "undecided", "not applicable"]


@dataclass(frozen=True)
class Finding:
    """One check of one recording: the verdict, and a sentence with the number that decided and its unit.

    `fix`: words of the command line ("--axes opengl"), or a sentence where no option mends it. `frames`: names of
    the images that show it, where it is not all of them.
    """

    check: str
    verdict: Verdict
    sentence: str
    fix: str | None = None
    frames: tuple[str, ...] = ()
    recording: str = ""

    @property
    def options(self) -> bool:
        """Whether `fix` is words of the command line."""
        return self.fix is not None and self.fix.startswith("--")

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "frames": list(self.frames)}
