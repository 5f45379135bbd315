"""`samepoint data` render, cell, import, photo, info, pairs, labels, doctor, fuse, calibrate, calibration, cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated

import tyro

from samepoint.cli.cache import Cache
from samepoint.cli.calibration import Calibrate, Convert
from samepoint.cli.cell import Cell
from samepoint.cli.doctor import Doctor
from samepoint.cli.fuse import Fuse
from samepoint.cli.labels import Labels
from samepoint.cli.photo import Photo
from samepoint.cli.rendering import WIDTH_BY_HEIGHT, time_left
from samepoint.data.corrections import Corrections
from samepoint.data.importers import import_dataset
from samepoint.data.info import coverage, describe
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.pairs import write_pairs
from samepoint.data.readers.pose_times import PoseTiming
from samepoint.data.recording import Split
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.types import Size


@dataclass(frozen=True)
class RenderOptions(RenderSettings):
    """The renderer's settings, with the size as it is written on a command line."""

    size: Annotated[Size, WIDTH_BY_HEIGHT] = RenderSettings.size


@dataclass(frozen=True)
class Render:
    """Render a table-top data set with exact truth (needs OpenGL through EGL, no GPU) into the new folder `out`.

    Images are 320x240 unless `size` says otherwise. `mode`: scan (moving camera), shuffle (fixed camera,
    objects rearranged), rig (several cameras), robot-only. `meshes`: your own 3-D models (OBJ, PLY, STL, GLB).
    `renderer`: mujoco is fast, blender draws real light and takes seconds a view.
    """

    out: Path
    settings: Annotated[RenderOptions, tyro.conf.arg(name="")] = field(default_factory=RenderOptions)

    def run(self) -> None:
        start = perf_counter()

        def progress(done: int, scenes: int) -> None:
            left = (perf_counter() - start) / done * (scenes - done)
            print(f"rendered {done} of {scenes} scenes{time_left(left)}", flush=True)

        render_dataset(self.out, self.settings, progress)
        print(f"written to {self.out}")


@dataclass(frozen=True)
class Import:
    """Convert recordings of another form into the native one (BOP).

    `form`: a name from docs/formats.md (a wrong one lists them).
    """

    form: tyro.conf.Positional[str]
    source: tyro.conf.Positional[Path]
    out: Path
    corrections: Annotated[Corrections, tyro.conf.arg(name="")] = field(default_factory=Corrections)
    timing: Annotated[PoseTiming, tyro.conf.arg(name="")] = field(default_factory=PoseTiming)

    def run(self) -> None:
        dataset = import_dataset(self.form, self.source, self.out, self.corrections, self.timing)
        held = ", ".join(f"{name}: {number}" for name, number in coverage(dataset).items())
        print(f"imported {len(dataset.views())} views into {self.out} ({held})")
        for note in dataset.notes:
            print(f"note: {note}")


@dataclass(frozen=True)
class Info:
    """Say what a data set holds."""

    path: tyro.conf.Positional[Path]

    def run(self) -> None:
        summary = describe(open_dataset(self.path))
        notes = summary.pop("notes", [])
        for name, value in summary.items():
            shown = value
            if isinstance(value, Mapping):
                shown = ", ".join(f"{key}: {number}" for key, number in value.items())
            elif isinstance(value, list):
                shown = ", ".join(map(str, value))
            print(f"{name.replace('_', ' '):20} {shown}")
        for note in notes:
            print(f"{'note':20} {note}")


@dataclass(frozen=True)
class Pairs:
    """Write a pairs file from true correspondences.

    `cross_scene`: the two images are of different recordings. `cross_instance`: matches lie on another object of the
    same family. `split`: of the data set (default: all of it). `points`: at most so many a pair.
    """

    path: tyro.conf.Positional[Path]
    out: Path
    cross_scene: bool = False
    cross_instance: bool = False
    number: int = 100
    points: int = 32
    split: Split | None = None
    seed: int = 0

    def run(self) -> None:
        dataset = open_dataset(self.path)
        if self.split is not None:
            dataset = dataset.split(self.split)
        made = make_pairs(
            dataset,
            number=self.number,
            points=self.points,
            cross_scene=self.cross_scene,
            cross_instance=self.cross_instance,
            seed=self.seed,
        )
        write_pairs(self.out, made)
        print(f"wrote {len(made)} pairs with {sum(len(pair) for pair in made)} points to {self.out}")


Data = (
    Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Cell, tyro.conf.subcommand("cell")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[Photo, tyro.conf.subcommand("photo")]
    | Annotated[Cache, tyro.conf.subcommand("cache")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Pairs, tyro.conf.subcommand("pairs")]
    | Annotated[Labels, tyro.conf.subcommand("labels")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Fuse, tyro.conf.subcommand("fuse")]
    | Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
    | Annotated[Convert, tyro.conf.subcommand("calibration")]
)
