"""The real recording of a fly by seven cameras (shared/realdata/multicam_fly), as docs/multi-camera.md wants it."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from samepoint.data.rig.anipose import write_calibration
from samepoint.data.rig.camera import Camera
from samepoint.data.rig.tables import LABELS, write_table


def write_fly(
    source: Path,
    out: Path,
    splits: Mapping[str, Sequence[int]],
    labelled: Collection[int],
    metres_per_unit: float = 0.001,
) -> Path:
    """A data set of a recording for each of `splits` (its instants, 0 to 14), with labels where `labelled` says.

    Images are links to those of `source`. Keypoints are joint00 to joint37; cameras 0 to 2 see the first 19, cameras
    4 to 6 the others, camera 3 none of them.
    """
    pixels = np.load(source / "keypoints.npz")["points2d_px"]  # camera, instant, joint, uv
    cameras = _cameras(source, metres_per_unit)
    for split, instants in splits.items():
        folder = Path(out) / split
        for c, name in enumerate(cameras):
            (folder / name).mkdir(parents=True)
            for t in instants:
                os.symlink(
                    (source / f"images/camera_{c}_img_{t}.jpg").resolve(), folder / name / f"{t:06d}.jpg"
                )
        write_calibration(folder / "calibration.toml", cameras, metres_per_unit)
        rows = [
            (f"{t:06d}", name, f"joint{joint:02d}", *map(float, pixels[c, t, joint]))
            for t in instants
            if t in labelled
            for c, name in enumerate(cameras)
            for joint in np.flatnonzero(np.isfinite(pixels[c, t]).all(-1))
        ]
        write_table(folder / "labels.csv", LABELS, rows)
    return Path(out)


def _cameras(source: Path, metres_per_unit: float) -> dict[str, Camera]:
    cameras = {}
    for number, written in json.loads((source / "cameras.json").read_text()).items():
        camera_from_world = np.eye(4)
        camera_from_world[:3, :3] = written["R"]
        camera_from_world[:3, 3] = np.array(written["t"]) * metres_per_unit
        pose = torch.from_numpy(np.linalg.inv(camera_from_world)).float()
        size = written["height"], written["width"]
        name = f"cam{number}"
        cameras[name] = Camera(name, size, torch.tensor(written["K"], dtype=torch.float32), pose)
    return cameras
