"""`samepoint pose`."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from samepoint.data.open import open_dataset
from samepoint.files import write_json
from samepoint.workflows.poses import LIFTS, find_poses, load_pose_finder, rows_of, score_poses

SHOWN = (
    "median_degrees",
    "median_centimetres",
    "within_10deg_10cm",
    "add_10_percent",
    "add_s_10_percent",
    "failed",
)


@dataclass(frozen=True)
class Pose:
    """Find the 6-D poses of a mined run's objects in a data set with intrinsics, and score them where truth is known.

    Looked for are the objects that the data set names in a view, or all of the run's if it names none anywhere; those
    with a mask of less than 64 pixels are left out. `run_folder`: of samepoint train mined. `reference`: posed views
    from which its keypoints' places on the objects are learnt (default: the training split of what it was trained
    on). `masked`: the data set's masks say where the objects are; without it no masks are needed. `json`: file for
    poses and scores. `device`: auto, cpu, cuda, cuda:1, mps. Rows: depth from the camera, from the network, and none
    (pixels alone).
    """

    run_folder: tyro.conf.Positional[Path]
    data: tyro.conf.Positional[Path]
    reference: Path | None = None
    masked: bool = False
    json: Path | None = None
    device: str = "auto"

    def run(self) -> None:
        dataset = open_dataset(self.data)
        finder = load_pose_finder(self.run_folder, self.reference, self.device)
        found = find_poses(finder, dataset, LIFTS, masked=self.masked)
        scores = score_poses(found, dataset)
        count = Counter(f.lift for f in found if f.found is not None)
        for lift in dict.fromkeys(f.lift for f in found):
            asked = sum(f.lift == lift for f in found)
            print(f"{lift}: a pose in {count[lift]} of {asked} views")
        for lift, row in scores.items():
            values = "  ".join(f"{name} {row[name]:.3g}" for name in SHOWN)
            print(f"{lift}: {values}")
        if self.json is not None:
            write_json(self.json, {"scores": _finite(scores), "poses": rows_of(found)}, indent=1)


def _finite(scores: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """NaN (no pose found at all) is null in JSON."""
    return {
        lift: {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for lift, row in scores.items()
    }
