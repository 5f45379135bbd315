"""What the heatmaps of a keypoint network say: where each keypoint is, how deep, how spread, how much on the object.

Source: KeypointNet (Suwajanakorn et al. 2018); seed 000, section 3.2, eqs. 2 to 5. A keypoint's place is the mean of
the softmax of its heatmap over space, its depth the mean of its depth map under the same softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.soft import soft_match_logits
from samepoint.geometry.cameras import focal_length, unproject
from samepoint.geometry.pixels import cell_centres, cells_from_pixels, pixel_grid, sample
from samepoint.types import CellMap, Size

Resolution = Literal["image", "cells"]
"""Where the expectation is taken: over the heatmap interpolated to the image's size (seed 000, eq. 4), or over the
network's own cells, which needs no map of n x H x W."""


@dataclass(frozen=True)
class KeypointMaps:
    """What a keypoint network returns: a heatmap (logits) and a depth map for each of n keypoints.

    Depth is metres for a camera of `focal` pixels: through twice the focal length an object looks as it does from
    half the distance, so that no network can tell more.
    """

    logits: Float[Tensor, "b n h w"]
    depth: Float[Tensor, "b n h w"]
    cells: CellMap
    image_size: Size
    focal: float


@dataclass(frozen=True)
class KeypointEstimate:
    """Keypoints of images. `uv` pixels; `z` metres along the optical axis of a camera of `focal` pixels; `spread` the
    sum of the variances in u and v (pixels squared); `on_mask` the share of the probability on the mask (None without
    one)."""

    uv: Float[Tensor, "b n 2"]
    z: Float[Tensor, "b n"]
    focal: float
    spread: Float[Tensor, "b n"]
    on_mask: Float[Tensor, "b n"] | None = None

    def xyz(self, intrinsics: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b n 3"]:
        """In the frame of the camera that took the images, metres (seed 000, eq. 5)."""
        return unproject(intrinsics, self.uv, self.z * (focal_length(intrinsics) / self.focal)[:, None])


def estimate_keypoints(
    maps: KeypointMaps, mask: Float[Tensor, "b h w"] | None = None, resolution: Resolution = "image"
) -> KeypointEstimate:
    """The keypoints of the maps. `mask` (1 on the object) has the image's size. Differentiable."""
    if resolution == "image":
        maps = interpolated(maps)
    carried = None
    if mask is not None:
        where = cell_centres(
            maps.cells, (maps.logits.shape[2], maps.logits.shape[3]), mask.device, mask.dtype
        )
        at = where.flatten(0, 1).expand(len(mask), -1, -1)
        carried = sample(mask[:, None], at).transpose(1, 2).unflatten(2, maps.logits.shape[2:])
    found = soft_match_logits(maps.logits, maps.cells, carried, own=maps.depth)
    assert found.payload is not None
    return KeypointEstimate(
        uv=found.mean,
        z=found.payload[..., -1],
        focal=maps.focal,
        spread=found.variance.sum(-1),
        on_mask=None if mask is None else found.payload[..., 0],
    )


def interpolated(maps: KeypointMaps) -> KeypointMaps:
    """The maps at every pixel of the image, bilinear between the centres of the cells (the edge repeated beyond)."""
    size = maps.image_size
    device, dtype = maps.logits.device, torch.promote_types(maps.logits.dtype, torch.float32)
    at = cells_from_pixels(pixel_grid(size, device, dtype), maps.cells).flatten(0, 1)
    at = at.expand(len(maps.logits), -1, -1)
    logits, depth = (
        sample(values, at).transpose(1, 2).unflatten(2, size) for values in (maps.logits, maps.depth)
    )
    return KeypointMaps(logits, depth, CellMap((1.0, 1.0), (0.0, 0.0)), size, maps.focal)
