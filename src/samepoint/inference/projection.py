"""Descriptors as colours, the same colours in every image: one projection for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.geometry.pixels import pixel_grid
from samepoint.types import DescriptorMap

SPREAD = 2.5
MAX_CELLS = 20000


@dataclass(frozen=True)
class ColourProjection:
    """The first three principal components of descriptors, as opponent colours: the first is light against
    dark, the second blue against yellow, the third (the weakest) red against green, so that little is lost
    to the colour-blind or in grey. Equal descriptors have equal colours in every image.
    """

    mean: Float[Tensor, " d"]
    components: Float[Tensor, "d 3"]

    @staticmethod
    def fit(maps: Sequence[DescriptorMap]) -> ColourProjection:
        """The projection for all these maps together. Each component is scaled to 2.5 standard deviations."""
        cells = torch.cat(
            [m.values.detach().float().cpu().flatten(2).transpose(1, 2).flatten(0, 1) for m in maps]
        )
        cells = cells[:: max(1, len(cells) // MAX_CELLS)].double()
        mean = cells.mean(dim=0)
        centred = cells - mean
        variance, axes = torch.linalg.eigh(centred.T @ centred / max(1, len(cells)))
        variance, axes = variance.flip(0)[:3], axes.flip(1)[:, :3]
        largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
        axes = axes * torch.where(largest < 0, -1.0, 1.0)
        scaled = axes / (SPREAD * variance.clamp_min(1e-12).sqrt())
        scaled = torch.where(variance > 1e-10 * variance.amax().clamp_min(1e-12), scaled, 0.0)
        return ColourProjection(mean.float(), F.pad(scaled, (0, 3 - scaled.shape[1])).float())

    def colours(self, map: DescriptorMap) -> Float[Tensor, "b h w 3"]:
        """RGB in [0, 1] at every pixel of the map's image, from its interpolated descriptors."""
        height, width = map.image_size
        grid = pixel_grid(map.image_size, device=map.values.device).reshape(1, -1, 2)
        uv = grid.expand(len(map.values), -1, -1)
        descriptors = sample_descriptors(map, uv).float() - self.mean.to(uv)
        light, yellow, red = (descriptors @ self.components.to(uv)).clamp(-1, 1).unbind(-1)
        luma = 0.5 + 0.3 * light
        rgb = torch.stack(
            (luma + 0.2 * yellow + 0.2 * red, luma + 0.15 * yellow - 0.12 * red, luma - 0.35 * yellow), dim=-1
        )
        return rgb.clamp(0, 1).reshape(-1, height, width, 3)
