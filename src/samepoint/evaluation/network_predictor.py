"""A descriptor network as a predictor: embed both images once, take the best pixel of B for each query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.hard import hard_match
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import score_maps, scores_at
from samepoint.errors import SamepointError
from samepoint.evaluation.caches import LastUsed
from samepoint.evaluation.predictors import Prediction
from samepoint.geometry.pixels import resize_pixels
from samepoint.geometry.precision import doubled
from samepoint.inference.images import image_digest, resized, working_size
from samepoint.inference.settings import KEY, settings_of
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.models.registry import NETWORKS
from samepoint.models.shipped import SMALL, fits_shipped
from samepoint.models.weights import load_network
from samepoint.types import DescriptorMap, Size

START = "start"
"""The row of what a run started from."""
CACHED_MAPS = 64
CHUNK_NUMBERS = 1 << 23
"""How many scores are held at once while right answers are ranked."""

TIE = 1e-5
"""Scores this close are equal (relative, but absolute below 1): beyond the outermost cells all pixels are."""


@dataclass(frozen=True)
class EmbeddedImage:
    """A descriptor map of one image at working size, and the size of the image itself."""

    map: DescriptorMap
    size: Size


class NetworkPredictor:
    """Hard matching of a network's descriptors.

    Images whose long side is above `max_size` are shrunk for the network; queries are read at their sub-pixel
    position in the shrunk image, and the best of all pixels of B *at full resolution* is the answer.
    Confidence is the score: the cosine, or minus the squared distance. `network` is any function from a batch
    of images in [0, 1] to a DescriptorMap; put it into evaluation mode first.
    """

    def __init__(
        self,
        network: Callable[[Tensor], DescriptorMap],
        name: str = "network",
        *,
        max_size: int | None = 320,
        device: torch.device | str = "cpu",
        config: Mapping[str, Any] | None = None,
        cached: int = CACHED_MAPS,
    ) -> None:
        self.network, self.name, self.max_size = network, name, max_size
        self.device = torch.device(device)
        self.config: Mapping[str, Any] = {"kind": "network", "max_size": max_size, **(config or {})}
        self._maps: LastUsed[EmbeddedImage] = LastUsed(cached)

    def predict(
        self, image_a: Float[Tensor, "3 h w"], uv_a: Float[Tensor, "n 2"], image_b: Float[Tensor, "3 h2 w2"]
    ) -> Prediction:
        queries, b = self.queries(image_a, uv_a), self.embed(image_b)
        found = hard_match(queries, b.map, size=b.size)
        return Prediction(found.uv[0].cpu().to(uv_a), found.score[0].cpu().to(uv_a))

    def closer_fractions(
        self,
        image_a: Float[Tensor, "3 h w"],
        uv_a: Float[Tensor, "n 2"],
        image_b: Float[Tensor, "3 h2 w2"],
        uv_b: Float[Tensor, "n 2"],
        mask_b: Bool[Tensor, "h2 w2"] | None = None,
    ) -> Float[Tensor, " n"]:
        """Fraction of the pixels of B with a higher score than the true match (Schmidt et al. 2017).

        Over all pixels, or those of `mask_b`, at the network's working size. NaN where `uv_b` is NaN or the
        mask is empty.
        """
        queries, b = self.queries(image_a, uv_a), self.embed(image_b)
        truth = resize_pixels(uv_b.to(self.device), b.size, b.map.image_size)
        mask = None if mask_b is None else _resized_mask(mask_b.to(self.device), b.map.image_size)
        return closer_fractions(queries, b.map, truth[None], mask)[0].cpu().to(uv_a)

    def queries(self, image: Float[Tensor, "3 h w"], uv: Float[Tensor, "n 2"]) -> Float[Tensor, "1 n d"]:
        """Descriptors of pixels of the full-size image."""
        embedded = self.embed(image)
        working = resize_pixels(uv.to(self.device), embedded.size, embedded.map.image_size)
        with torch.inference_mode():
            return sample_descriptors(embedded.map, working[None])

    def embed(self, image: Float[Tensor, "3 h w"]) -> EmbeddedImage:
        """Runs the network, unless this image is among the last it saw."""
        return self._maps.get(image_digest(image), lambda: self._embed(image))

    def _embed(self, image: Float[Tensor, "3 h w"]) -> EmbeddedImage:
        size = (image.shape[1], image.shape[2])
        small = resized(image, working_size(size, self.max_size))
        with torch.inference_mode():
            return EmbeddedImage(self.network(small[None].to(self.device)), size)


@torch.no_grad()
def closer_fractions(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    uv_true: Float[Tensor, "b n 2"],
    mask: Bool[Tensor, "h w"] | None = None,
) -> Float[Tensor, "b n"]:
    """Fraction of the map's image pixels (of `mask`) that score higher than the true match of each query.

    0 is perfect, 0.5 what random descriptors reach. Score maps are made for a few queries at a time.
    """
    known = uv_true.isfinite().all(-1)
    own = scores_at(queries, map, torch.where(known[..., None], uv_true, 0.0)[:, :, None])
    pixels = map.image_size[0] * map.image_size[1]
    chunk = max(1, CHUNK_NUMBERS // (pixels * len(queries)))
    limit = own + TIE * own.abs().clamp(min=1.0)
    parts = []
    for some, beyond in zip(queries.split(chunk, 1), limit.split(chunk, 1), strict=True):
        closer = score_maps(some, map) > beyond[..., None]
        if mask is not None:
            closer = closer[..., mask]
        parts.append(doubled(closer.flatten(2)).mean(-1))
    fractions = torch.cat(parts, 1) if parts else doubled(own[..., 0])
    return torch.where(known, fractions, torch.nan)


def run_predictor(
    run: str | Path, device: torch.device | str = "cpu", name: str = "trained"
) -> NetworkPredictor:
    """The network of a run folder, at the working size of its finder. RunError if it is not a whole run."""
    network, config = load_network(run, device)
    kept = {key: config[key] for key in ("method", "network", "init") if key in config}
    return NetworkPredictor(
        network.eval(),
        name,
        max_size=run_max_size(config),
        device=device,
        config={"run": Path(run).name, **kept},
    )


def untrained_predictor(
    config: Mapping[str, Any], generator: torch.Generator, device: torch.device | str = "cpu"
) -> NetworkPredictor:
    """The network of a run's config.json with random weights: what the architecture alone is worth."""
    network = (
        DescriptorNetwork(NetworkConfig.from_json(config["network"]), generator=generator).to(device).eval()
    )
    described = {"network": config["network"], "init": "random", "seed": generator.initial_seed()}
    return NetworkPredictor(
        network, "untrained", max_size=run_max_size(config), device=device, config=described
    )


def start_predictor(
    config: Mapping[str, Any], device: torch.device | str = "cpu"
) -> NetworkPredictor | str | None:
    """What a run started from, before its training: samepoint-small or another run; or why it cannot be asked
    ("unavailable: ..."). None
    where that found nothing yet: random weights, those of a backbone alone."""
    init = config.get("init")
    if init in (None, "auto", "random") or Path(init).is_file():
        return None
    network = NetworkConfig.from_json(config["network"])
    if init == "pretrained":
        whole = fits_shipped(network) and network.dim == NETWORKS[SMALL].dim
        return run_predictor(SMALL, device, START) if whole else None
    try:
        return run_predictor(init, device, START)
    except SamepointError as error:
        return f"unavailable: the run it started from cannot be read ({error.what})"


def run_max_size(config: Mapping[str, Any]) -> int | None:
    """The long side at which a run's network sees images: its finder's, or that of its training."""
    if KEY not in config and "max_size" in config:
        return config["max_size"]
    return settings_of(config).max_size


def _resized_mask(mask: Bool[Tensor, "h w"], size: Size) -> Bool[Tensor, "h2 w2"]:
    if tuple(mask.shape) == size:
        return mask
    return resized(mask.float().expand(3, -1, -1), size)[0] >= 0.5
