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
from samepoint.correspondence.views import WEIGHTINGS, Weighting, confidence_weight, look
from samepoint.errors import DataError, one_of
from samepoint.geometry.cameras import focal_length, rays
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import pixels_from_cells
from samepoint.geometry.triangulation import triangulate_pixels
from samepoint.types import Heatmaps

ViewReadout = Literal["mean", "mode"]
READOUTS: tuple[ViewReadout, ...] = get_args(ViewReadout)
NEAR = 3.0
"""Target widths: what lies so near to a heatmap's mode belongs to its peak."""
SURE = 0.25
"""Pixels: no view is taken to be surer of its ray than this."""
OUTLIER = 3.0
"""Reprojection errors are counted less from about so many target widths on."""


@dataclass(frozen=True)
class PointSettings:
    """`sigma`: width of the heatmaps' targets, pixels. `readout`: where a view's ray goes, through its heatmap's mean
    (the text's) or round its mode (the mean within 3 sigma of it). `weighting`: how a view's say falls as its heatmap
    widens. `refine`: so many times the rays are weighted anew by how far they pass from the point, so that one view
    that looks at the wrong place does not draw it there; 0 is the text's. DataError for what these cannot be."""

    sigma: float
    readout: ViewReadout = "mode"
    weighting: Weighting = "rational"
    refine: int = 5

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise DataError(one_of("readout", self.readout, READOUTS))
        if self.weighting not in WEIGHTINGS:
            raise DataError(one_of("weighting", self.weighting, WEIGHTINGS))
        if not self.sigma > 0 or self.refine < 0:
            line = f"sigma is {self.sigma:g} and refine {self.refine}"
            raise DataError(line, mend="sigma is above 0, refine 0 or more")


@dataclass(frozen=True)
class Points:
    """`xyz` world, metres, NaN where fewer than two views have a say or their rays are parallel; `covariance` of it,
    square metres. Of each view: `uv` where its heatmap looks, `variance` of the heatmap about its mean (pixels
    squared), `weight` its say in [0, 1], `projected` where the point lies in it (pixels; NaN behind it), `agreement`
    in [0, 1]: the share of its heatmap that lies at its peak, less the further the point lies from where it looks; 0
    behind it, where it takes no part and where there is no point."""

    xyz: Float[Tensor, "m n 3"]
    covariance: Float[Tensor, "m n 3 3"]
    uv: Float[Tensor, "m c n 2"]
    variance: Float[Tensor, "m c n 2"]
    weight: Float[Tensor, "m c n"]
    projected: Float[Tensor, "m c n 2"]
    agreement: Float[Tensor, "m c n"]

    @property
    def confidence(self) -> Float[Tensor, "m n"]:
        """The agreement of the second-best view: two views make a point, and it is no surer than the less sure."""
        return self.agreement.sort(1, descending=True).values[:, 1:2].sum(1)


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
        peak = peaks(heatmaps, settings.sigma, found.log_partition)
        uv = mean if settings.readout == "mean" else peak.uv.unflatten(0, shape)
        k, pose = intrinsics.to(uv), world_from_camera.to(uv)
        sure = confidence_weight(variance, settings.sigma, settings.weighting)
        weight = own = torch.where(takes_part, sure, 0.0)
        xyz = triangulate_pixels(uv, k, pose, weight)
        for _ in range(settings.refine):
            projected, _ = look(xyz, k, pose, heatmaps.image_size)
            weight = own * _nearness(projected - uv, settings.sigma)
            xyz = triangulate_pixels(uv, k, pose, weight)
        projected, _ = look(xyz, k, pose, heatmaps.image_size)
        in_front = transform(invert(pose), xyz[:, None])[..., 2] > 0  # false where there is no point
        surely = peak.share.unflatten(0, shape) * _nearness(projected - uv, settings.sigma)
        agreement = torch.where(in_front & takes_part, surely, 0.0)
        projected = projected.masked_fill(~in_front[..., None], torch.nan)
        spread = covariance(xyz, uv, variance, weight, k, pose, settings.sigma)
        return Points(xyz, spread, uv, variance, weight, projected, agreement)


def _nearness(error: Float[Tensor, "*b 2"], sigma: float) -> Float[Tensor, "*b"]:
    """1 without a reprojection error (pixels), 1/4 at `OUTLIER` target widths; 1 where it is unknown."""
    miss = error.square().sum(-1) / (OUTLIER * sigma) ** 2
    return 1 / (1 + torch.nan_to_num(miss, nan=0.0)).square()


@dataclass(frozen=True)
class Peaks:
    """`uv`: the mean of each heatmap within 3 target widths of its most probable cell, pixels; `share` of the
    heatmap's probability that lies there, in [0, 1]."""

    uv: Float[Tensor, "b n 2"]
    share: Float[Tensor, "b n"]


def peaks(heatmaps: Heatmaps, sigma: float, log_partition: Float[Tensor, "b n"] | None = None) -> Peaks:
    """`sigma`: the targets' width, pixels. `log_partition`, if known: the logarithm of each heatmap's sum of exp."""
    places, logits = _peak(heatmaps, sigma)
    whole = heatmaps.logits.flatten(2).logsumexp(-1) if log_partition is None else log_partition
    uv = (logits.softmax(-1)[..., None] * places).sum(2)
    return Peaks(uv, (logits.logsumexp(-1) - whole).exp().clamp(max=1))


def _peak(heatmaps: Heatmaps, sigma: float) -> tuple[Float[Tensor, "b n k 2"], Float[Tensor, "b n k"]]:
    """Pixels and logits of the k cells that lie within 3 sigma of the most probable one; beyond the map -inf."""
    flat, (height, width) = heatmaps.logits.flatten(2), heatmaps.logits.shape[2:]
    (across, down), reach = heatmaps.cells.stride, NEAR * sigma
    columns, rows = int(reach / across), int(reach / down)
    steps = [
        (column, row)
        for row in range(-rows, rows + 1)
        for column in range(-columns, columns + 1)
        if (column * across) ** 2 + (row * down) ** 2 <= reach**2
    ]
    best = flat.argmax(-1)
    cell = torch.stack((best % width, best // width), dim=-1)[:, :, None] + best.new_tensor(steps)
    column, row = cell.unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    logits = flat.gather(2, row.clamp(0, height - 1) * width + column.clamp(0, width - 1))
    return pixels_from_cells(cell.to(flat.dtype), heatmaps.cells), logits.masked_fill(~inside, -torch.inf)


def covariance(
    xyz: Float[Tensor, "m n 3"],
    uv: Float[Tensor, "m c n 2"],
    variance: Float[Tensor, "m c n 2"],
    weight: Float[Tensor, "m c n"],
    intrinsics: Float[Tensor, "m c 3 3"],
    world_from_camera: Float[Tensor, "m c 4 4"],
    sigma: float,
) -> Float[Tensor, "m n 3 3"]:
    """The inverse of the rays' information. A heatmap is its belief widened by the target's `sigma`, so that sigma^2
    is taken off its variance; a view of weight w counts w times. NaN where the point is."""
    rotation, centre = world_from_camera[..., :3, :3], world_from_camera[..., None, :3, 3]
    direction = torch.nn.functional.normalize(rays(intrinsics, uv) @ rotation.transpose(-1, -2), dim=-1)
    distance = (xyz[:, None] - centre).norm(dim=-1)
    pixels = (variance.mean(-1) - sigma**2).clamp(min=SURE**2)
    across = pixels * (distance / focal_length(intrinsics)[..., None]).square()
    eye = torch.eye(3, dtype=xyz.dtype, device=xyz.device)
    planes = eye - direction[..., :, None] * direction[..., None, :]
    information = (torch.nan_to_num(weight / across)[..., None, None] * planes).sum(1)
    known = xyz.isfinite().all(-1)[..., None, None]
    inverse, _ = torch.linalg.inv_ex(torch.where(known, information, eye))
    return inverse.where(known & inverse.isfinite(), torch.nan)
