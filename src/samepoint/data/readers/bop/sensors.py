"""The files of a BOP scene, by sensor.

scene_camera.json      rgb/ (or gray/)          depth/       mask_visib/ or mask/        one sensor
scene_camera_S.json    rgb_S/, gray_S/ or S/    depth_S/     mask_visib_S/ or mask_S/    one of several
scene_gt_S.json        scene_gt_info_S.json                                         (HOT3D, IPD, XYZ-IBD)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from samepoint.data.file_kinds import IMAGE_SUFFIXES
from samepoint.data.natural_order import natural_key
from samepoint.reading import entries as listed
from samepoint.reading import matching

CAMERAS = "scene_camera"


@dataclass(frozen=True)
class SensorFiles:
    """What one sensor recorded of a scene. `name` is None for the only one."""

    folder: Path
    name: str | None = None

    def table(self, kind: str) -> Path:
        """Such as scene_gt.json, `kind` being scene_gt."""
        return self.folder / f"{self._named(kind)}.json"

    @property
    def image_folder(self) -> Path:
        """The first that holds images: rgb, gray; of a sensor S rgb_S, gray_S, S."""
        names = ["rgb", "gray"] if self.name is None else [f"rgb_{self.name}", f"gray_{self.name}", self.name]
        folders = [self.folder / name for name in names]
        return next((folder for folder in folders if numbered(folder)), folders[0])

    @property
    def depth_folder(self) -> Path:
        return self.folder / self._named("depth")

    @property
    def mask_folder(self) -> Path | None:
        """Of the visible parts, else of the whole silhouettes; None if there are no masks."""
        return next((path.parent for path in self.masks.values()), None)

    @cached_property
    def masks(self) -> dict[tuple[int, int], Path]:
        """Mask files by image and place in its list of objects."""
        return _masks(self.folder / self._named("mask_visib")) or _masks(self.folder / self._named("mask"))

    def others(self) -> Iterator[Path]:
        """Whole silhouettes beside masks of the visible parts, which replace them."""
        silhouettes = self.folder / self._named("mask")
        if self.mask_folder is not None and self.mask_folder != silhouettes:
            yield from listed(silhouettes)

    def _named(self, kind: str) -> str:
        return kind if self.name is None else f"{kind}_{self.name}"


def sensors_below(root: Path) -> list[SensorFiles]:
    """Those of `root` and of folders at most two down, in natural order."""
    return sorted(sensor_files(root), key=lambda s: (natural_key(s.folder), natural_key(s.name or "")))


def sensor_files(root: Path) -> Iterator[SensorFiles]:
    """The same as they are found; hidden folders are passed over."""
    for above in ("", "*/", "*/*/"):
        for path in matching(root, f"{above}{CAMERAS}*.json"):
            match = re.fullmatch(rf"{CAMERAS}(?:_(.+))?", path.stem)
            if match:
                yield SensorFiles(path.parent, match[1])


def numbered(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> dict[int, Path]:
    """Files that are named by a number."""
    files = [path for path in listed(folder) if path.suffix.lower() in suffixes and path.stem.isdigit()]
    return {int(path.stem): path for path in files}


def _masks(folder: Path) -> dict[tuple[int, int], Path]:
    """IMAGE_OBJECT.png (also JPEG and others)."""
    masks: dict[tuple[int, int], Path] = {}
    for path in listed(folder):
        image, _, k = path.stem.partition("_")
        if path.suffix.lower() in IMAGE_SUFFIXES and image.isdigit() and k.isdigit():
            masks[int(image), int(k)] = path
    return masks
