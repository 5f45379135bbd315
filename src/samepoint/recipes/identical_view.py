"""Identical view (seed 001, eq. 10; Graf et al. 2022): two augmented copies of one image, no geometry needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.data.augmentation import Augmentation, two_views
from samepoint.data.sampling import ImageSource
from samepoint.data.store import FrameStore
from samepoint.models.config import NetworkConfig
from samepoint.objectives import expectation_error, gaussian_divergence
from samepoint.recipes.pairs import both_ways, describe_pair
from samepoint.training.plan import Part, Stage
from samepoint.types import DescriptorMap, ImageBatch


@dataclass(frozen=True)
class IdenticalView:
    """Correspondences from the augmentation itself.

    `loss` "expectation" is the paper's (eq. 10 by eq. 5); "kl" also starts well from random weights, where the
    expectation of a flat distribution is the image centre. `on_objects` draws points on masks where known.
    """

    name: ClassVar[str] = "identical-view"

    loss: Literal["kl", "expectation"] = "kl"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(rotation=180.0))
    images: int = 4
    points: int = 256
    on_objects: bool = False
    temperature: float = 0.05
    sigma: float = 4.0

    def stages(self, store: FrameStore) -> tuple[Stage, ...]:
        source = ImageSource(store, self.images, on_objects=self.on_objects)
        return (Stage("identical-view", (Part("images", source, self.objective),)),)

    def objective(
        self, network: nn.Module, batch: ImageBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        size = (batch.image.shape[-2], batch.image.shape[-1])
        pairs = two_views(batch, self.augmentation, generator, self.points, size)
        a, b = describe_pair(network, pairs)
        return both_ways(a, b, pairs, self._direction)

    def _direction(
        self, source: DescriptorMap, target: DescriptorMap, uv: Tensor, truth: Tensor, valid: Tensor
    ) -> dict[str, Tensor]:
        queries = sample_descriptors(source, uv)
        if self.loss == "expectation":
            return expectation_error(queries, target, truth, valid, temperature=self.temperature)
        return gaussian_divergence(
            queries, target, truth, valid, temperature=self.temperature, sigma=self.sigma
        )
