"""Where a pixel of image A is in image B: by depth and poses, by an object's poses, or by a warp.

Nothing is rounded: positions in B are sub-pixel. What became of each pixel is an `Outcome`; occlusion is
judged on both sides of the surface that B sees, with a margin that follows depth and slope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.correspondence.depth import depth_at, depth_corners, depth_window, known
from samepoint.errors import DataError
from samepoint.geometry.cameras import focal_length, project, unproject
from samepoint.geometry.motions import compose, invert, transform
from samepoint.geometry.pixels import in_frame
from samepoint.geometry.warps import warp_points
from samepoint.types import Correspondences, Outcome, Size

__all__ = [
    "OcclusionTest",
    "PosedCamera",
    "correspond_by_depth",
    "correspond_by_object",
    "correspond_by_warp",
    "depth_at",
    "surface_agrees",
]


@dataclass(frozen=True)
class PosedCamera:
    """A camera and its pose in a frame that it shares with another one. `size` is its image's."""

    intrinsics: Float[Tensor, "*b 3 3"]
    world_from_camera: Float[Tensor, "*b 4 4"]
    size: Size


@dataclass(frozen=True)
class OcclusionTest:
    """When a predicted depth z agrees with the depth that B measured: |z - d| <= absolute + relative * z.

    d is blended from the four pixels around the position where they lie on one surface: where they differ by
    at most `steepest` * z / focal length (a slope of 5 is 79 degrees). Over an edge d may be any of the four.
    Beside holes it may be any of the 3x3 pixels around, and half the step from pixel to pixel is allowed on
    top. `absolute` is metres.
    """

    absolute: float = 0.003
    relative: float = 0.01
    steepest: float = 5.0


def correspond_by_depth(
    uv_a: Float[Tensor, "*b n 2"],
    depth_a: Float[Tensor, "*b n"],
    a: PosedCamera,
    b: PosedCamera,
    depth_b: Float[Tensor, "*b h w"],
    test: OcclusionTest = OcclusionTest(),
) -> Correspondences:
    """Pixels of a static scene seen by two posed cameras; `depth_a` (metres) is that of the pixels uv_a.

    uv_b and depth_b are differentiable in pixels, depth and poses; NaN where depth_a is unknown or the point
    is behind B. Raises DataError if depth_b has another size than B's image.
    """
    _same_size(depth_b, b.size)
    xyz_a = unproject(a.intrinsics, uv_a, _unknown_to_nan(depth_a))
    xyz_b = transform(compose(invert(b.world_from_camera), a.world_from_camera), xyz_a)
    return _outcomes(uv_a, xyz_b, b.intrinsics, depth_b, test)


def correspond_by_object(
    uv_a: Float[Tensor, "*b n 2"],
    depth_a: Float[Tensor, "*b n"],
    a_intrinsics: Float[Tensor, "*b 3 3"],
    a_from_object: Float[Tensor, "*b 4 4"],
    b_intrinsics: Float[Tensor, "*b 3 3"],
    b_from_object: Float[Tensor, "*b 4 4"],
    depth_b: Float[Tensor, "*b h w"],
    surface_map: Callable[[Float[Tensor, "m 3"]], Float[Tensor, "m 3"]] | None = None,
    test: OcclusionTest = OcclusionTest(),
) -> Correspondences:
    """Pixels on an object whose pose is known in both images, in the same scene or not.

    Without `surface_map` the object in B is the same rigid instance. With it, B shows another instance of
    the family: `surface_map` takes points of A's object frame to B's (`surface.map_points`), NaN where there
    is no counterpart; those come out as NO_DEPTH. The pixels must lie on the object: nothing here tests it.
    """
    xyz_object = transform(invert(a_from_object), unproject(a_intrinsics, uv_a, _unknown_to_nan(depth_a)))
    if surface_map is not None:
        xyz_object = surface_map(xyz_object.flatten(0, -2)).reshape(xyz_object.shape)
    return _outcomes(uv_a, transform(b_from_object, xyz_object), b_intrinsics, depth_b, test)


def correspond_by_warp(
    uv_a: Float[Tensor, "*b n 2"], b_from_a: Float[Tensor, "*b 3 3"], size_b: Size
) -> Correspondences:
    """Pixels of an image and of its warped copy of `size_b`: visible or out of frame; depth_b is NaN."""
    uv_b = warp_points(b_from_a, uv_a)
    outcome = torch.where(in_frame(uv_b, size_b), int(Outcome.VISIBLE), int(Outcome.OUT_OF_FRAME))
    return Correspondences(uv_a, uv_b, outcome, torch.full_like(uv_b[..., 0], torch.nan))


def surface_agrees(
    uv: Float[Tensor, "*b n 2"],
    z: Float[Tensor, "*b n"],
    depth: Float[Tensor, "*b h w"],
    focal: Float[Tensor, "*b"],
    test: OcclusionTest = OcclusionTest(),
) -> tuple[Bool[Tensor, "*b n"], Bool[Tensor, "*b n"]]:
    """Whether points at depth z (metres) lie on the surface that a depth image shows; whether it shows any.

    `focal` is the focal length in pixels. See `OcclusionTest`.
    """
    margin = test.absolute + test.relative * z
    steepest = test.steepest * z / focal[..., None]
    corners, weights = depth_corners(depth, uv)
    whole = ~torch.isnan(corners).any(-1)
    connected = whole & (corners.amax(-1) - corners.amin(-1) <= steepest)
    blended = 1 / (weights / torch.where(whole[..., None], corners, 1.0)).sum(-1)
    to_corner = (corners - z[..., None]).abs().amin(-1)
    gap = torch.where(connected, (blended - z).abs(), to_corner)
    # beside holes: the known pixels around, whose depth may differ by the slope of the surface
    window, _ = depth_window(depth, uv, radius=1)
    grid = window.unflatten(-1, (3, 3))
    slope = torch.maximum(_step(grid[..., 1, :]), _step(grid[..., :, 1]))
    near = torch.nan_to_num((window - z[..., None]).abs(), nan=torch.inf).amin(-1)
    near = near - torch.minimum(slope, steepest) / 2
    return torch.where(whole, gap, near) <= margin, ~torch.isnan(window).all(-1)


def _step(line: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """The smaller of the two differences along three depths, so that one edge does not count; unknown: 0."""
    difference = torch.nan_to_num(line.diff(dim=-1).abs(), nan=torch.inf).amin(-1)
    return torch.where(torch.isinf(difference), torch.zeros_like(difference), difference)


def _outcomes(
    uv_a: Tensor, xyz_b: Tensor, intrinsics_b: Tensor, depth_b: Tensor, test: OcclusionTest
) -> Correspondences:
    uv_b, z = project(intrinsics_b, xyz_b)
    front = z > 0
    uv_b = torch.where(front[..., None], uv_b, torch.nan)
    focal = focal_length(intrinsics_b).to(z.dtype)
    with torch.no_grad():
        outcome = _classify(uv_b, z, depth_b.to(z.dtype), focal.expand(z.shape[:-1]), test)
    return Correspondences(uv_a, uv_b, outcome, torch.where(front, z, torch.nan))


def _classify(
    uv_b: Tensor, z: Tensor, depth_b: Tensor, focal: Tensor, test: OcclusionTest
) -> Int[Tensor, "*b n"]:
    depth_b = depth_b.expand(*z.shape[:-1], *depth_b.shape[-2:])
    agrees, seen = surface_agrees(uv_b, z, depth_b, focal, test)
    outcome = torch.where(agrees, int(Outcome.VISIBLE), int(Outcome.OCCLUDED))
    outcome = torch.where(seen, outcome, int(Outcome.NO_DEPTH))
    inside = in_frame(uv_b, (depth_b.shape[-2], depth_b.shape[-1])) & (z > 0)
    outcome = torch.where(inside, outcome, int(Outcome.OUT_OF_FRAME))
    return torch.where(torch.isnan(z), int(Outcome.NO_DEPTH), outcome)


def _unknown_to_nan(depth: Tensor) -> Tensor:
    return torch.where(known(depth), depth, torch.nan)


def _same_size(depth: Tensor, size: Size) -> None:
    if tuple(depth.shape[-2:]) != tuple(size):
        raise DataError(
            f"the depth image is {tuple(depth.shape[-2:])} (height, width) and the camera's {tuple(size)}",
            mend="resize the depth image and the camera matrix together",
        )
