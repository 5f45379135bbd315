"""Label maps of two views that speak of the same objects, and what they say of matches."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from samepoint.data.links import Link
from samepoint.data.store import Frame
from samepoint.geometry.pixels import nearest_pixel
from samepoint.types import Correspondences, Outcome


def on_any(labels: Int[Tensor, "h w"], placements: tuple[int, ...]) -> Bool[Tensor, "h w"]:
    """Where a frame shows one of these placements."""
    return torch.isin(labels, torch.tensor([i + 1 for i in placements], dtype=labels.dtype))


def common_labels(frame: Frame, groups: list[tuple[int, ...]]) -> Int[Tensor, "h w"] | None:
    """Labels renumbered: the placements of each group 1, 2, ... in the order given, then the others, each its own
    number."""
    if frame.labels is None:
        return None
    grouped = {i for group in groups for i in group}
    rest = [i for i in range(len(frame.view.placements)) if i not in grouped]
    table = torch.zeros(len(frame.view.placements) + 1, dtype=torch.int64)
    for number, group in enumerate([*groups, *((i,) for i in rest)]):
        table[[i + 1 for i in group]] = number + 1
    return table[frame.labels.long()]


def on_label(
    found: Correspondences, labels: Int[Tensor, "h w"] | None, label: int, link: Link
) -> Correspondences:
    """Visible matches that fall on another label of B are occluded.

    By the scene's depth, such a match that falls on no object is unknown: depth sees the surface there and the mask
    leaves it out (it ends a pixel early), unless B's mask of the object is missing altogether.
    """
    if labels is None or len(found.uv_b) == 0:
        return found
    rows, columns = nearest_pixel(found.uv_b, (labels.shape[0], labels.shape[1]))
    there = labels[rows, columns]
    elsewhere = (there != label) & found.visible
    outcome = torch.where(elsewhere, int(Outcome.OCCLUDED), found.outcome)
    if link.by == "scene":
        beside = found.outcome if link.bare else int(Outcome.NO_DEPTH)
        outcome = torch.where(elsewhere & (there == 0), beside, outcome)
    return Correspondences(found.uv_a, found.uv_b, outcome, found.depth_b)
