"""How sure a soft match is: the probability near a pixel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.affinity import affinity, full_precision, query_blocks
from samepoint.geometry.pixels import cell_centres
from samepoint.types import DescriptorMap


@torch.no_grad()
def mass_near(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    radius: float,
    temperature: float | Float[Tensor, ""],
) -> Float[Tensor, "b n"]:
    """Probability, under softmax(score / temperature), of the cells whose centre is within `radius` of `uv`.

    In [0, 1]; pixels of the image; at least float32; no gradient. Near 1: one peak at `uv`. Low: several
    places look alike. Zero if no cell centre is that near: take a radius of at least one stride. It compares
    places of one image, so it says nothing of whether the object is there at all: use the score for that.
    """
    if not radius > 0:
        raise ValueError(f"radius must be positive, not {radius}")
    with full_precision(queries.device):
        terms = affinity(queries, map, temperature)
        size = (map.values.shape[2], map.values.shape[3])
        centres = cell_centres(map.cells, size, uv.device, terms.keys.dtype).flatten(0, 1)
        mass = terms.queries.new_empty(terms.queries.shape[:2])
        for images, rows in query_blocks(len(mass), mass.shape[1], len(centres)):
            logits = terms.queries[images, rows] @ terms.keys[images].transpose(1, 2)
            probability = logits.softmax(-1)
            far = torch.cdist(uv[images, rows].to(centres), centres.expand(len(logits), -1, -1)) > radius
            mass[images, rows] = probability.masked_fill_(far, 0).sum(-1)
    return mass
