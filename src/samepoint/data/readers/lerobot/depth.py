"""LeRobot's depth videos: 12-bit codes, logarithmic or linear between two depths.

A feature whose "info" has "is_depth_map" (or "video.is_depth_map") true gives "video.depth_min", "video.depth_max",
"video.shift" (metres) and "video.use_log". Code 0 is the least depth, 4095 the greatest; between them
log(depth + shift), or without use_log the depth itself, goes linearly. LeRobot clips what is outside, also the 0 of
unknown pixels, to the two ends: so both codes mean unknown here. A depth *image* has "depth_unit" ("m" or "mm").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16

from samepoint.data.readers.lerobot.tables import real_number
from samepoint.errors import DataError

LAST = 4095
DEFAULTS = {"depth_min": 0.01, "depth_max": 10.0, "shift": 3.5}
UNITS = {"m": 1.0, "mm": 0.001}


@dataclass(frozen=True)
class DepthCode:
    """Metres: the least and the greatest depth and what is added before the logarithm (None: no logarithm)."""

    least: float
    greatest: float
    shift: float | None

    def metres(self, codes: UInt16[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
        """Depth; 0 where it is not known."""
        part = codes.astype(np.float64) / LAST
        if self.shift is None:
            depth = self.least + part * (self.greatest - self.least)
        else:
            low, high = np.log(self.least + self.shift), np.log(self.greatest + self.shift)
            depth = np.exp(low + part * (high - low)) - self.shift
        return np.where((codes > 0) & (codes < LAST), depth, 0.0).astype(np.float32)


def is_depth(feature: Mapping[str, Any]) -> bool:
    """Whether a feature is marked as depth."""
    notes = _notes(feature)
    return notes.get("is_depth_map") is True or notes.get("video.is_depth_map") is True


def depth_code(feature: Mapping[str, Any], where: object) -> DepthCode:
    """How the depth video of a feature is coded. DataError if it is no depth video or the numbers cannot be right."""
    if not is_depth(feature):
        mend = "name a feature whose info has is_depth_map, or depth stored as images"
        raise DataError("is a video, but not marked as depth", where=where, mend=mend)
    notes = _notes(feature)
    values = {
        name: real_number(notes.get(f"video.{name}", default), f"video.{name}", where)
        for name, default in DEFAULTS.items()
    }
    least, greatest, shift = values["depth_min"], values["depth_max"], values["shift"]
    use_log = notes.get("video.use_log", True)
    if not isinstance(use_log, bool) or not 0 <= least < greatest or (use_log and least + shift <= 0):
        what = f"its depth code (depth_min {least}, depth_max {greatest}, shift {shift}, use_log {use_log}) is none"
        raise DataError(what, where=where, mend="restore what lerobot wrote into meta/info.json")
    return DepthCode(least, greatest, shift if use_log else None)


def metres_per_unit(feature: Mapping[str, Any], scale: float | None, where: object) -> float:
    """The unit of depth images: the side-car's `scale`, or the feature's own."""
    unit = _notes(feature).get("depth_unit")
    if scale is None and unit not in UNITS:
        raise DataError("the unit of its depth images is not known", where=where, mend="give depth_scale")
    return scale if scale is not None else UNITS[str(unit)]


def _notes(feature: Mapping[str, Any]) -> dict[str, Any]:
    """What is noted of a feature, under the names that LeRobot has used."""
    found = [feature.get(name) for name in ("video_info", "info")]
    return {key: value for notes in found if isinstance(notes, dict) for key, value in notes.items()}
