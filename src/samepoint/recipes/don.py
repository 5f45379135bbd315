"""Dense Object Nets (seed 002, paper 1): descriptors from pairs of views with true correspondences.

Pairs come object by object from within a scene and across scenes; the background is randomised; the loss is
the divergence from a Gaussian round the true pixel, its expectation form, or the pixelwise contrastive loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from samepoint.correspondence.non_matches import Kind, sample_non_matches
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.data.augmentation import Augmentation, augment_pairs
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.models.config import NetworkConfig
from samepoint.objectives import NonMatches, pixelwise_contrastive
from samepoint.recipes.pairs import both_ways, describe_pair, distributional
from samepoint.training.plan import Part, Stage
from samepoint.types import DescriptorMap, PairBatch

Loss = Literal["kl", "expectation", "contrastive", "contrastive-printed"]


@dataclass(frozen=True)
class Contrast:
    """The pixelwise contrastive loss: margins, and how many non-matches of each kind per match."""

    margin: float = 0.5
    on_mask: int = 16
    on_background: int = 16
    exclusion: float = 10.0
    scale_by_hard_negatives: bool = True


@dataclass(frozen=True)
class Don:
    """Dense Object Nets.

    `loss`: "kl" and "expectation" are the distributional losses at `temperature` (and `sigma`, pixels);
    "contrastive" hinges the norm and squares, as the reference code does, "contrastive-printed" hinges the
    squared norm, as the papers print.
    """

    name: ClassVar[str] = "don"

    loss: Loss = "kl"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    sampling: PairSampling = field(default_factory=PairSampling)
    augmentation: Augmentation = field(default_factory=Augmentation)
    contrast: Contrast = field(default_factory=Contrast)
    temperature: float = 0.05
    sigma: float = 4.0

    def stages(self, store: FrameStore) -> tuple[Stage, ...]:
        source = PairSource(store, self.sampling)
        return (Stage("don", (Part("pairs", source, self.objective),)),)

    def objective(
        self, network: nn.Module, batch: PairBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        batch = augment_pairs(batch, self.augmentation, generator)
        a, b = describe_pair(network, batch)
        if self.loss == "kl" or self.loss == "expectation":
            asked = partial(distributional, loss=self.loss, temperature=self.temperature, sigma=self.sigma)
            return both_ways(a, b, batch, asked)
        return self._contrastive(a, b, batch, generator)

    def _contrastive(
        self, a: DescriptorMap, b: DescriptorMap, batch: PairBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        anchors, positives = sample_descriptors(a, batch.uv_a), sample_descriptors(b, batch.uv_b)
        wanted: dict[Kind, int] = {"mask": self.contrast.on_mask, "background": self.contrast.on_background}
        if batch.labels_b is None:
            wanted = {"blind": self.contrast.on_mask + self.contrast.on_background}
        groups = []
        for kind, number in wanted.items():
            uv, valid = self._non_matches(batch, kind, number, generator)
            at = sample_descriptors(b, uv.flatten(1, 2)).unflatten(1, uv.shape[1:3])
            groups.append(NonMatches(at, valid, self.contrast.margin))
        return pixelwise_contrastive(
            anchors,
            positives,
            batch.valid,
            groups,
            form="norm-squared" if self.loss == "contrastive" else "squared-norm",
            scale_by_hard_negatives=self.contrast.scale_by_hard_negatives,
        )

    def _non_matches(
        self, batch: PairBatch, kind: Kind, number: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Positions in B, `b n k 2`, that are no match of their point, and which are valid, `b n k`."""
        labels = batch.labels_b
        if labels is None:
            labels = torch.zeros_like(batch.image_b[:, 0], dtype=torch.int64)
        drawn = [
            sample_non_matches(generator, uv, shown, kind, number, radius=self.contrast.exclusion)
            for uv, shown in zip(batch.uv_b, labels, strict=True)
        ]
        return torch.stack([uv for uv, _ in drawn]), torch.stack([valid for _, valid in drawn])
