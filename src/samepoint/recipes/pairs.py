"""Steps that recipes share: both sides of a pair through the network, and objectives in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.data.augmentation import Augmentation
from samepoint.objectives import expectation_error, gaussian_divergence
from samepoint.training.start import Start
from samepoint.types import DescriptorMap, PairBatch


def describe_pair(network: nn.Module, batch: PairBatch) -> tuple[DescriptorMap, DescriptorMap]:
    """The descriptor maps of A and B; in one pass where their sizes agree (one set of batch statistics)."""
    if batch.image_a.shape != batch.image_b.shape:
        return network(batch.image_a), network(batch.image_b)
    both: DescriptorMap = network(torch.cat((batch.image_a, batch.image_b)))
    a, b = both.values.chunk(2)
    return (
        DescriptorMap(a, both.cells, both.image_size, both.metric),
        DescriptorMap(b, both.cells, both.image_size, both.metric),
    )


UPRIGHT = 45.0
"""How far views of an image are turned from weights that were trained on images that stand upright, degrees."""


def turned_for(augmentation: Augmentation, start: Start) -> Augmentation:
    """All turns from random weights; from trained ones no more than these know, unless the user says so. To learn
    the others costs more than a short training gives."""
    if augmentation.rotation is not None:
        return augmentation
    return replace(augmentation, rotation=UPRIGHT if start == "trained" else 180.0)


DistributionalLoss = Literal["kl", "expectation"]

Direction = Callable[[DescriptorMap, DescriptorMap, Tensor, Tensor, Tensor], dict[str, Tensor]]
"""(source map, target map, uv in source, uv in target, valid) -> named numbers."""


def both_ways(
    a: DescriptorMap, b: DescriptorMap, batch: PairBatch, direction: Direction
) -> dict[str, Tensor]:
    """The mean of an objective from A to B and from B to A, so that swapping the images changes nothing."""
    there = direction(a, b, batch.uv_a, batch.uv_b, batch.valid)
    back = direction(b, a, batch.uv_b, batch.uv_a, batch.valid)
    return mean_of(there, back)


def mean_of(there: dict[str, Tensor], back: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the numbers of equal name."""
    return {name: (there[name] + back[name]) / 2 for name in there}


def distributional(
    a: DescriptorMap,
    b: DescriptorMap,
    batch: PairBatch,
    *,
    loss: DistributionalLoss,
    temperature: float,
    sigma: float,
) -> dict[str, Tensor]:
    """The distributional losses in both directions: descriptors of one map asked for in the other."""

    def direction(
        source: DescriptorMap, target: DescriptorMap, uv: Tensor, truth: Tensor, others: Tensor | None
    ) -> dict[str, Tensor]:
        queries = sample_descriptors(source, uv)
        if loss == "expectation":
            return expectation_error(
                queries, target, truth, batch.valid, temperature=temperature, alternatives=others
            )
        return gaussian_divergence(
            queries, target, truth, batch.valid, temperature=temperature, sigma=sigma, alternatives=others
        )

    there = direction(a, b, batch.uv_a, batch.uv_b, batch.alternatives_b)
    return mean_of(there, direction(b, a, batch.uv_b, batch.uv_a, batch.alternatives_a))
