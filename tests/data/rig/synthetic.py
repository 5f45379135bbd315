"""A rig of cameras round random points, as a Recording or as files, in which mistakes can be planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from samepoint.data.recording import Moment, Recording, View
from samepoint.data.rig.anipose import write_calibration
from samepoint.data.rig.camera import Camera
from samepoint.data.rig.tables import LABELS, POINTS, STILL, TIMES, write_table
from samepoint.geometry.lenses import Lens, distort_points

NAMES = ("front", "left", "back", "right", "top", "low")
KEYPOINTS = ("nose", "ear", "paw", "tail", "tip")
Clicks = dict[str, dict[str, dict[str, tuple[float, float]]]]


@dataclass(frozen=True)
class Rig:
    """`cameras` by moment ("" for all); `points` and `clicks` by moment, clicks then by camera."""

    cameras: dict[str, dict[str, Camera]]
    moments: tuple[str, ...]
    points: dict[str, dict[str, np.ndarray]]
    clicks: Clicks
    times: dict[str, dict[str, float]] = field(default_factory=dict)
    still: tuple[tuple[str, str], ...] = ()
    missing: frozenset[tuple[str, str]] = frozenset()
    exact: bool = False

    def of(self, moment: str) -> dict[str, Camera]:
        return self.cameras.get(moment, self.cameras.get("", {}))

    def seen(self, moment: str) -> list[Camera]:
        return [c for name, c in self.of(moment).items() if (moment, name) not in self.missing]

    def recording(self, blank: Path, name: str = "train") -> Recording:
        """Every view shows the image `blank`."""
        moments = []
        for m in self.moments:
            views = tuple(
                View(c.name, blank, c.intrinsics, c.world_from_camera, lens=c.lens) for c in self.seen(m)
            )
            truth = (
                {k: torch.from_numpy(xyz).float() for k, xyz in self.points[m].items()} if self.exact else {}
            )
            times = self.times.get(m, {})
            time = sum(times.values()) / len(times) if times else None
            moments.append(Moment(views, time, m, m, self.clicks.get(m, {}), truth, times))
        place = self.moments.index
        still = tuple((place(first), place(last)) for first, last in self.still)
        return Recording(name, "rig", tuple(moments), still=still)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        for m, cameras in self.cameras.items():
            write_calibration(folder / (f"calibration/{m}.toml" if m else "calibration.toml"), cameras)
        for m in self.moments:
            for c in self.seen(m):
                write_blank(folder / c.name / f"{m}.png", c.size)
        rows = [
            (m, c, k, *uv) for m, of in self.clicks.items() for c, ks in of.items() for k, uv in ks.items()
        ]
        write_table(folder / "labels.csv", LABELS, rows)
        if self.exact:
            rows = [(m, k, *xyz) for m, points in self.points.items() for k, xyz in points.items()]
            write_table(folder / "points.csv", POINTS, rows)
        if self.times:
            rows = [(m, c, t) for m, times in self.times.items() for c, t in times.items()]
            write_table(folder / "times.csv", TIMES, rows)
        if self.still:
            write_table(folder / "still.csv", STILL, self.still)
        return folder

    def clicked(
        self, change: Callable[[str, str, str, tuple[float, float]], tuple[float, float] | None]
    ) -> Rig:
        """With every click (moment, camera, keypoint, uv) changed, or removed where that gives None."""
        out: Clicks = {}
        for m, of in self.clicks.items():
            for c, ks in of.items():
                for k, uv in ks.items():
                    if (changed := change(m, c, k, uv)) is not None:
                        out.setdefault(m, {}).setdefault(c, {})[k] = changed
        return replace(self, clicks=out)

    def posed(self, change: Callable[[np.ndarray], np.ndarray], only: Sequence[str] = ()) -> Rig:
        """With `world_from_camera` changed (of these cameras)."""

        def changed(camera: Camera) -> Camera:
            if only and camera.name not in only:
                return camera
            pose = torch.from_numpy(change(camera.world_from_camera.double().numpy())).float()
            return replace(camera, world_from_camera=pose)

        cameras = {m: {n: changed(c) for n, c in of.items()} for m, of in self.cameras.items()}
        return replace(self, cameras=cameras)

    def named(self, names: dict[str, str]) -> Rig:
        """With the calibrations of cameras exchanged: camera `name` gets that of `names[name]`."""
        cameras = {m: {n: replace(of[names.get(n, n)], name=n) for n in of} for m, of in self.cameras.items()}
        return replace(self, cameras=cameras)


def write_blank(path: Path, size: tuple[int, int] = (64, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))
    return path


def look_at(place: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """`world_from_camera`."""
    z = (target - place) / np.linalg.norm(target - place)
    x = np.cross(z, (0.0, 0.0, 1.0))
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    pose = np.eye(4)
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    pose[:3, :3], pose[:3, 3] = np.stack((x, y, z), 1) @ turn, place
    return pose


def see(camera: Camera, xyz: np.ndarray) -> np.ndarray:
    """Pixels of the recorded image."""
    pose, k = camera.world_from_camera.double().numpy(), camera.intrinsics.double().numpy()
    x, y, z = k @ (pose[:3, :3].T @ (xyz - pose[:3, 3]))
    assert z > 0
    uv = torch.tensor([[x / z, y / z]])
    return (uv if camera.lens is None else distort_points(uv, camera.intrinsics, camera.lens))[0].numpy()


def make_cameras(rng: np.random.Generator, number: int = 4, size=(64, 64), lens: Lens | None = None):
    """Round the origin, at about a metre, some above others."""
    cameras = {}
    for i, name in enumerate(NAMES[:number]):
        angle = 2 * np.pi * (i / number + rng.uniform(-0.06, 0.06))
        away = rng.uniform(0.9, 1.4)
        place = away * np.array([np.cos(angle), np.sin(angle), rng.uniform(0.3, 0.9)])
        pose = look_at(place, rng.uniform(-0.03, 0.03, 3), rng.uniform(-0.2, 0.2))
        focal = size[1] * rng.uniform(1.4, 1.8)
        k = torch.tensor([[focal, 0, size[1] / 2 - 0.7], [0, focal, size[0] / 2 + 0.9], [0, 0, 1]])
        cameras[name] = Camera(name, size, k.float(), torch.from_numpy(pose).float(), lens)
    return cameras


def make_rig(
    seed: int = 0, number: int = 4, moments: int = 8, keypoints: int = 4, noise: float = 1.0,
    size: tuple[int, int] = (64, 64), lens: Lens | None = None,
) -> Rig:  # fmt: skip
    """Sound, with Gaussian noise (pixels) on every click."""
    rng = np.random.default_rng(seed)
    cameras = make_cameras(rng, number, size, lens)
    names = tuple(f"{m:06d}" for m in range(moments))
    points = {m: {k: rng.uniform(-0.15, 0.15, 3) for k in KEYPOINTS[:keypoints]} for m in names}
    clicks = click(cameras, points, rng, noise)
    return Rig({"": cameras}, names, points, clicks)


def click(cameras, points, rng: np.random.Generator, noise: float = 0.0) -> Clicks:
    """Where cameras see points, with noise, if that is inside the image."""
    out: Clicks = {}
    for m, of in points.items():
        for name, camera in cameras.items():
            for k, xyz in of.items():
                u, v = map(float, see(camera, xyz) + rng.normal(0, noise, 2))
                if 0 <= u <= camera.size[1] - 1 and 0 <= v <= camera.size[0] - 1:
                    out.setdefault(m, {}).setdefault(name, {})[k] = (u, v)
    return out
