"""Views of one object, cut from its images by turning, scaling and shifting, with what that means for the camera.

Seed 000, section 3.1. A turn about the optical axis is a motion of the camera. Scaling and shifting are, where the
object's pose is known, another focal length and principal point (exact); for a single image (`moved_camera`) a
camera of the same focal length that came nearer and went sideways, as far as a picture of one side can show that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.errors import DataError
from samepoint.geometry.alignment import kabsch, residual
from samepoint.geometry.cameras import focal_length, unproject
from samepoint.geometry.pixels import pixels_of, resize_matrix
from samepoint.geometry.warps import warp_images, warp_points
from samepoint.types import Size

POINTS = 512
"""Points of the mask that say how the object moved between two cuts of one image."""


@dataclass(frozen=True)
class Cutting:
    """How views of an object are cut from its images.

    `size` (height, width) of a view; `rotation`: up to so many degrees about the optical axis; `fill`: the object's
    longer side as a share of the view's shorter one (lowest, highest), everywhere inside the view.
    """

    size: Size = (192, 192)
    rotation: float = 45.0
    fill: tuple[float, float] = (0.45, 0.9)

    def __post_init__(self) -> None:
        if not 0 < self.fill[0] <= self.fill[1] <= 1:
            raise DataError(
                f"fill cannot be {self.fill}", mend="give two shares between 0 and 1, lowest first"
            )
        if min(self.size) < 32:
            raise DataError(
                f"views of {self.size} pixels are too small", mend="give 32 or more, such as 192 192"
            )


@dataclass(frozen=True)
class Cut:
    """A similarity: `view_from_image` 3x3 on pixels, its turn (radians) and its scale."""

    view_from_image: Float[Tensor, "3 3"]
    angle: float
    scale: float

    def image(self, image: Float[Tensor, "3 h w"], size: Size) -> Float[Tensor, "3 h2 w2"]:
        return self._warped(image, size, "border")

    def mask(self, mask: Bool[Tensor, "h w"], size: Size) -> Bool[Tensor, "h2 w2"]:
        """Never empty if the mask is not: of a thin one the best pixels."""
        share = self._warped(mask[None].float(), size, "zeros")[0]
        return share > min(0.5, 0.99 * float(share.max()))

    def _warped(self, image: Tensor, size: Size, padding: Literal["zeros", "border"]) -> Tensor:
        """Shrunk with anti-aliasing first, where the view is smaller by more than two."""
        view_from_image, whole = self.view_from_image, (image.shape[1], image.shape[2])
        if self.scale < 0.5:
            shrunk = (max(1, round(whole[0] * 2 * self.scale)), max(1, round(whole[1] * 2 * self.scale)))
            image = F.interpolate(image[None], size=shrunk, mode="bilinear", antialias=True)[0]
            view_from_image = view_from_image @ torch.tensor(resize_matrix(shrunk, whole))
        return warp_images(image[None], view_from_image[None], size, padding=padding)[0]

    @property
    def turned(self) -> Float[Tensor, "4 4"]:
        """The camera's turn: new camera frame from old one."""
        motion = torch.eye(4)
        c, s = math.cos(self.angle), math.sin(self.angle)
        motion[:2, :2] = torch.tensor([[c, -s], [s, c]])
        return motion

    def intrinsics(self, intrinsics: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
        """Of the turned camera that takes this view, exactly: scale and shift are its lens's."""
        return self.view_from_image @ intrinsics @ self.turned[:3, :3].T


def draw_cut(mask: Bool[Tensor, "h w"], cutting: Cutting, generator: torch.Generator) -> Cut:
    """A random cut that shows all of the mask. DataError for an empty one."""
    uv = pixels_of(mask)
    if len(uv) == 0:
        raise DataError("the mask is empty", mend="draw the object's mask again")
    angle = math.radians(cutting.rotation) * _uniform(-1.0, 1.0, generator)
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, -s], [s, c]])
    turned = uv @ turn.T
    low, high = turned.amin(0) - 0.5, turned.amax(0) + 0.5
    fill = math.exp(_uniform(math.log(cutting.fill[0]), math.log(cutting.fill[1]), generator))
    scale = fill * min(cutting.size) / float((high - low).max())
    room = torch.tensor((cutting.size[1], cutting.size[0])) - scale * (high - low)
    corner = room * torch.rand(2, generator=generator) - 0.5
    matrix = torch.eye(3)
    matrix[:2, :2], matrix[:2, 2] = scale * turn, corner - scale * low
    return Cut(matrix, angle, scale)


@dataclass(frozen=True)
class FlatImage:
    """One image of an object as a relief: `uv` (n 2) points of its mask, their `depth` (metres, all known), and the
    focal length (pixels). Where no camera measured the depth it is one number: a plane that faces the camera."""

    uv: Float[Tensor, "n 2"]
    depth: Float[Tensor, " n"]
    focal: float

    def seen_by(self, cut: Cut, size: Size) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "3 3"]]:
        """The points in the frame of the camera that a view pretends to be of, and its matrix.

        The camera keeps its focal length and looks through the middle of the view. Scaling by s is taken for a step
        that brings the middle of the object s times nearer; its relief stays as deep as it is.
        """
        middle = self.depth.median()
        camera = torch.tensor(
            [[self.focal, 0.0, (size[1] - 1) / 2], [0.0, self.focal, (size[0] - 1) / 2], [0.0, 0.0, 1.0]]
        )
        depth = middle / cut.scale + (self.depth - middle)
        return unproject(camera, warp_points(cut.view_from_image, self.uv), depth), camera


def moved_camera(
    source: FlatImage, a: Cut, b: Cut, size: Size
) -> tuple[Float[Tensor, "4 4"], Float[Tensor, ""], Float[Tensor, "3 3"]]:
    """The rigid motion (b_from_a) that two cuts of one image come nearest to, what it leaves (metres, rms), and the
    matrix of both cameras. By Kabsch on the lifted points (seed 000, section 3.1).

    A turn is such a motion exactly, and so is everything on a plane that faces the camera; the relief of an object
    would also be seen from another side, which a cut cannot show, and that is what is left.
    """
    xyz_a, camera = source.seen_by(a, size)
    xyz_b, _ = source.seen_by(b, size)
    b_from_a = kabsch(xyz_a.double(), xyz_b.double())
    left = residual(b_from_a, xyz_a.double(), xyz_b.double()).square().mean().sqrt()
    return b_from_a.float(), left.float(), camera


def flat_image(
    mask: Bool[Tensor, "h w"],
    depth: Float[Tensor, "h w"] | None,
    intrinsics: Float[Tensor, "3 3"] | None,
    *,
    distance: float,
    field_of_view: float,
) -> FlatImage:
    """What is known of an image, and what is taken for granted where nothing is: the object is a plane `distance`
    metres away, the vertical field of view is `field_of_view` degrees."""
    height = mask.shape[0]
    focal = 0.5 * height / math.tan(math.radians(field_of_view) / 2)
    if intrinsics is not None:
        focal = float(focal_length(intrinsics))
    uv = pixels_of(mask if depth is None else mask & (depth > 0))
    if len(uv) == 0:  # a mask without any depth
        uv, depth = pixels_of(mask), None
    uv = uv[torch.linspace(0, len(uv) - 1, min(POINTS, len(uv))).long()]
    if depth is None:
        return FlatImage(uv, torch.full((len(uv),), distance), focal)
    return FlatImage(uv, depth[uv[:, 1].long(), uv[:, 0].long()], focal)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))
