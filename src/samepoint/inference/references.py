"""Reference descriptors for a policy: picked by hand, sampled on masks, or the confident and spread of a sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.errors import DataError
from samepoint.inference.confidence import Calibration
from samepoint.inference.locate import locate
from samepoint.types import DescriptorMap

UNCALIBRATED = Calibration()


def references_at(map: DescriptorMap, uv: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
    """The descriptors at pixels of the (one) image: references that someone picked."""
    return sample_descriptors(map, uv[None].to(map.values))[0]


def sample_on_masks(
    labels: Int[Tensor, "h w"], number: int, generator: torch.Generator
) -> Float[Tensor, "n 2"]:
    """Random pixels, as many on every object (label above 0) as on any other (seed 004), object by object.

    Where `number` cannot be shared evenly the first objects get one more. An object smaller than its share gives
    pixels twice. DataError if there is no object.
    """
    objects = [int(k) for k in labels.unique() if k > 0]
    if not objects:
        raise DataError("no object is in the masks", mend="give a frame that shows the objects")
    found = []
    for rank, k in enumerate(objects):
        share = number // len(objects) + (rank < number % len(objects))
        pixels = (labels == k).nonzero()
        if len(pixels) >= share:
            chosen = torch.randperm(len(pixels), generator=generator, device=generator.device)[:share]
        else:
            chosen = torch.randint(len(pixels), (share,), generator=generator, device=generator.device)
        found.append(pixels[chosen.to(pixels.device)].flip(-1).float())
    return torch.cat(found)


def select_spread(
    candidates: Float[Tensor, "n d"],
    maps: Sequence[DescriptorMap],
    number: int,
    temperature: float = 0.05,
    share: float = 0.5,
    calibration: Calibration = UNCALIBRATED,
) -> Int[Tensor, " k"]:
    """Which candidates to keep: confident in all images, and far from one another (the selection SDS of "Keypoints
    into the Future", Manuelli et al. 2020: some 100 candidates, 4 or 5 kept).

    The paper gives no numbers; ours: the finder's confidence, averaged over the images; the more confident `share`
    stays; the most confident is first, then each time the one that is farthest, in mean pixels over the images, from
    those that are in. DataError for fewer candidates than `number`.
    """
    if not 0 < number <= len(candidates):
        line = f"cannot keep {number} of {len(candidates)} candidates"
        raise DataError(line, mend="sample more, or keep fewer")
    places, confidences = [], []
    for map in maps:
        queries = candidates.expand(len(map.values), -1, -1)
        found = locate(queries, map, temperature)
        places.append(found.uv)
        confidences.append(calibration.confidence(found.score, found.mass, map.metric))
    uv, confidence = torch.cat(places), torch.cat(confidences).mean(0)
    kept = confidence.argsort(descending=True, stable=True)[: max(number, round(share * len(candidates)))]
    distance = (uv[:, kept, None] - uv[:, None, kept]).norm(dim=-1).mean(0)
    chosen = [0]
    nearest = distance[0].clone()
    while len(chosen) < number:
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, distance[chosen[-1]])
    return kept[chosen]
