"""What the label files of all programs come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ForeignLabel:
    """A keypoint in a frame, pixels with integers at pixel centres. `frame`: an image's path or a frame's number, as
    written. `confidence`: of a network's prediction; None where a person clicked."""

    frame: str
    keypoint: str
    uv: tuple[float, float]
    confidence: float | None = None


@dataclass(frozen=True)
class ForeignLabels:
    """Of one file. `form`: which program wrote it. `empty`: keypoints of frames that are not labelled (NaN). `notes`:
    what stands in the file and is not taken."""

    form: str
    path: Path
    labels: tuple[ForeignLabel, ...]
    empty: int = 0
    notes: tuple[str, ...] = ()


def keypoint_name(individual: str, bodypart: str, individuals: int) -> str:
    """Keypoints of several animals have their names; DeepLabCut's "single" are of none."""
    return bodypart if individuals < 2 or individual in ("", "single") else f"{individual}_{bodypart}"
