"""Cameras that see coloured spots, and a network whose answer is known: the brightness of a channel is its heatmap.

Three keypoints, "red", "green" and "blue"; a spot is a Gaussian in its channel of the image as recorded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samepoint.data.rig.camera import Camera
from samepoint.geometry.cameras import project
from samepoint.geometry.lenses import Lens, distort_points
from samepoint.geometry.motions import invert, transform
from samepoint.types import CellMap, Heatmaps

NAMES = ("red", "green", "blue")
SIZE = (192, 256)
SIGMA = 2.0
FAINT = 1e-7
BROWN = Lens("brown", (-0.3, 0.1, 0.004, -0.006, 0.0))
FISHEYE = Lens("fisheye", (0.05, -0.02, 0.01, 0.0))
POINTS = {"red": (0.2, -0.14, 0.1), "green": (-0.18, 0.12, 0.0), "blue": (0.05, 0.2, -0.12)}


def spot_network(image: Tensor) -> Heatmaps:
    """Heatmaps that are the channels' brightness, cells of 2 x 2 pixels."""
    logits = F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False).clamp(min=FAINT).log()
    return Heatmaps(logits, CellMap((2.0, 2.0), (0.5, 0.5)), (image.shape[2], image.shape[3]))


def looking_at_origin(angle: float, height: float = 0.5, distance: float = 0.7) -> Tensor:
    """world_from_camera of a camera that looks at the origin from `angle` round the z axis."""
    eye = np.array([math.cos(angle), math.sin(angle), height])
    eye *= distance / np.linalg.norm(eye)
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(forward, right), forward], 1), eye
    return torch.from_numpy(pose)


def ring(number: int = 4, size: tuple[int, int] = SIZE, lens: Lens | None = None) -> dict[str, Camera]:
    """cam0, cam1, ... round the origin."""
    k = torch.tensor([[170.0, 0, size[1] / 2 - 1.5], [0, 168.0, size[0] / 2 + 0.5], [0, 0, 1]])
    names = [f"cam{c}" for c in range(number)]
    return {
        name: Camera(name, size, k, looking_at_origin(0.3 + 1.3 * c).float(), lens)
        for c, name in enumerate(names)
    }


def recorded(camera: Camera, xyz: tuple[float, float, float]) -> tuple[float, float]:
    """The pixel of the recorded image where a point is."""
    seen = transform(invert(camera.world_from_camera.double()), torch.tensor([xyz], dtype=torch.float64))
    uv, _ = project(camera.intrinsics.double(), seen)
    if camera.lens is not None:
        uv = distort_points(uv, camera.intrinsics.double(), camera.lens)
    u, v = uv[0].tolist()
    return u, v


def picture(
    camera: Camera, points: Mapping[str, tuple[float, float, float]] = POINTS, sigma: float = SIGMA
) -> np.ndarray:
    """uint8 h x w x 3: the spots as the camera records them."""
    rows, columns = np.mgrid[: camera.size[0], : camera.size[1]]
    image = np.zeros((*camera.size, 3))
    for name, xyz in points.items():
        u, v = recorded(camera, xyz)
        square = (columns - u) ** 2 + (rows - v) ** 2
        image[..., NAMES.index(name)] = np.exp(-square / (2 * sigma**2))
    return (255 * image).round().astype(np.uint8)


def pictures(cameras: Mapping[str, Camera], **settings: object) -> dict[str, np.ndarray]:
    """Of all cameras."""
    return {name: picture(camera, **settings) for name, camera in cameras.items()}  # type: ignore[arg-type]
