"""`samepoint find` in recordings of several calibrated cameras: 3-D keypoints in every moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from samepoint.data.decode import decode_image
from samepoint.data.open import open_dataset
from samepoint.data.readers.multi_camera import read_multi_camera
from samepoint.data.recording import Dataset, Moment, View
from samepoint.data.rig.anipose import read_calibration
from samepoint.data.rig.camera import Calibration, Camera
from samepoint.errors import DataError
from samepoint.inference.finder import Hit
from samepoint.inference.rig import RigFinder, RigHit, load_rig


@dataclass(frozen=True)
class FoundMoment:
    """What was found in a moment of a recording, and the images it was found in, by camera."""

    recording: str
    moment: str
    images: Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
    hits: Mapping[str, RigHit]

    def row(self) -> dict[str, Any]:
        """Plain values for JSON: of each keypoint `xyz` (metres) and `covariance` (square metres), null where there
        is no point, `sigma_mm` along x, y and z, `confidence`, `visible`, `views`, and by camera `uv` and
        `projected`, pixels of the image as recorded."""
        keypoints = {name: _plain(hit) for name, hit in self.hits.items()}
        return {"recording": self.recording, "moment": self.moment, "keypoints": keypoints}

    def marks(self) -> dict[str, dict[str, Hit]]:
        """By camera where the points lie in its image."""
        return {
            camera: {
                name: Hit(hit.projected[camera], hit.confidence, hit.visible)
                for name, hit in self.hits.items()
                if camera in hit.projected
            }
            for camera in self.images
        }


def line(row: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a `FoundMoment.row` that the command prints."""
    kept = ("xyz", "sigma_mm", "confidence", "visible", "views")
    keypoints = {name: {key: of[key] for key in kept} for name, of in row["keypoints"].items()}
    return {**row, "keypoints": keypoints}


def find_in_recordings(
    run: str | Path,
    folders: Iterable[str | Path],
    calibration: str | Path | None = None,
    device: str = "auto",
) -> Iterator[FoundMoment]:
    """The keypoints of an s3k run in every moment of recordings (folders of one or of several), one moment at a time.

    `calibration` takes the place of the recordings' own. A moment with fewer than two views has no points. DataError
    for a folder that is no recording of calibrated cameras (before anything is looked for), and for an image that
    cannot be read.
    """
    given = None if calibration is None else read_calibration(Path(calibration))
    datasets = [_opened(Path(folder), given) for folder in folders]
    finder = load_rig(run, device=device)
    for dataset in datasets:
        for recording in dataset.recordings:
            for m, moment in enumerate(recording.moments):
                yield _found(finder, recording.name, moment.name or f"{m:06d}", moment)


def _found(finder: RigFinder, recording: str, name: str, moment: Moment) -> FoundMoment:
    views = [view for view in moment.views if _posed(view)]
    images = {view.camera: decode_image(view.image) for view in views}
    if len(images) < 2:
        return FoundMoment(recording, name, images, dict.fromkeys(finder.names, RigHit.nowhere()))
    cameras = {view.camera: _camera(view, images[view.camera]) for view in views}
    return FoundMoment(recording, name, images, finder.find(images, cameras))


def _opened(folder: Path, calibration: Calibration | None) -> Dataset:
    if calibration is None:
        dataset = open_dataset(folder)
    else:
        dataset = read_multi_camera(folder, calibration=calibration)
    if not any(sum(map(_posed, moment.views)) > 1 for r in dataset.recordings for moment in r.moments):
        mend = "give a recording (docs/multi-camera.md), its --calibration, or image files for pixels alone"
        raise DataError("has no moment with two calibrated views", where=folder, mend=mend)
    return dataset


def _posed(view: View) -> bool:
    return view.intrinsics is not None and view.world_from_camera is not None


def _camera(view: View, image: np.ndarray) -> Camera:
    assert view.intrinsics is not None
    assert view.world_from_camera is not None
    size = (image.shape[0], image.shape[1])
    return Camera(view.camera, size, view.intrinsics, view.world_from_camera, view.lens)


def _plain(hit: RigHit) -> dict[str, Any]:
    deviation = hit.deviation
    return {
        "xyz": None if hit.xyz is None else list(hit.xyz),
        "sigma_mm": None if deviation is None else [1e3 * metres for metres in deviation],
        "covariance": None if hit.covariance is None else hit.covariance.tolist(),
        "confidence": hit.confidence,
        "visible": hit.visible,
        "views": list(hit.views),
        "uv": {camera: list(uv) for camera, uv in hit.uv.items()},
        "projected": {camera: list(uv) for camera, uv in hit.projected.items()},
    }
