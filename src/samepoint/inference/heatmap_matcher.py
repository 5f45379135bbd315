"""The finder's matcher of a network with named keypoints of its own: a heatmap a name (`samepoint train s3k`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.errors import RunError
from samepoint.geometry.pixels import cells_from_pixels, pixel_grid, resize_pixels, sample
from samepoint.inference.locate import relative_likelihood
from samepoint.inference.matcher import Places
from samepoint.inference.points import peaks
from samepoint.types import Heatmaps, Size


class HeatmapMatcher:
    """Finds each keypoint at the mode of its heatmap, to sub-pixel precision by the mean within 3 sigma of it.

    The confidence is the share of the heatmap's probability that lies there: .99 where the heatmap is as narrow as
    the targets it was trained towards, one half where it sees two equal places, near 0 where it is spread out.
    `sigma`: width of the targets, pixels of the network's images.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Heatmaps],
        names: Sequence[str],
        sigma: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.sigma, self.device = network, sigma, torch.device(device)
        self._names = tuple(names)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def embed(self, image: Float[Tensor, "1 3 h w"]) -> Heatmaps:
        with torch.inference_mode():
            return self.network(image.to(self.device))

    def places(self, embedding: Heatmaps, names: Sequence[str]) -> Places:
        peak = peaks(self._of(embedding, names), self.sigma)
        return Places(peak.uv[0], peak.share[0])

    def heat(self, embedding: Heatmaps, name: str, size: Size) -> Float[Tensor, "h w"]:
        asked = self._of(embedding, [name])
        places = pixel_grid(size, asked.logits.device, asked.logits.dtype).flatten(0, 1)
        cells = cells_from_pixels(resize_pixels(places, size, asked.image_size), asked.cells)
        logits = sample(asked.logits, cells[None])[0, :, 0].unflatten(0, size)
        return relative_likelihood(logits, 1.0) * peaks(asked, self.sigma).share[0, 0]

    def _of(self, embedding: Heatmaps, names: Sequence[str]) -> Heatmaps:
        return replace(embedding, logits=embedding.logits[:, [self._names.index(name) for name in names]])


def target_width(config: Mapping[str, Any], where: object) -> float:
    """The `sigma` that a run's heatmaps were trained with, pixels of its images. RunError if config.json lacks it."""
    recipe = config.get("recipe")
    sigma = recipe.get("sigma") if isinstance(recipe, Mapping) else None
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not sigma > 0:
        mend = "give the --out folder of samepoint train s3k"
        raise RunError("names no width of the heatmaps (recipe, sigma)", where=where, mend=mend)
    return float(sigma)
