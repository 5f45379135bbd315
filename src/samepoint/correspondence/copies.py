"""Where an image shows the symmetric copies of points on an object."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.outcomes import OcclusionTest, surface_agrees
from samepoint.geometry.cameras import focal_length, project
from samepoint.geometry.motions import compose, transform
from samepoint.geometry.pixels import in_frame, nearest_pixel


def visible_copies(
    points: Float[Tensor, "n 3"],
    motions: Float[Tensor, "s 4 4"],
    camera_from_object: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, "3 3"],
    depth: Float[Tensor, "h w"],
    mask: Bool[Tensor, "h w"] | None,
    test: OcclusionTest,
) -> tuple[Float[Tensor, "n s 2"], Float[Tensor, "n s"], Bool[Tensor, "n s"]]:
    """Pixels and depths (metres) of every point (object frame, metres) after every motion, and which are visible.

    Visible as `correspond_by_object` has it: in the frame and on the surface that `depth` shows; and on `mask`, the
    object's own pixels, where there is one. Points that are NaN have no visible copies.
    """
    xyz = transform(compose(camera_from_object, motions), points)
    uv, z = project(intrinsics, xyz)
    focal = focal_length(intrinsics).to(z.dtype)
    size = (depth.shape[0], depth.shape[1])
    agrees, _ = surface_agrees(
        uv, z, depth.to(z.dtype).expand(len(motions), *size), focal.expand(len(motions)), test
    )
    visible = agrees & (z > 0) & in_frame(uv, size)
    if mask is not None:
        visible &= mask[nearest_pixel(uv, size)]
    return uv.transpose(0, 1), z.T, visible.T
