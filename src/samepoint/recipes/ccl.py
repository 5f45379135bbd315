"""Cycle correspondence (seed 001): from an unordered heap of images, by way of any other image and back.

First a stage of identical view, because the cycle carries no signal until descriptors already match across
images; then the cycle with a little identical view. WarpC and PWarpC, which close the same cycle otherwise, are
losses by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.data.augmentation import Augmentation, two_views
from samepoint.data.sampling import ImageSource
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.objectives import (
    CycleWeights,
    cycle_correspondence,
    probabilistic_warp_composition,
    warp_composition,
)
from samepoint.recipes.pairs import DistributionalLoss, both_ways, describe_pair, distributional, turned_for
from samepoint.recipes.probe import FORM, DescriptorProbe
from samepoint.training.plan import Part, Probe, Stage
from samepoint.training.start import Start
from samepoint.types import DescriptorMap, ImageBatch, PairBatch

CycleLoss = Literal["cycle", "warpc", "pwarpc"]


@dataclass(frozen=True)
class Ccl:
    """The Cycle-Correspondence Loss.

    `identical_weight` is lambda of L = L_cycle + lambda L_identical (0: the cycle alone). `first_stage` is the
    share of the budget that goes to identical view alone; none where training starts from another run
    (`--init RUN`). `weights`: which points count; `--weights.quantile 1 --weights.no-by-variance` is the bare
    cycle. `identical_loss` and `sigma` are the identical view's. Points are drawn where the image changes
    (`textured`) or evenly, and kept to masks with `on_objects` where there are any. `together`: a batch is of
    one recording, in which more matches than across recordings.
    """

    name: ClassVar[str] = "ccl"
    verdict: ClassVar[str] = FORM

    loss: CycleLoss = "cycle"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(rotation=None))
    weights: CycleWeights = field(default_factory=CycleWeights)
    identical_weight: float = 0.1
    identical_loss: DistributionalLoss = "kl"
    first_stage: float = 0.5
    images: int = 4
    points: int = 256
    on_objects: bool = False
    together: bool = True
    textured: bool = True
    temperature: float = 0.05
    sigma: float = 4.0

    def starting_from(self, start: Start) -> Ccl:
        """The same with the turns that the start asks for, where none are given."""
        return replace(self, augmentation=turned_for(self.augmentation, start))

    def with_batch(self, size: int) -> Ccl:
        """The same with `size` images a step."""
        return replace(self, images=size)

    def build(self, store: FrameStore, init: str | Path, generator: torch.Generator) -> DescriptorNetwork:
        return DescriptorNetwork(self.network, init, generator)

    def stages(self, store: FrameStore, *, from_run: bool = False) -> tuple[Stage, ...]:
        if min(self.images, len(store)) < 2:
            raise DataError(
                f"a cycle goes by way of another image, but a batch has {min(self.images, len(store))}",
                where=store.dataset.root,
                mend="give --images 2 or more, and a data set of at least two images",
            )
        source = ImageSource(store, self.images, on_objects=self.on_objects, together=self.together)
        cycle = Stage("cycle", (Part("images", source, self.objective),), 1 - self.first_stage)
        if from_run or self.first_stage == 0:
            return (cycle,)
        return (Stage("identical-view", (Part("images", source, self.identical),), self.first_stage), cycle)

    def identical(
        self, network: nn.Module, batch: ImageBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The first stage: two copies of each image (eq. 10)."""
        views, a, copy = self._describe(network, batch, generator)
        return self._identical(views, a, copy)

    def probe(self, held: FrameStore, trained_on: FrameStore) -> Probe:
        return DescriptorProbe(held, trained_on)

    def objective(
        self, network: nn.Module, batch: ImageBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The cycle in both directions, by way of the batch's next image, and lambda times identical view."""
        views, a, copy = self._describe(network, batch, generator)
        terms = both_ways(a, copy, views, self._round_trip)
        if self.identical_weight > 0:
            identical = self._identical(views, a, copy)["loss"]
            terms["identical"] = identical.detach()
            terms["loss"] = terms["loss"] + self.identical_weight * identical
        return terms

    def _describe(
        self, network: nn.Module, batch: ImageBatch, generator: torch.Generator
    ) -> tuple[PairBatch, DescriptorMap, DescriptorMap]:
        views = two_views(batch, self.augmentation, generator, self.points, textured=self.textured)
        return (views, *describe_pair(network, views))

    def _identical(self, views: PairBatch, a: DescriptorMap, copy: DescriptorMap) -> dict[str, Tensor]:
        return distributional(
            a, copy, views, loss=self.identical_loss, temperature=self.temperature, sigma=self.sigma
        )

    def _round_trip(
        self, source: DescriptorMap, target: DescriptorMap, uv: Tensor, truth: Tensor, valid: Tensor
    ) -> dict[str, Tensor]:
        """From `source` to the next image of the batch and back to `target`, its other copy."""
        queries, other = sample_descriptors(source, uv), next_image(target)
        if self.loss == "warpc":
            return warp_composition(queries, other, target, uv, truth, valid, temperature=self.temperature)
        if self.loss == "pwarpc":
            return probabilistic_warp_composition(
                queries, other, target, truth, valid,
                temperature=self.temperature, quantile=self.weights.quantile,
            )  # fmt: skip
        return cycle_correspondence(
            queries, other, target, truth, valid, temperature=self.temperature, weights=self.weights
        )


def next_image(map: DescriptorMap) -> DescriptorMap:
    """Each image's successor in the batch: any other image of the heap."""
    return DescriptorMap(map.values.roll(-1, 0), map.cells, map.image_size, map.metric)
