"""`samepoint data fuse`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from samepoint.fusion.settings import FusionSettings
from samepoint.workflows.fusing import Fusing, fuse_dataset


@dataclass(frozen=True)
class Fuse:
    """Fuse scans with depth and poses: objects, a mask of each in every frame, clean depth, meshes (needs Open3D).

    `out`: a new data set in the native form; `out`/fusion has a picture of every recording: look at it. `empty`: name
    of a recording of the scene without objects. `changed`: names of scans of one place between which something was
    taken away or moved: objects that touched are told apart by it. `robot`: names of recordings that show the robot
    alone. `clicks`: JSON file, {RECORDING: [{"image": NAME, "uv": [u, v]}, ...]}: several clicks on one object split
    it. `depth`: what is written, rendered from the mesh or the sensor's.
    """

    path: tyro.conf.Positional[Path]
    out: Path
    empty: str | None = None
    changed: tuple[str, ...] = ()
    robot: tuple[str, ...] = ()
    clicks: Path | None = None
    depth: Literal["fused", "sensor"] = "fused"
    settings: Annotated[FusionSettings, tyro.conf.arg(name="")] = field(default_factory=FusionSettings)

    def run(self) -> None:
        fusing = Fusing(self.empty, self.changed, self.robot, self.clicks, self.depth, self.settings)
        for row in fuse_dataset(self.path, self.out, fusing):
            print(f"{row['recording']}: {len(row['objects'])} objects in {row['frames']} frames")
            for found in row["objects"]:
                size = " x ".join(f"{100 * edge:.1f}" for edge in found["size_m"])
                note = f", may be {found['may_be']} that touch" if found["may_be"] > 1 else ""
                print(f"  object {found['object_id']}: {size} cm{note}")
        print(f"look at the pictures in {self.out / 'fusion'}")
