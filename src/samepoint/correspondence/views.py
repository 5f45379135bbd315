"""What several calibrated views say together: heatmaps to rays, rays to a point, the point to where each should look.

S3K (seed 003), sections 3.1 and 3.2. The text's formula of the weight is lost; what it says of it is kept: see
`confidence_weight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.correspondence.soft import soft_match_logits
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import in_frame
from samepoint.geometry.triangulation import triangulate_pixels
from samepoint.types import Heatmaps, Size

Weighting = Literal["rational", "exponential", "none"]
WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)


def confidence_weight(
    variance: Float[Tensor, "*b 2"], sigma: float, form: Weighting = "rational"
) -> Float[Tensor, "*b"]:
    """How much a view's ray counts, in [0, 1], from its heatmap's variance in u and v (pixels squared).

    It falls as the heatmap grows wider than the target of width `sigma` (section 3.2). With v the mean of both
    variances over sigma^2, "rational" is 1 / (1 + v^2): .8 at half the target's variance, .5 at the target's own.
    "exponential" is exp(-max(0, v - 1)): 1 up to the target's, as the paper says. Both forms are ours.
    """
    v = variance.mean(-1) / sigma**2
    if form == "rational":
        return 1 / (1 + v.square())
    if form == "exponential":
        return torch.exp(-(v - 1).clamp(min=0))
    return torch.ones_like(v)


@dataclass(frozen=True)
class Agreed:
    """Points on which views agree: `xyz` (world, metres, NaN where fewer than two views see it or their rays are
    parallel), and of each view its own pixel `uv`, `variance` (pixels squared) and `weight`, 0 where it has no
    say."""

    xyz: Float[Tensor, "m n 3"]
    uv: Float[Tensor, "m c n 2"]
    variance: Float[Tensor, "m c n 2"]
    weight: Float[Tensor, "m c n"]


def agree(
    heatmaps: Heatmaps,
    intrinsics: Float[Tensor, "m c 3 3"],
    world_from_camera: Float[Tensor, "m c 4 4"],
    takes_part: Bool[Tensor, "m c n"],
    sigma: float,
    weighting: Weighting = "rational",
) -> Agreed:
    """The point of each keypoint and moment that is nearest to the views' rays (seed 003, eq. 2).

    `heatmaps` are of m x c images, the views of a moment one after another. Rays go through the heatmaps' means.
    """
    moments, cameras = intrinsics.shape[:2]
    found = soft_match_logits(heatmaps.logits, heatmaps.cells)
    uv, variance = (value.unflatten(0, (moments, cameras)) for value in (found.mean, found.variance))
    weight = torch.where(takes_part, confidence_weight(variance, sigma, weighting), 0.0)
    xyz = triangulate_pixels(uv, intrinsics.to(uv), world_from_camera.to(uv), weight)
    return Agreed(xyz, uv, variance, weight)


def look(
    xyz: Float[Tensor, "m n 3"],
    intrinsics: Float[Tensor, "m c 3 3"],
    world_from_camera: Float[Tensor, "m c 4 4"],
    size: Size | Int[Tensor, "m c 2"],
) -> tuple[Float[Tensor, "m c n 2"], Bool[Tensor, "m c n"]]:
    """Where points lie in every view (pixels), and whether they are in front of it and inside its image.

    `size`: (height, width) of all images, or of each its own.
    """
    seen = transform(invert(world_from_camera), xyz[:, None])
    uv, depth = project(intrinsics, seen)
    if not isinstance(size, tuple):
        size = size[..., None, :]
    return uv, (depth > 0) & in_frame(uv, size)
