"""`samepoint find`."""

from __future__ import annotations

import json as json_format
from dataclasses import dataclass
from pathlib import Path

import tyro

from samepoint.files import write_json
from samepoint.inference import find_in_files
from samepoint.viewers.drawing import draw_rows


@dataclass(frozen=True)
class Find:
    """Find a run's named keypoints in images.

    `keypoints`: a keypoint database (default: the run's own). `json`: write the hits there. `draw`: a folder for
    the images with the hits drawn in.
    """

    run_folder: tyro.conf.Positional[Path]
    images: tyro.conf.Positional[tuple[Path, ...]]
    keypoints: Path | None = None
    json: Path | None = None
    draw: Path | None = None
    device: str = "auto"

    def run(self) -> None:
        rows = find_in_files(self.run_folder, self.images, self.keypoints, self.device)
        if self.json is not None:
            write_json(self.json, {"images": rows}, indent=1)
        if self.draw is not None:
            draw_rows(rows, self.draw)
        for row in rows:
            print(json_format.dumps(row))
