"""Identical view (seed 001, eq. 10; Graf et al. 2022): two augmented copies of one image, no geometry needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from samepoint.data.augmentation import Augmentation, two_views
from samepoint.data.sampling import ImageSource
from samepoint.data.store import FrameStore
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.recipes.pairs import DistributionalLoss, describe_pair, distributional, turned_for
from samepoint.recipes.probe import FORM, DescriptorProbe
from samepoint.training.plan import Part, Probe, Stage
from samepoint.training.start import Start
from samepoint.types import ImageBatch


@dataclass(frozen=True)
class IdenticalView:
    """Correspondences from the augmentation itself.

    `loss` "expectation" is the paper's (eq. 10 by eq. 5); "kl" also starts well from random weights, where the
    expectation of a flat distribution is the image centre. Points are drawn where the image changes
    (`textured`) or evenly, and kept to masks with `on_objects` where there are any.
    """

    name: ClassVar[str] = "identical-view"
    verdict: ClassVar[str] = FORM

    loss: DistributionalLoss = "kl"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(rotation=None))
    images: int = 4
    points: int = 256
    on_objects: bool = False
    textured: bool = True
    temperature: float = 0.05
    sigma: float = 4.0

    def starting_from(self, start: Start) -> IdenticalView:
        """The same with the turns that the start asks for, where none are given."""
        return replace(self, augmentation=turned_for(self.augmentation, start))

    def with_batch(self, size: int) -> IdenticalView:
        """The same with `size` images a step."""
        return replace(self, images=size)

    def build(self, store: FrameStore, init: str | Path, generator: torch.Generator) -> DescriptorNetwork:
        return DescriptorNetwork(self.network, init, generator)

    def stages(self, store: FrameStore, *, from_run: bool = False) -> tuple[Stage, ...]:
        source = ImageSource(store, self.images, on_objects=self.on_objects)
        return (Stage("identical-view", (Part("images", source, self.objective),)),)

    def probe(self, held: FrameStore, trained_on: FrameStore) -> Probe:
        return DescriptorProbe(held, trained_on)

    def objective(
        self, network: nn.Module, batch: ImageBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        pairs = two_views(batch, self.augmentation, generator, self.points, textured=self.textured)
        a, b = describe_pair(network, pairs)
        return distributional(a, b, pairs, loss=self.loss, temperature=self.temperature, sigma=self.sigma)
