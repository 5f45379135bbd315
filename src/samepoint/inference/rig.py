"""What a robot program imports for several calibrated cameras: named 3-D keypoints of an s3k run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from samepoint.correspondence.views import Weighting
from samepoint.data.rig.anipose import read_calibration
from samepoint.data.rig.camera import Calibration
from samepoint.errors import DataError, one_of
from samepoint.inference.heatmap_matcher import target_width
from samepoint.inference.images import ImageLike
from samepoint.inference.loading import choose_device
from samepoint.inference.points import Points, PointSettings, ViewReadout, locate_points
from samepoint.inference.rig_images import Shooter, Shot, batch_of, within
from samepoint.inference.settings import settings_of
from samepoint.models.weights import CONFIG, LOOKED_FOR, load_heatmaps
from samepoint.types import Heatmaps

CalibrationLike = str | os.PathLike[str] | Calibration
"""The path of a calibration.toml (docs/multi-camera.md), or cameras by name."""

Pixel = tuple[float, float]
"""(u right, v down), of the image as recorded, integers at pixel centres."""


@dataclass(frozen=True, eq=False)
class RigHit:
    """Where a keypoint is. `xyz` in metres in the calibration's world and its `covariance` in square metres, None
    where the views make no point.

    By camera, in pixels of the image as recorded: `uv`, where the camera's own heatmap looks, and `agreement` in
    [0, 1], the share of its heatmap that lies there, less the further the point lies from it (both of the cameras
    that look for this keypoint); `projected`, where the point lies, in front of the camera (perhaps outside).
    `confidence` in [0, 1] is the second-best agreement, `views` the cameras whose agreement reaches the threshold;
    `visible`: the confidence does, so that two `views` or more agree.
    """

    xyz: tuple[float, float, float] | None
    covariance: Float64[np.ndarray, "3 3"] | None
    confidence: float
    visible: bool
    views: tuple[str, ...]
    uv: Mapping[str, Pixel]
    projected: Mapping[str, Pixel]
    agreement: Mapping[str, float]

    @property
    def deviation(self) -> tuple[float, float, float] | None:
        """Standard deviations along the world's axes, metres."""
        if self.covariance is None:
            return None
        x, y, z = np.sqrt(np.diag(self.covariance)).tolist()
        return x, y, z

    @staticmethod
    def nowhere() -> RigHit:
        """Of a keypoint for which there are too few views."""
        return RigHit(None, None, 0.0, False, (), {}, {}, {})


class RigFinder:
    """Finds named points in space from images that calibrated cameras took at one time. Get one from
    `samepoint.load_rig(run, calibration)`.

    `network` gives heatmaps of `names`. `looked_for`: by camera the names that it looks for; other cameras look for
    all. `max_size` is the long side at which the network sees images, `threshold` the confidence from which on a hit
    is visible. Several threads may call `find`.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Heatmaps],
        names: Sequence[str],
        settings: PointSettings,
        calibration: CalibrationLike | None = None,
        *,
        looked_for: Mapping[str, Sequence[str]] | None = None,
        max_size: int | None = None,
        threshold: float = 0.5,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.names, self.settings = network, tuple(names), settings
        self.calibration = None if calibration is None else _opened(calibration)
        self.looked_for = {camera: frozenset(wanted) for camera, wanted in (looked_for or {}).items()}
        self.threshold, self.device = threshold, torch.device(device)
        self._shooter = Shooter(max_size)

    @property
    def max_size(self) -> int | None:
        return self._shooter.max_size

    def find(
        self, images: Mapping[str, ImageLike], calibration: CalibrationLike | None = None
    ) -> dict[str, RigHit]:
        """Every keypoint, from the images of two or more of the calibrated cameras, by the cameras' names.

        Images are what `Finder.find` takes, as recorded, at the size that is calibrated. `calibration`: where the
        cameras are at this moment (default: the finder's). DataError for an image that cannot be used, cameras that
        are not calibrated, and fewer than two.
        """
        shots = self._shots(images, calibration)
        k = torch.stack([shot.intrinsics for shot in shots])
        pose = torch.stack([shot.camera.world_from_camera for shot in shots])
        with torch.inference_mode():
            heatmaps = self.network(batch_of(shots).to(self.device))
            heatmaps = within(heatmaps, [shot.size for shot in shots])
            takes_part = self._takes_part(shots).to(heatmaps.logits.device)
            points = locate_points(heatmaps, k[None], pose[None], takes_part[None], self.settings)
        return self._hits(points, shots)

    def _shots(
        self, images: Mapping[str, ImageLike], calibration: CalibrationLike | None
    ) -> tuple[Shot, ...]:
        cameras = self.calibration if calibration is None else _opened(calibration)
        if cameras is None:
            mend = "give one to load_rig, or to find where cameras move"
            raise DataError("the cameras have no calibration", mend=mend)
        if not isinstance(images, Mapping):
            raise DataError(
                f"images are a {type(images).__name__}", mend="give them by camera: {name: image}"
            )
        for name in images:
            if name not in cameras:
                raise DataError(one_of("camera", name, cameras))
        if len(images) < 2:
            given = ", ".join(images) or "none"
            mend = f"give images of two or more of: {', '.join(cameras)}"
            raise DataError(f"a point in space takes two cameras (given: {given})", mend=mend)
        return tuple(self._shooter.shot(cameras[name], image) for name, image in images.items())

    def _takes_part(self, shots: Sequence[Shot]) -> Bool[Tensor, "c n"]:
        rows = [self.looked_for.get(shot.camera.name, self.names) for shot in shots]
        return torch.tensor([[name in wanted for name in self.names] for wanted in rows])

    def _hits(self, points: Points, shots: Sequence[Shot]) -> dict[str, RigHit]:
        cameras, number = [shot.camera.name for shot in shots], len(self.names)
        places = torch.cat((points.uv[0], points.projected[0]), dim=1).cpu()
        pixels = dict(zip(cameras, (shot.recorded(uv).tolist() for shot, uv in zip(shots, places))))
        agreement = dict(zip(cameras, points.agreement[0].tolist()))
        takes_part = dict(zip(cameras, self._takes_part(shots).tolist()))
        xyz, covariance = points.xyz[0].tolist(), points.covariance[0].cpu().double().numpy()
        hits = {}
        for i, (name, confidence) in enumerate(zip(self.names, points.confidence[0].tolist())):
            asked = [camera for camera in cameras if takes_part[camera][i]]
            x, y, z = xyz[i]
            hits[name] = RigHit(
                (x, y, z) if math.isfinite(x) else None,
                covariance[i].copy() if math.isfinite(covariance[i].sum()) else None,
                confidence,
                confidence >= self.threshold,
                tuple(camera for camera in asked if agreement[camera][i] >= self.threshold),
                _finite({camera: pixels[camera][i] for camera in asked}),
                _finite({camera: pixels[camera][number + i] for camera in cameras}),
                {camera: agreement[camera][i] for camera in asked},
            )
        return hits


def load_rig(
    run: str | Path,
    calibration: CalibrationLike | None = None,
    device: str = "auto",
    *,
    readout: ViewReadout = "mode",
    weighting: Weighting = "rational",
    refine: int = 5,
) -> RigFinder:
    """The 3-D finder of a run of `samepoint train s3k`.

    `calibration` is the path of a calibration.toml, or cameras by name; it may be another than in training, and be
    left out where cameras move and `find` is given theirs. `device` as in `load`; `readout`, `weighting` and `refine`
    as in `PointSettings`. RunError for another kind of run, DataError for a calibration that cannot be used.
    """
    target = choose_device(device)
    network, config = load_heatmaps(run, target)
    where = Path(run) / CONFIG
    settings = settings_of(config, where)
    return RigFinder(
        network,
        network.keypoints,
        PointSettings(target_width(config, where), readout, weighting, refine),
        calibration,
        looked_for=config.get(LOOKED_FOR),
        max_size=settings.max_size,
        threshold=settings.threshold,
        device=target,
    )


def _opened(calibration: CalibrationLike) -> Calibration:
    if isinstance(calibration, Mapping):
        return calibration
    return read_calibration(Path(calibration))


def _finite(places: Mapping[str, Sequence[float]]) -> dict[str, Pixel]:
    return {camera: (u, v) for camera, (u, v) in places.items() if math.isfinite(u)}
