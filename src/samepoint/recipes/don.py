"""Dense Object Nets (seed 002, paper 1): descriptors from pairs of views with true correspondences.

Pairs come object by object from within a scene and across scenes; the background is randomised; the loss is
the divergence from a Gaussian round the true pixel, its expectation form, the pixelwise contrastive loss, NT-Xent or
triplets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from samepoint.correspondence.answers import near_answers, positive_descriptors
from samepoint.correspondence.non_matches import Kind, sample_non_matches
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.data.augmentation import Augmentation, augment_pairs
from samepoint.data.sampling import PairSampling, PairSource
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.objectives import NonMatches, nt_xent, pixelwise_contrastive, triplet
from samepoint.recipes.pairs import describe_pair, distributional
from samepoint.recipes.probe import FORM, DescriptorProbe
from samepoint.training.plan import Part, Probe, Stage
from samepoint.types import DescriptorMap, PairBatch

Loss = Literal["kl", "expectation", "contrastive", "contrastive-printed", "nt-xent", "triplet"]
PUSHING: tuple[Loss, ...] = ("contrastive", "contrastive-printed")
"""Losses that learn from pairs without a match (of different objects, of the robot alone)."""


@dataclass(frozen=True)
class Contrast:
    """Non-matches of the contrastive losses: how many of each kind a match, and their margins.

    `on_mask`: on the match's own object; `on_background`: where no object is; `cross_object`: on other objects
    (also the number for points of pairs without a common object). The last two share `background_margin`. None
    lies within `exclusion` pixels of its own match or of a symmetric copy of it. `by_root_dim` divides distances by
    sqrt(D) (seed 004).
    """

    margin: float = 0.5
    background_margin: float = 0.5
    on_mask: int = 16
    on_background: int = 16
    cross_object: int = 16
    exclusion: float = 10.0
    scale_by_hard_negatives: bool = True
    by_root_dim: bool = False


@dataclass(frozen=True)
class Don:
    """Dense Object Nets.

    `loss`: "kl" and "expectation" are the distributional losses at `temperature` (and `sigma`, pixels);
    "contrastive" hinges the norm and squares, as the reference code does, "contrastive-printed" hinges the
    squared norm, as the papers print; "nt-xent" (at `temperature`) and "triplet" compare sampled points only.
    """

    name: ClassVar[str] = "don"
    verdict: ClassVar[str] = FORM

    loss: Loss = "kl"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    sampling: PairSampling = field(default_factory=PairSampling)
    augmentation: Augmentation = field(default_factory=Augmentation)
    contrast: Contrast = field(default_factory=Contrast)
    temperature: float = 0.05
    sigma: float = 4.0

    def with_batch(self, size: int) -> Don:
        """The same with `size` pairs a step."""
        return replace(self, sampling=replace(self.sampling, pairs=size))

    def build(self, store: FrameStore, init: str | Path, generator: torch.Generator) -> DescriptorNetwork:
        return DescriptorNetwork(self.network, init, generator)

    def stages(self, store: FrameStore, *, from_run: bool = False) -> tuple[Stage, ...]:
        mixture = self.sampling.mixture
        if self.loss not in PUSHING and max(mixture.different, mixture.robot_only) > 0:
            line = f"the loss {self.loss} learns nothing from pairs without a match (different, robot-only)"
            raise DataError(
                line, where="--sampling.mixture", mend="add --loss contrastive, or leave them out"
            )
        source = PairSource(store, self.sampling)
        return (Stage("don", (Part("pairs", source, self.objective),)),)

    def probe(self, held: FrameStore, trained_on: FrameStore) -> Probe:
        return DescriptorProbe(held, trained_on, self.sampling)

    def objective(
        self, network: nn.Module, batch: PairBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        batch = augment_pairs(batch, self.augmentation, generator)
        a, b = describe_pair(network, batch)
        if self.loss == "kl" or self.loss == "expectation":
            return distributional(a, b, batch, loss=self.loss, temperature=self.temperature, sigma=self.sigma)
        anchors = sample_descriptors(a, batch.uv_a)
        positives = positive_descriptors(anchors, b, batch.uv_b, batch.alternatives_b)
        if self.loss == "nt-xent":
            return nt_xent(
                anchors, positives, batch.uv_a, batch.uv_b, batch.valid,
                temperature=self.temperature, exclusion=self.contrast.exclusion,
                alternatives_a=batch.alternatives_a, alternatives_b=batch.alternatives_b,
            )  # fmt: skip
        groups = self._groups(b, batch, generator)
        if self.loss == "triplet":
            return triplet(anchors, positives, joined(groups), batch.valid)
        return pixelwise_contrastive(
            anchors,
            positives,
            batch.valid,
            groups,
            form="norm-squared" if self.loss == "contrastive" else "squared-norm",
            scale_by_hard_negatives=self.contrast.scale_by_hard_negatives,
            unmatched=batch.unmatched,
            distance_scale=self.network.dim**-0.5 if self.contrast.by_root_dim else 1.0,
        )

    def _groups(self, b: DescriptorMap, batch: PairBatch, generator: torch.Generator) -> list[NonMatches]:
        """Non-matches in B of every kind that the batch allows; blind ones where it has no masks."""
        contrast, valid = self.contrast, batch.valid
        wanted: list[tuple[Kind, int, float, Tensor]] = [
            ("mask", contrast.on_mask, contrast.margin, valid),
            ("background", contrast.on_background, contrast.background_margin, valid),
            ("cross-object", contrast.cross_object, contrast.background_margin, valid),
        ]
        if batch.labels_b is None:
            wanted = [("blind", contrast.on_mask + contrast.on_background, contrast.margin, valid)]
        elif batch.unmatched is not None:
            # uv_b lies on another object than the point: any pixel of that object is a non-match
            wanted.append(("mask", contrast.cross_object, contrast.background_margin, batch.unmatched))
        groups = []
        for kind, number, margin, rows in wanted:
            uv, found = self._non_matches(batch, kind, number, generator)
            at = sample_descriptors(b, uv.flatten(1, 2)).unflatten(1, uv.shape[1:3])
            groups.append(NonMatches(at, found & rows[..., None], margin))
        return groups

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
        uv, valid = torch.stack([uv for uv, _ in drawn]), torch.stack([valid for _, valid in drawn])
        if batch.alternatives_b is not None:
            valid &= ~near_answers(uv, batch.alternatives_b, self.contrast.exclusion)
        return uv, valid


def joined(groups: list[NonMatches]) -> NonMatches:
    """All non-matches as one group with the first one's margin."""
    descriptors = torch.cat([group.descriptors for group in groups], dim=2)
    return NonMatches(descriptors, torch.cat([group.valid for group in groups], dim=2), groups[0].margin)
