"""`samepoint data cell`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated

import tyro

from samepoint.cli.rendering import WIDTH_BY_HEIGHT, time_left
from samepoint.sim.cell.render import render_cell
from samepoint.sim.cell.settings import CellSettings
from samepoint.types import Size


@dataclass(frozen=True)
class CellOptions(CellSettings):
    """The settings of a cell, with the size as it is written on a command line."""

    size: Annotated[Size, WIDTH_BY_HEIGHT] = CellSettings.size


@dataclass(frozen=True)
class Cell:
    """Render a robot cell that several calibrated cameras look at, with exact keypoints (needs OpenGL through EGL, no
    GPU), into the new folder `out`: recordings of docs/multi-camera.md.

    `kind`: box (a printed carton), shoe (several shoes), plush (a soft toy), cable (a plug on a cable, and a socket).
    """

    out: Path
    settings: Annotated[CellOptions, tyro.conf.arg(name="")] = field(default_factory=CellOptions)

    def run(self) -> None:
        start = perf_counter()

        def progress(done: int, moments: int) -> None:
            left = (perf_counter() - start) / done * (moments - done)
            print(f"rendered {done} of {moments} moments{time_left(left)}", flush=True)

        render_cell(self.out, self.settings, progress)
        print(f"written to {self.out}")
