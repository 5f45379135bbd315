"""`samepoint find`."""

from __future__ import annotations

import json as json_format
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from samepoint.errors import DataError
from samepoint.files import write_json
from samepoint.inference import find_in_files
from samepoint.models.weights import has_heatmaps
from samepoint.viewers.drawing import draw_rows, draw_views, free_path
from samepoint.workflows.rig_finding import find_in_recordings, line


@dataclass(frozen=True)
class Find:
    """Find a run's named keypoints in images, or in recordings of several calibrated cameras, then in space.

    `images`: image files; for a run of `samepoint train s3k` also folders of recordings (docs/multi-camera.md).
    `keypoints`: a keypoint database (default: the run's own). `calibration`: of recordings (default: their own).
    `json`: write the hits there. `draw`: a folder for the images with the hits drawn in.
    """

    run_folder: tyro.conf.Positional[Path]
    images: tyro.conf.Positional[tuple[Path, ...]]
    keypoints: Path | None = None
    calibration: Path | None = None
    json: Path | None = None
    draw: Path | None = None
    device: str = "auto"

    def run(self) -> None:
        folders = [path for path in self.images if path.is_dir()]
        if folders and has_heatmaps(self.run_folder):
            self._find_points(folders)
            return
        if self.calibration is not None:
            mend = "give folders of recordings, and a run of samepoint train s3k"
            raise DataError("--calibration is for recordings of several cameras", mend=mend)
        rows = find_in_files(self.run_folder, self.images, self.keypoints, self.device)
        if self.json is not None:
            write_json(self.json, {"images": rows}, indent=1)
        if self.draw is not None:
            draw_rows(rows, self.draw)
        for row in rows:
            print(json_format.dumps(row))

    def _find_points(self, folders: list[Path]) -> None:
        if len(folders) < len(self.images):
            file = next(path for path in self.images if not path.is_dir())
            raise DataError("is not a folder", where=file, mend="give recordings alone, or images alone")
        if self.keypoints is not None:
            mend = "leave --keypoints out"
            raise DataError("this run has keypoints of its own and takes no database", mend=mend)
        rows: list[dict[str, Any]] = []
        drawn: set[Path] = set()
        for found in find_in_recordings(self.run_folder, folders, self.calibration, self.device):
            row = found.row()
            if self.json is not None:
                rows.append(row)
            if self.draw is not None:
                path = free_path(self.draw, f"{found.recording}_{found.moment}", drawn)
                draw_views(path, found.images, found.marks())
                drawn.add(path)
            print(json_format.dumps(line(row)))
        if self.json is not None:
            write_json(self.json, {"moments": rows}, indent=1)
