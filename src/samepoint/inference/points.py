"""3-D keypoints with their covariance from the heatmaps of two or more calibrated views: the tensor floor.

Seed 003, section 3.2: rays through the heatmaps, weighted by how sure each is, and the point nearest to them. The
covariance is ours: the text gives none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.soft import soft_match_logits
from samepoint.correspondence.views import Weighting, confidence_weight, look
from samepoint.geometry.cameras import focal_length, rays
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import cell_centres
from samepoint.geometry.triangulation import triangulate_pixels
from samepoint.types import Heatmaps

ViewReadout = Literal["mean", "mode"]
READOUTS: tuple[ViewReadout, ...] = get_args(ViewReadout)
SURE = 0.25
"""Pixels: no view is taken to be surer of its ray than this."""
OUTLIER = 3.0
"""Reprojection errors are counted less from about so many target widths on."""


@dataclass(frozen=True)
class PointSettings:
    """`sigma`: width of the heatmaps' targets, pixels. `readout`: where a view's ray goes, through its heatmap's mean
    (the text's) or round its mode (the mean within 3 sigma of it). `weighting`: how a view's say falls as its heatmap
    widens. `refine`: so many times the rays are weighted anew by how far they pass from the point, so that one view
    that looks at the wrong place does not draw it there; 0 is the text's."""

    sigma: float
    readout: ViewReadout = "mode"
    weighting: Weighting = "rational"
    refine: int = 5


@dataclass(frozen=True)
class Points:
    """`xyz` world, metres, NaN where fewer than two views have a say or their rays are parallel; `covariance` of it,
    square metres. Of each view: `uv` where its heatmap looks, `variance` of the heatmap about its mean (pixels
    squared), `weight` its say in [0, 1], `projected` where the point lies in it (pixels; NaN behind it)."""

    xyz: Float[Tensor, "m n 3"]
    covariance: Float[Tensor, "m n 3 3"]
    uv: Float[Tensor, "m c n 2"]
    variance: Float[Tensor, "m c n 2"]
    weight: Float[Tensor, "m c n"]
    projected: Float[Tensor, "m c n 2"]


def locate_points(
    heatmaps: Heatmaps,
    intrinsics: Float[Tensor, "m c 3 3"],
    world_from_camera: Float[Tensor, "m c 4 4"],
    takes_part: Bool[Tensor, "m c n"],
    settings: PointSettings,
) -> Points:
    """The keypoints of m moments from c views each (`heatmaps` of m x c images, the views of a moment one after
    another). A view that is missing takes no part. No gradient."""
    with torch.no_grad():
        shape = intrinsics.shape[:2]
        found = soft_match_logits(heatmaps.logits, heatmaps.cells)
        mean, variance = (value.unflatten(0, shape) for value in (found.mean, found.variance))
        uv = mean if settings.readout == "mean" else round_mode(heatmaps, settings.sigma).unflatten(0, shape)
        k, pose = intrinsics.to(uv), world_from_camera.to(uv)
        sure = confidence_weight(variance, settings.sigma, settings.weighting)
        weight = own = torch.where(takes_part, sure, 0.0)
        xyz = triangulate_pixels(uv, k, pose, weight)
        for _ in range(settings.refine):
            projected, _ = look(xyz, k, pose, heatmaps.image_size)
            miss = (projected - uv).square().sum(-1) / (OUTLIER * settings.sigma) ** 2
            weight = own / (1 + torch.nan_to_num(miss, nan=0.0)).square()
            xyz = triangulate_pixels(uv, k, pose, weight)
        projected, _ = look(xyz, k, pose, heatmaps.image_size)
        behind = transform(invert(pose), xyz[:, None])[..., 2] <= 0
        return Points(
            xyz,
            covariance(xyz, uv, variance, weight, k, pose, settings.sigma),
            uv,
            variance,
            weight,
            projected.masked_fill(behind[..., None], torch.nan),
        )


def round_mode(heatmaps: Heatmaps, sigma: float) -> Float[Tensor, "b n 2"]:
    """The mean of each heatmap within 3 sigma of its most probable cell, pixels."""
    logits, cells = heatmaps.logits, heatmaps.cells
    size = (logits.shape[2], logits.shape[3])
    grid = cell_centres(cells, size, logits.device, logits.dtype).flatten(0, 1)
    flat = logits.flatten(2)
    best = grid[flat.argmax(-1)]
    near = (grid - best[:, :, None]).square().sum(-1) <= (3 * sigma) ** 2
    return flat.masked_fill(~near, -torch.inf).softmax(-1) @ grid


def covariance(
    xyz: Float[Tensor, "m n 3"],
    uv: Float[Tensor, "m c n 2"],
    variance: Float[Tensor, "m c n 2"],
    weight: Float[Tensor, "m c n"],
    intrinsics: Float[Tensor, "m c 3 3"],
    world_from_camera: Float[Tensor, "m c 4 4"],
    sigma: float,
) -> Float[Tensor, "m n 3 3"]:
    """The inverse of the rays' information. A heatmap is its belief widened by the target's `sigma`, so that sigma^2 is
    taken off its variance; a view of weight w counts w times. NaN where the point is."""
    rotation, centre = world_from_camera[..., :3, :3], world_from_camera[..., None, :3, 3]
    direction = torch.nn.functional.normalize(rays(intrinsics, uv) @ rotation.transpose(-1, -2), dim=-1)
    distance = (xyz[:, None] - centre).norm(dim=-1)
    pixels = (variance.mean(-1) - sigma**2).clamp(min=SURE**2)
    across = pixels * (distance / focal_length(intrinsics)[..., None]).square()
    eye = torch.eye(3, dtype=xyz.dtype, device=xyz.device)
    planes = eye - direction[..., :, None] * direction[..., None, :]
    information = (torch.nan_to_num(weight / across)[..., None, None] * planes).sum(1)
    known = xyz.isfinite().all(-1)[..., None, None]
    return torch.linalg.inv(torch.where(known, information, eye)).where(known, torch.nan)
