"""Synthetic scenes of several objects: the objects of one pair of views pasted into another pair.

Dense Object Nets' "synthetic multi-object" pairs and the collages of seed 001. What a pasted object covers has
no match any more, and what lies behind other objects is not pasted, so occlusion is as in a real scene.
"""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.correspondence.answers import widened
from samepoint.geometry.pixels import in_frame, nearest_pixel
from samepoint.types import PairBatch


def collage(base: PairBatch, pasted: PairBatch, generator: torch.Generator) -> PairBatch:
    """The objects of `pasted` (one pair, with labels) moved into `base` (one pair, with labels) of the same size.

    Each side gets its own random shift and its own order of depth: in front of the base's objects, or behind
    them. Points of both pairs follow; half of the rows come from each, valid ones first. The two pairs must not
    share an object: a second copy of it would be a second right answer. Of the alternatives those are left that the
    collage still shows.
    """
    assert base.labels_a is not None
    assert base.labels_b is not None
    offset = 1 + int(max(base.labels_a.max(), base.labels_b.max()))
    image_a, labels_a, shift_a = _composed(
        (base.image_a, base.labels_a), (pasted.image_a, pasted.labels_a), pasted.object, offset, generator
    )
    image_b, labels_b, shift_b = _composed(
        (base.image_b, base.labels_b), (pasted.image_b, pasted.labels_b), pasted.object, offset, generator
    )
    assert base.object is not None
    assert pasted.object is not None
    uv_a = torch.cat((base.uv_a, pasted.uv_a + shift_a), 1)
    uv_b = torch.cat((base.uv_b, pasted.uv_b + shift_b), 1)
    object = torch.cat((base.object, pasted.object + offset), 1)
    valid = torch.cat((base.valid, pasted.valid), 1)
    valid &= _shows(labels_a, uv_a, object) & _shows(labels_b, uv_b, object)
    rows = _half_of_each(valid[0], base.valid.shape[1], generator)
    others_a = _others(base.alternatives_a, pasted.alternatives_a, shift_a, labels_a, object)
    others_b = _others(base.alternatives_b, pasted.alternatives_b, shift_b, labels_b, object)
    return dataclasses.replace(
        base,
        image_a=image_a,
        image_b=image_b,
        uv_a=uv_a[:, rows],
        uv_b=uv_b[:, rows],
        valid=valid[:, rows],
        object=object[:, rows],
        labels_a=labels_a,
        labels_b=labels_b,
        alternatives_a=None if others_a is None else others_a[:, rows],
        alternatives_b=None if others_b is None else others_b[:, rows],
    )


def _others(
    base: Float[Tensor, "1 n k 2"] | None,
    pasted: Float[Tensor, "1 n m 2"] | None,
    shift: Float[Tensor, " 2"],
    labels: Int[Tensor, "1 h w"],
    object: Int[Tensor, "1 r"],
) -> Float[Tensor, "1 r p 2"] | None:
    """The alternatives of all rows on one side, NaN where the image does not show the point's own object."""
    if base is None or pasted is None:
        return None
    uv = torch.cat(widened((base, pasted + shift)), 1)
    own = object[..., None].expand(uv.shape[:3])
    return torch.where(
        _shows(labels, uv.flatten(1, 2), own.flatten(1, 2)).view(own.shape)[..., None], uv, torch.nan
    )


def _composed(
    base: tuple[Float[Tensor, "1 3 h w"], Int[Tensor, "1 h w"]],
    pasted: tuple[Float[Tensor, "1 3 h w"], Int[Tensor, "1 h w"] | None],
    objects: Int[Tensor, "1 n"] | None,
    offset: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "1 3 h w"], Int[Tensor, "1 h w"], Float[Tensor, " 2"]]:
    """One side: image, labels, and how far (u, v) the pasted objects were moved."""
    (image, labels), (source, source_labels) = base, pasted
    assert source_labels is not None
    assert objects is not None
    cut = torch.isin(source_labels, objects.unique()) & (source_labels > 0)
    rows, columns = cut[0].nonzero().unbind(-1)
    if len(rows) == 0:
        return image, labels, torch.zeros(2)
    size = labels.shape[-2:]
    du = _shift(int(columns.min()), int(columns.max()), size[1], generator)
    dv = _shift(int(rows.min()), int(rows.max()), size[0], generator)
    to_rows, to_columns = rows + dv, columns + du
    inside = (to_rows >= 0) & (to_rows < size[0]) & (to_columns >= 0) & (to_columns < size[1])
    if float(torch.rand((), generator=generator)) < 0.5:
        inside &= labels[0, to_rows.clamp(0, size[0] - 1), to_columns.clamp(0, size[1] - 1)] == 0
    image, labels = image.clone(), labels.clone()
    to, of = (to_rows[inside], to_columns[inside]), (rows[inside], columns[inside])
    image[0, :, to[0], to[1]] = source[0, :, of[0], of[1]]
    labels[0, to[0], to[1]] = source_labels[0, of[0], of[1]] + offset
    return image, labels, torch.tensor((float(du), float(dv)))


def _shift(low: int, high: int, length: int, generator: torch.Generator) -> int:
    """A shift that brings the middle of [low, high] to any place of the image."""
    return int(torch.randint(length, (), generator=generator)) - (low + high) // 2


def _shows(
    labels: Int[Tensor, "1 h w"], uv: Float[Tensor, "1 n 2"], object: Int[Tensor, "1 n"]
) -> Bool[Tensor, "1 n"]:
    """Whether the image shows the point's own object there."""
    size = (labels.shape[1], labels.shape[2])
    row, column = nearest_pixel(uv[0], size)
    return ((labels[0, row, column] == object[0]) & in_frame(uv[0], size))[None]


def _half_of_each(valid: Bool[Tensor, " m"], n: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """n rows, those of the first n and of the rest in turn, valid ones first."""
    order = []
    for start, end in ((0, n), (n, len(valid))):
        rows = torch.arange(start, end)[torch.randperm(end - start, generator=generator)]
        order.append(rows[valid[rows].logical_not().to(torch.int8).argsort(stable=True)])
    mixed = torch.stack((order[0], order[1]), 1).flatten()
    return mixed[valid[mixed].logical_not().to(torch.int8).argsort(stable=True)][:n]
