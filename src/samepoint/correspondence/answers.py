"""Sets of right answers: a point of a symmetric object may be matched with any visible copy of itself.

A set is the point's own answer `uv` and its `alternatives`, `k` others, NaN where there are fewer. Without
alternatives (None) there is one answer, and the functions do what is done without them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.targets import gaussian_window
from samepoint.types import DescriptorMap


def right_answers(
    uv: Float[Tensor, "*b 2"], alternatives: Float[Tensor, "*b k 2"] | None
) -> Float[Tensor, "*b a 2"]:
    """The answers of each point, its own first; a = 1 + k."""
    own = uv.unsqueeze(-2)
    return own if alternatives is None else torch.cat((own, alternatives), dim=-2)


def known(answers: Float[Tensor, "*b 2"]) -> Bool[Tensor, "*b"]:
    """Which entries are answers and not padding."""
    return answers.isfinite().all(-1)


def widened(sets: Sequence[Float[Tensor, "*_ 2"]]) -> list[Tensor]:
    """Alternatives, each `... k 2` with a k of its own, brought to the same k with NaN."""
    most = max((values.shape[-2] for values in sets), default=0)
    return [F.pad(values, (0, 0, 0, most - values.shape[-2]), value=math.nan) for values in sets]


def nearest_answer(
    found: Float[Tensor, "*b 2"], uv: Float[Tensor, "*b 2"], alternatives: Float[Tensor, "*b k 2"] | None
) -> Float[Tensor, "*b 2"]:
    """The right answer that is nearest to what was found (pixels)."""
    if alternatives is None:
        return uv
    answers = right_answers(uv, alternatives)
    distance = (found.detach().unsqueeze(-2) - answers).square().sum(-1)
    return _chosen(answers, distance, known(answers))


def distance_to_answers(
    places: Float[Tensor, "b m 2"], uv: Float[Tensor, "b n 2"], alternatives: Float[Tensor, "b n k 2"] | None
) -> Float[Tensor, "b n m"]:
    """Pixels from each of m places to the nearest right answer of each of n points; infinite where that is NaN."""
    if alternatives is None:
        return torch.cdist(uv, places)
    answers = right_answers(uv, alternatives)
    distance = torch.cdist(answers.flatten(1, 2), places).unflatten(1, answers.shape[1:3])
    return distance.nan_to_num(nan=torch.inf).amin(2)


def near_answers(
    places: Float[Tensor, "b n m 2"], alternatives: Float[Tensor, "b n k 2"], radius: float
) -> Bool[Tensor, "b n m"]:
    """Which of each point's m places lie within `radius` pixels of one of its own alternatives."""
    return (torch.cdist(places, alternatives) <= radius).any(-1)


def positive_descriptors(
    anchors: Float[Tensor, "b n d"],
    map: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    alternatives: Float[Tensor, "b n k 2"] | None,
) -> Float[Tensor, "b n d"]:
    """The descriptor of `map` at each point's right answer: of several, at the one that is nearest to the anchor's.

    KeyPose (Liu et al. 2020) takes the minimum over symmetries for keypoints in the same way.
    """
    if alternatives is None:
        return sample_descriptors(map, uv)
    answers = right_answers(uv, alternatives)
    at = sample_descriptors(map, answers.nan_to_num().flatten(1, 2)).unflatten(1, answers.shape[1:3])
    distance = (anchors.detach()[:, :, None] - at.detach()).float().square().sum(-1)
    return _chosen(at, distance, known(answers))


def mixture_window(
    uv: Float[Tensor, "b n 2"],
    alternatives: Float[Tensor, "b n k 2"] | None,
    map: DescriptorMap,
    sigma: float,
) -> tuple[Int[Tensor, "b n m"], Float[Tensor, "b n m"]]:
    """`gaussian_window` of each point's answers, mixed in equal parts. No cell with weight is named twice."""
    if alternatives is None:
        return gaussian_window(uv, map, sigma)
    answers = right_answers(uv, alternatives)
    is_known = known(answers)
    indices, weights = gaussian_window(answers.flatten(1, 2), map, sigma)
    share = is_known / is_known.sum(-1, keepdim=True).clamp(min=1)
    indices, weights = (values.unflatten(1, answers.shape[1:3]) for values in (indices, weights))
    return _merged(indices.flatten(2), (weights * share[..., None]).flatten(2))


def _merged(
    indices: Int[Tensor, "b n m"], weights: Float[Tensor, "b n m"]
) -> tuple[Int[Tensor, "b n c"], Float[Tensor, "b n c"]]:
    """Equal indices of a row as one, with the sum of their weights; filled up with index 0 and weight 0."""
    if indices.numel() == 0:
        return indices, weights
    indices, order = indices.sort(-1)
    place = F.pad((indices.diff(dim=-1) > 0).long().cumsum(-1), (1, 0))
    cells = int(place[..., -1].max()) + 1
    total = weights.new_zeros(*weights.shape[:-1], cells).scatter_add(-1, place, weights.gather(-1, order))
    return indices.new_zeros(total.shape).scatter(-1, place, indices), total


def _chosen(
    values: Float[Tensor, "*b a d"], cost: Float[Tensor, "*b a"], allowed: Bool[Tensor, "*b a"]
) -> Float[Tensor, "*b d"]:
    """Of each row's values the allowed one of least cost."""
    best = cost.masked_fill(~allowed, torch.inf).argmin(-1)[..., None, None]
    return values.gather(-2, best.expand(*best.shape[:-1], values.shape[-1]))[..., 0, :]
