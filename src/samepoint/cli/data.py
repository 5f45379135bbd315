"""`samepoint data render | import | info | pairs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from samepoint.data.importers import import_dataset
from samepoint.data.info import describe
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.pairs import write_pairs
from samepoint.data.recording import Split
from samepoint.errors import DataError
from samepoint.sim.families import FAMILIES
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderMode, RenderSettings


@dataclass(frozen=True)
class Render:
    """Render a table-top data set with exact truth (needs OpenGL through EGL, no GPU).

    `out`: a new folder. `families`: which objects (default: all). `scenes`: recordings over all splits.
    `views`: images a recording. `cameras`: of a rig. `size`: WIDTHxHEIGHT. `mode`: scan (moving camera), shuffle
    (fixed camera, objects rearranged), rig (several cameras), robot-only. `max_roll`: of the camera, degrees.
    `max_yaw`: of objects about their usual direction. `sector`: of a scan to either side of the front, degrees.
    `noise`: of a depth sensor and its poses. `gripper`: in view of scans. `texture_folder`: your own images.
    """

    out: Path
    families: tuple[str, ...] = tuple(FAMILIES)
    scenes: int = 40
    views: int = 25
    cameras: int = 4
    size: str = "320x240"
    seed: int = 0
    mode: RenderMode = "scan"
    split_scenes: tuple[int, int, int] | None = None
    objects_per_scene: tuple[int, int] = (2, 5)
    distractors: tuple[int, int] = (0, 3)
    instances: tuple[int, int, int] = (3, 2, 2)
    max_roll: float = 45.0
    max_yaw: float = 180.0
    sector: float = 180.0
    noise: bool = False
    gripper: bool = False
    texture_folder: Path | None = None
    workers: int = 2

    def run(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(RenderSettings)}
        settings = RenderSettings(**{**given, "size": size_of(self.size)})

        def progress(done: int, scenes: int) -> None:
            print(f"rendered {done} of {scenes} scenes", flush=True)

        render_dataset(self.out, settings, progress)
        print(f"written to {self.out}")


@dataclass(frozen=True)
class Import:
    """Convert recordings of another form into the native one (BOP).

    `form`: bop, or frames (colour, depth and pose folders with an intrinsics.json).
    """

    form: tyro.conf.Positional[str]
    source: tyro.conf.Positional[Path]
    out: Path

    def run(self) -> None:
        dataset = import_dataset(self.form, self.source, self.out)
        print(f"imported {len(dataset.views())} views into {self.out}")


@dataclass(frozen=True)
class Info:
    """Say what a data set holds."""

    path: tyro.conf.Positional[Path]

    def run(self) -> None:
        for name, value in describe(open_dataset(self.path)).items():
            shown = value
            if isinstance(value, Mapping):
                shown = ", ".join(f"{key}: {number}" for key, number in value.items())
            elif isinstance(value, list):
                shown = ", ".join(map(str, value))
            print(f"{name.replace('_', ' '):20} {shown}")


@dataclass(frozen=True)
class Pairs:
    """Write a pairs file from true correspondences.

    `split`: of the data set (default: all of it). `points`: at most so many a pair.
    """

    path: tyro.conf.Positional[Path]
    out: Path
    cross_scene: bool = False
    number: int = 100
    points: int = 32
    split: Split | None = None
    seed: int = 0

    def run(self) -> None:
        dataset = open_dataset(self.path)
        if self.split is not None:
            dataset = dataset.split(self.split)
        made = make_pairs(
            dataset, number=self.number, points=self.points, cross_scene=self.cross_scene, seed=self.seed
        )
        write_pairs(self.out, made)
        print(f"wrote {len(made)} pairs with {sum(len(pair) for pair in made)} points to {self.out}")


Data = (
    Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Pairs, tyro.conf.subcommand("pairs")]
)


def size_of(text: str) -> tuple[int, int]:
    """(height, width) of "WIDTHxHEIGHT"."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise DataError(f"size {text!r} is not WIDTHxHEIGHT", where="--size", mend="write it as in 320x240")
    return int(height), int(width)
