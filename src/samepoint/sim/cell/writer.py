"""The files of a recording of several calibrated cameras (docs/multi-camera.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from samepoint.data.rig.anipose import write_calibration
from samepoint.data.rig.camera import Camera
from samepoint.sim.cell.actors import Points

LABELS, POINTS = "moment,camera,keypoint,u,v", "moment,keypoint,x,y,z"


def moment_name(moment: int) -> str:
    return f"{moment:06d}"


def make_cameras(
    poses: Float[np.ndarray, "c 4 4"], k_matrix: Float[np.ndarray, "3 3"], size: tuple[int, int]
) -> dict[str, Camera]:
    """Cameras cam0, cam1, ... by name."""
    k = torch.from_numpy(k_matrix.astype(np.float32))
    return {
        f"cam{c}": Camera(f"cam{c}", size, k, torch.from_numpy(pose.astype(np.float32)))
        for c, pose in enumerate(poses)
    }


def write_cameras(folder: Path, cameras: Mapping[str, Camera], moment: int | None = None) -> None:
    """The calibration of a recording, or of one of its moments."""
    name = "calibration.toml" if moment is None else f"calibration/{moment_name(moment)}.toml"
    write_calibration(folder / name, cameras)


def write_image(folder: Path, camera: str, moment: int, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """An RGB image."""
    path = folder / camera / f"{moment_name(moment)}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())


def label_rows(moment: int, cameras: Mapping[str, Camera], points: Points) -> list[str]:
    """The pixels of the points in every image they fall into, hidden or not."""
    rows = []
    for camera in cameras.values():
        pose, k = camera.world_from_camera.double().numpy(), camera.intrinsics.double().numpy()
        for name, point in points.items():
            x, y, z = k @ (pose[:3, :3].T @ (point - pose[:3, 3]))
            u, v = x / z, y / z
            if z > 0 and -0.5 <= u < camera.size[1] - 0.5 and -0.5 <= v < camera.size[0] - 0.5:
                rows.append(f"{moment_name(moment)},{camera.name},{name},{u:.4f},{v:.4f}")
    return rows


def point_rows(moment: int, points: Points) -> list[str]:
    return [f"{moment_name(moment)},{name},{x:.7f},{y:.7f},{z:.7f}" for name, (x, y, z) in points.items()]


def write_rows(path: Path, header: str, rows: Iterable[str]) -> None:
    """A CSV file."""
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
