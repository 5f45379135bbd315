"""Lens distortion, removed where data come in: everything behind knows pinhole cameras only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from samepoint.errors import DataError
from samepoint.geometry.cameras import rays
from samepoint.types import Size

LensModel = Literal["brown", "fisheye"]
FOLD = 0.5
"""Pixels: so much a lens's formula may miss when a pixel is bent and straightened again."""
LENGTHS = {"brown": (4, 5, 8), "fisheye": (4,)}


@dataclass(frozen=True)
class Lens:
    """How a lens bends rays, by OpenCV's models.

    "brown" (also called plumb bob, or OpenCV; with eight numbers rational): k1 k2 p1 p2 [k3 [k4 k5 k6]]. "fisheye"
    (also called equidistant, or OpenCV fisheye): k1 k2 k3 k4. DataError for another number of coefficients.
    """

    model: LensModel
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.coefficients) not in LENGTHS[self.model] or not np.isfinite(self.coefficients).all():
            wanted = " or ".join(map(str, LENGTHS[self.model]))
            line = f"a {self.model} lens has {wanted} finite coefficients, found {list(self.coefficients)}"
            raise DataError(line, mend="write the calibration again")

    @property
    def straight(self) -> bool:
        """Whether it bends nothing. (A fisheye lens without coefficients still is one.)"""
        return self.model == "brown" and not any(self.coefficients)


@dataclass(frozen=True)
class Straightener:
    """Makes images of a bent camera those of a pinhole camera with the same matrix, many of one size: where each
    pixel comes from (`u`, `v`) is worked out once."""

    u: Float[np.ndarray, "h w"]
    v: Float[np.ndarray, "h w"]

    @staticmethod
    def of(size: Size, intrinsics: Float[Tensor, "3 3"], lens: Lens) -> Straightener:
        k, bent = _numpy(intrinsics), np.array(lens.coefficients)
        make = cv2.fisheye.initUndistortRectifyMap if lens.model == "fisheye" else cv2.initUndistortRectifyMap
        return Straightener(*make(k, bent, np.eye(3), k, (size[1], size[0]), cv2.CV_32FC1))

    def __call__(
        self, image: Shaped[np.ndarray, "h w *c"], mode: Literal["bilinear", "nearest"] = "bilinear"
    ) -> Shaped[np.ndarray, "h w *c"]:
        """The straight image; 0 where the lens saw nothing. Depth and labels need mode "nearest"."""
        flag = cv2.INTER_NEAREST if mode == "nearest" else cv2.INTER_LINEAR
        return cv2.remap(image, self.u, self.v, flag, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))


def undistort_image(
    image: Shaped[np.ndarray, "h w *c"],
    intrinsics: Float[Tensor, "3 3"],
    lens: Lens,
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Shaped[np.ndarray, "h w *c"]:
    """The image of a pinhole camera with the same matrix; see `Straightener`."""
    return Straightener.of((image.shape[0], image.shape[1]), intrinsics, lens)(image, mode)


def undistort_points(
    uv: Float[Tensor, "n 2"], intrinsics: Float[Tensor, "3 3"], lens: Lens
) -> Float[Tensor, "n 2"]:
    """Where pixels of the distorted image lie in the pinhole image. No gradient. See `undistort_image`."""
    if len(uv) == 0:
        return uv.clone()
    k, bent, points = _numpy(intrinsics), np.array(lens.coefficients), _numpy(uv)[:, None]
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
    if lens.model == "fisheye":
        straight = cv2.fisheye.undistortPoints(points, k, bent, None, np.eye(3), k, stop)
    else:
        straight = cv2.undistortPointsIter(points, k, bent, np.eye(3), k, stop)
    return torch.from_numpy(straight[:, 0]).to(uv)


def distort_points(
    uv: Float[Tensor, "n 2"], intrinsics: Float[Tensor, "3 3"], lens: Lens
) -> Float[Tensor, "n 2"]:
    """Where pixels of the pinhole image lie in the distorted image; inverse of `undistort_points`."""
    if len(uv) == 0:
        return uv.clone()
    k, bent, zero = _numpy(intrinsics), np.array(lens.coefficients), np.zeros(3)
    directions = _numpy(rays(intrinsics.double(), uv.double()))
    if lens.model == "fisheye":
        seen, _ = cv2.fisheye.projectPoints(directions[:, None], zero, zero, k, bent)
        return torch.from_numpy(seen[:, 0]).to(uv)
    seen, _ = cv2.projectPoints(directions, zero, zero, k, bent)
    return torch.from_numpy(seen[:, 0]).to(uv)


def bend_points(
    uv: Float[Tensor, "n 2"], intrinsics: Float[Tensor, "3 3"], lens: Lens
) -> Float[Tensor, "n 2"]:
    """`distort_points`; NaN where a pixel is, and where undoing the bend misses it by half a pixel or more: far
    outside the image the formula of a lens folds back."""
    known = uv.isfinite().all(1)
    bent = torch.full_like(uv, torch.nan)
    bent[known] = distort_points(uv[known], intrinsics, lens)
    back = undistort_points(bent[known], intrinsics, lens)
    same = (back - uv[known]).norm(dim=1) < FOLD
    bent[known] = torch.where(same[:, None], bent[known], torch.nan)
    return bent


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64).numpy()
