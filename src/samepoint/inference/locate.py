"""Where a descriptor is in an image, and how sure that is: the batched tensor floor under the finder.

`locate` takes descriptors and descriptor maps of any batch, on any device, and knows nothing of names,
files or original image sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.hard import hard_match
from samepoint.correspondence.scores import cell_scores, scores_at
from samepoint.geometry.pixels import cell_centres, pixels_from_cells
from samepoint.types import DescriptorMap, SpatialDistribution

TOLERANCE = 0.03
"""What counts as "near", as a share of the image diagonal: 24 pixels at 640 x 480."""

WINDOW_RADIUS = 1.5
WINDOW_SAMPLES = 7
WINDOW_STEPS = 3


@dataclass(frozen=True)
class Located:
    """Where each query is.

    `distribution`: `mean` the sub-pixel position and `variance` the spread within a window round the
    exact `mode`. `score` at the mode: the cosine, or minus the squared distance. `mass`: the
    share of the probability softmax(score / temperature) over all cells that lies near the mode
    (`TOLERANCE`).
    """

    distribution: SpatialDistribution
    score: Float[Tensor, "b n"]
    mass: Float[Tensor, "b n"]

    @property
    def uv(self) -> Float[Tensor, "b n 2"]:
        return self.distribution.mean


def locate(queries: Float[Tensor, "b n d"], map: DescriptorMap, temperature: float) -> Located:
    """The best place of every query in its image, to sub-pixel precision. Not differentiable.

    The mode is the exact best pixel of the interpolated descriptors (`hard_match`); the position is the
    expectation in a window round it, because an expectation over the whole image is drawn to the image's
    centre.
    """
    with torch.no_grad():
        best = hard_match(queries, map)
        mean, variance = windowed_expectation(queries, map, best.uv)
        mass = mass_near(queries, map, best.uv, temperature)
    return Located(SpatialDistribution(mean, variance, mode=best.uv), best.score, mass)


def windowed_expectation(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, mode: Float[Tensor, "b n 2"]
) -> tuple[Float[Tensor, "b n 2"], Float[Tensor, "b n 2"]]:
    """Expectation and variance (per axis) of the position in a window of 1.5 pixels to each side of the
    mode.

    The weights are exp(score / t) with t a quarter of the drop from the best score to that at the window's
    border: so they fade to about exp(-4) there, whatever the scale of the scores. The window is then
    centred on the result, three times in all, but never more than a pixel from the mode: a wider one would
    be drawn to the flatter side of a peak. Near the outermost cell centres, beyond which descriptors are
    constant, it shrinks so that it stays symmetrical.
    """
    steps = torch.linspace(-1, 1, WINDOW_SAMPLES, device=mode.device, dtype=mode.dtype)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    offsets = torch.stack((u, v), dim=-1).reshape(-1, 2)
    border = offsets.abs().amax(dim=-1) == 1
    low, high = _outermost_centres(map, mode)
    centre, variance = mode, torch.zeros_like(mode)
    for _ in range(WINDOW_STEPS):
        reach = torch.minimum(centre - low, high - centre).clamp(0, WINDOW_RADIUS)
        places = centre[:, :, None] + offsets * reach[:, :, None]
        scores = scores_at(queries, map, places)
        drop = scores.amax(dim=-1) - scores[..., border].mean(dim=-1)
        weights = torch.softmax(scores / (drop / 4).clamp_min(1e-6)[..., None], dim=-1)[..., None]
        mean = (weights * places).sum(dim=2)
        variance = (weights * (places - mean[:, :, None]).square()).sum(dim=2)
        centre = torch.minimum(torch.maximum(mean, mode - 1), mode + 1)
    return centre, variance


def _outermost_centres(map: DescriptorMap, like: Tensor) -> tuple[Float[Tensor, " 2"], Float[Tensor, " 2"]]:
    """Pixels of the centres of the first and of the last cell."""
    corners = like.new_tensor(((0, 0), (map.values.shape[3] - 1, map.values.shape[2] - 1)))
    low, high = pixels_from_cells(corners, map.cells)
    return low, high


def mass_near(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, uv: Float[Tensor, "b n 2"], temperature: float
) -> Float[Tensor, "b n"]:
    """Share of softmax(score / temperature) over the cells within `TOLERANCE` (at least 1.5 cells) of
    `uv`."""
    logits = cell_scores(queries, map).flatten(2) / temperature
    size = (map.values.shape[2], map.values.shape[3])
    centres = cell_centres(map.cells, size, device=uv.device, dtype=uv.dtype)
    across, down = (
        (uv[..., 0, None] - centres[0, :, 0]).square(),
        (uv[..., 1, None] - centres[:, 0, 1]).square(),
    )
    reach = max(TOLERANCE * math.hypot(*map.image_size), 1.5 * max(map.cells.stride))
    near = (across[:, :, None] + down[..., None] <= reach**2).flatten(2)
    return (torch.softmax(logits, dim=-1) * near).sum(dim=-1).clamp(0, 1)


def relative_likelihood(scores: Float[Tensor, "h w"], temperature: float) -> Float[Tensor, "h w"]:
    """exp((score - best score) / temperature): 1 at the best pixel."""
    return torch.exp((scores - scores.amax()) / temperature)
