"""Intrinsics against the size of the images, and against what the frames say of the focal length."""

from __future__ import annotations

import math
from dataclasses import dataclass

from samepoint.data.decode import image_size
from samepoint.data.doctor.diagnosis import SIZES, Diagnosis
from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Footage, evenly
from samepoint.data.doctor.poses import NONE_AGREES, without_evidence
from samepoint.types import Size

CHECK = "intrinsics"
FAR_OFF, OFF = 0.2, 0.1
"""Shares of the side by which a principal point is off the centre: a fault unless frames agree; mentioned."""
NARROWEST, WIDEST = 8.0, 150.0
"""Degrees of a pinhole camera's horizontal field of view."""
SQUARE = 1.25
"""Ratio of focal lengths above which pixels are far from square."""


@dataclass(frozen=True)
class Camera:
    """Of one view: the size of its image, and what its matrix says. `off` is a share of the side, (u, v)."""

    name: str
    size: Size
    focal: tuple[float, float]
    off: tuple[float, float]

    @property
    def field_of_view(self) -> float:
        """Degrees, horizontal."""
        return math.degrees(2 * math.atan(self.size[1] / 2 / self.focal[0]))

    @property
    def farthest(self) -> float:
        return max(map(abs, self.off))


def check_intrinsics(footage: Footage, diagnosis: Diagnosis) -> Finding:
    cameras = _cameras(footage)
    if not cameras:
        return Finding(CHECK, "not applicable", "there are no intrinsics")
    worst = max(cameras, key=lambda camera: camera.farthest)
    found = diagnosis.found
    if found.size != diagnosis.written.size or found.focal != diagnosis.written.focal:
        return _disagreeing(diagnosis, worst)
    if not NARROWEST <= worst.field_of_view <= WIDEST:
        sentence = f"the field of view is {worst.field_of_view:.0f} degrees (fx {worst.focal[0]:.4g} pixels)"
        return Finding(CHECK, "fault", sentence, "give fx and fy in pixels of these images", (worst.name,))
    off = f"the principal point lies {_percent(worst)} of the sides off the centre"
    shape = f"field of view {worst.field_of_view:.0f} degrees"
    evidence, blind = diagnosis.evidence(), without_evidence(diagnosis, CHECK)
    agree = blind is None and (evidence.depth is None or evidence.depth.share > 2 * NONE_AGREES)
    if worst.farthest > FAR_OFF and not agree:
        return Finding(
            CHECK, "fault", f"{off}: of another image size, or cropped", _resized(worst), (worst.name,)
        )
    if max(worst.focal) > SQUARE * min(worst.focal) and not agree:
        what = f"fx {worst.focal[0]:.4g} and fy {worst.focal[1]:.4g} pixels differ by more than a quarter"
        return Finding(CHECK, "undecided", what, None, (worst.name,))
    if worst.farthest > OFF and not agree:
        return Finding(CHECK, "undecided", f"{off} and nothing shows whether it is so", None, (worst.name,))
    judged = f"; {evidence}" if agree else "; no views show whether the focal length is right"
    return Finding(CHECK, "right", f"{off}, {shape}{judged}")


def _disagreeing(diagnosis: Diagnosis, camera: Camera) -> Finding:
    found, evidence = diagnosis.found, diagnosis.evidence()
    as_written = diagnosis.evidence(diagnosis.without("size", "focal"))
    if found.size != 1.0:
        height, width = (round(side / found.size) for side in camera.size)
        sentence = (
            f"they are of {width}x{height} images, but these are {camera.size[1]}x{camera.size[0]}: "
            f"as written {as_written}, resized {evidence}"
        )
        return Finding(CHECK, "fault", sentence, _multiply(found.size))
    sentence = (
        f"the focal length is {found.focal:g} times the written one: as written {as_written}, so {evidence}"
    )
    return Finding(CHECK, "fault", sentence, f"multiply fx and fy by about {found.focal:g}")


def _resized(camera: Camera) -> str:
    """What to multiply by, if the principal point were the centre of the other size."""
    u, v = (0.5 + off for off in camera.off)
    if 0.8 < u / v < 1.25 and u + v > 0.05:
        factor = 1 / (u + v)
        near = min(SIZES, key=lambda size: abs(math.log(size / factor)))
        return _multiply(near if abs(near / factor - 1) < 0.08 else round(factor, 2))
    return "give the camera matrix of the images as they are"


def _multiply(factor: float) -> str:
    return f"multiply fx, fy, cx + 0.5 and cy + 0.5 by {factor:.4g}"


def _percent(camera: Camera) -> str:
    return f"{camera.off[0]:+.0%}, {camera.off[1]:+.0%}"


def _cameras(footage: Footage) -> list[Camera]:
    cameras = []
    numbers = [i for i, view in enumerate(footage.views) if view.intrinsics is not None]
    for view in (footage.views[i] for i in evenly(numbers, 20)):
        assert view.intrinsics is not None
        height, width = image_size(view.image)
        k = view.intrinsics.tolist()
        off = ((k[0][2] + 0.5) / width - 0.5, (k[1][2] + 0.5) / height - 0.5)
        cameras.append(Camera(view.image.name, (height, width), (k[0][0], k[1][1]), off))
    return cameras
