"""Warp consistency on our matching core: WarpC and PWarpC (Truong et al. 2021, 2022), which seed 001 compares with.

Like the Cycle-Correspondence Loss these go from A by way of an unlabelled B to A-hat, a warped copy of A. They
differ in what is carried over in B: WarpC carries the *position* (two flows, composed), PWarpC the whole
distribution over B's cells (two matching probabilities, multiplied); the cycle carries a descriptor. The
originals train dense flow networks with CUDA-only correlation layers; here both losses act on the descriptor
maps that all our methods share, so what is compared is the loss, not the architecture.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.partition import log_partition
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import cell_scores
from samepoint.correspondence.soft import soft_match
from samepoint.objectives.cycle import most_certain
from samepoint.objectives.reduction import masked_mean, point_error
from samepoint.types import DescriptorMap


def warp_composition(
    queries: Float[Tensor, "b n d"],
    other: DescriptorMap,
    copy: DescriptorMap,
    uv_a: Float[Tensor, "b n 2"],
    uv: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    *,
    temperature: float,
    alpha: tuple[float, float] = (0.03, 3.0),
) -> dict[str, Tensor]:
    """WarpC: the flow A to B, composed with the flow B to A-hat, must be the known warp (there eq. 6).

    A flow is the mean of the matching, in pixels; the second one starts from the descriptor *at* the position
    found in B. A point counts as seen in B where its error squared is below alpha[0] (|warp|^2 + |composed|^2)
    + alpha[1] (cells squared; the mask of their eq. 9, no gradient): that the composition is right is itself
    the evidence. The error is in cells.
    """
    there = soft_match(queries, other, temperature)
    back = soft_match(sample_descriptors(other, there.mean), copy, temperature)
    stride = uv.new_tensor(copy.cells.stride)
    error = point_error(back.mean, uv, stride)
    with torch.no_grad():
        moved = point_error(uv, uv_a, stride).square() + point_error(back.mean, uv_a, stride).square()
        seen = valid & (error.square() < alpha[0] * moved + alpha[1])
    loss = masked_mean(error, seen)
    return {"loss": loss, "seen": seen.sum() / valid.sum().clamp(min=1)}


def probabilistic_warp_composition(
    queries: Float[Tensor, "b n d"],
    other: DescriptorMap,
    copy: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    *,
    temperature: float,
    quantile: float = 0.35,
) -> dict[str, Tensor]:
    """PWarpC: the probability of reaching `uv` in A-hat by way of any cell of B, as a negative logarithm.

    The fraction `quantile` of each image's points with the largest probability is kept (no gradient through the
    choice; their eq. 9 keeps the most confident ones).
    """
    surprise = composition_surprise(queries, other, copy, uv, temperature)
    kept = most_certain(surprise.detach(), valid, quantile)
    loss = masked_mean(surprise, kept)
    return {"loss": loss, "surprise_of_all": masked_mean(surprise.detach(), valid)}


def composition_surprise(
    queries: Float[Tensor, "b n d"],
    other: DescriptorMap,
    copy: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    temperature: float,
) -> Float[Tensor, "b n"]:
    """-log p(uv | k), p = sum over cells j of B of P_B(j | k) P_copy(uv | j).

    Holds two tensors of n x cells; the cells x cells matching from B to A-hat is only ever summed.
    """
    target = sample_descriptors(copy, uv)
    to_other = (cell_scores(queries, other) / temperature).flatten(2).log_softmax(-1)
    cells = other.values.flatten(2).transpose(1, 2)
    normaliser = log_partition(cells, copy, temperature)
    to_copy = (cell_scores(target, other) / temperature).flatten(2) - normaliser[:, None]
    return -(to_other + to_copy).logsumexp(-1)
