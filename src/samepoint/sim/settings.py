"""What to render, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from samepoint.errors import DataError, one_of
from samepoint.sim.families import FAMILIES, find_family

RenderMode = Literal["scan", "shuffle", "rig", "robot-only"]
RendererName = Literal["mujoco", "blender"]
SPLITS: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class RenderSettings:
    """Settings of a rendered data set (docs/rendered-data.md).

    `families`: names, all by default. `scenes`: recordings over all splits; about a tenth each, and at least
    two where possible, are for validation and test, unless `split_scenes` gives the exact numbers (train,
    validation, test). `views`: images a recording (for a rig: moments times `cameras`). `size`: (height,
    width). `mode`: one, or several that take turns. `instances`: objects of each family that (train,
    validation, test) may draw from. `objects_per_scene`, `distractors`: (lowest, highest). `max_roll`
    of the camera, `max_yaw` of objects about their usual direction, `sector` of a scan to either side of the
    front: degrees. `same_objects`: validation and test show the training objects, in new scenes, where otherwise
    they have their own. `close_ups`: share of the views of a scan that one object fills. `noise`: depth, colour and
    pose errors of a sensor, the scenes and cameras being the same as without. `gripper`: a wrist camera's gripper
    is in view of scans.
    `texture_folder`: images for the main parts of objects. `renderer`: mujoco is fast, blender (the extra
    `blender`) draws real light with `samples` rays a pixel. `meshes`: a folder of OBJ, PLY, STL and GLB files, or
    one of them, whose objects are shown instead of `families`, the same ones in every split; `mesh_scale` times
    their unit is a metre (0.001 for millimetres). The result does not depend on `workers`.
    """

    families: tuple[str, ...] = tuple(FAMILIES)
    scenes: int = 40
    views: int = 25
    cameras: int = 4
    size: tuple[int, int] = (240, 320)
    seed: int = 0
    mode: RenderMode | tuple[RenderMode, ...] = "scan"
    split_scenes: tuple[int, int, int] | None = None
    objects_per_scene: tuple[int, int] = (2, 5)
    distractors: tuple[int, int] = (0, 3)
    instances: tuple[int, int, int] = (3, 2, 2)
    max_roll: float = 45.0
    max_yaw: float = 180.0
    sector: float = 180.0
    close_ups: float = 0.3
    same_objects: bool = False
    noise: bool = False
    gripper: bool = False
    texture_folder: Path | None = None
    renderer: RendererName = "mujoco"
    samples: int = 16
    meshes: Path | None = None
    mesh_scale: float = 1.0
    workers: int = 2

    @property
    def modes(self) -> tuple[RenderMode, ...]:
        return (self.mode,) if isinstance(self.mode, str) else tuple(self.mode)

    def scenes_of_splits(self) -> tuple[int, int, int]:
        """How many scenes (train, validation, test) get."""
        if self.split_scenes is not None:
            return self.split_scenes
        held = max(2, round(self.scenes / 10)) if self.scenes >= 5 else int(self.scenes >= 3)
        test = max(held, int(self.scenes >= 2))
        return self.scenes - held - test, held, test

    def check(self) -> None:
        """DataError on the first setting that makes no sense."""
        for name in self.families:
            find_family(name)
        chosen: tuple[object, ...] = (self.mode,) if isinstance(self.mode, str) else tuple(self.mode)
        for mode in chosen:
            if mode not in get_args(RenderMode):
                raise DataError(one_of("mode", mode, get_args(RenderMode)))
        if self.renderer not in get_args(RendererName):
            raise DataError(one_of("renderer", self.renderer, get_args(RendererName)))
        wrong = [
            ("families", not self.families), ("mode", not chosen),
            ("scenes", sum(self.scenes_of_splits()) < 1 or min(self.scenes_of_splits()) < 0),
            ("views", self.views < 1), ("cameras", self.cameras < 1), ("workers", self.workers < 1),
            ("size", min(self.size) < 16 or max(self.size) > 2048),
            ("objects_per_scene", not 1 <= self.objects_per_scene[0] <= self.objects_per_scene[1] <= 20),
            ("distractors", not 0 <= self.distractors[0] <= self.distractors[1] <= 20),
            ("instances", min(self.instances) < 1), ("max_roll", not 0 <= self.max_roll <= 180),
            ("max_yaw", not 0 <= self.max_yaw <= 180), ("sector", not 0 < self.sector <= 180),
            ("close_ups", not 0 <= self.close_ups <= 1), ("samples", not 1 <= self.samples <= 4096),
            ("mesh_scale", not 0 < self.mesh_scale < math.inf),
        ]  # fmt: skip
        for name, bad in wrong:
            if bad:
                mend = "see RenderSettings for what is possible"
                raise DataError(f"{name} cannot be {getattr(self, name)!r}", mend=mend)
