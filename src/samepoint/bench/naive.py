"""The plain ways, as twins: what is done where matching is not attention and a map is upsampled before it is read.

The original code of Dense Object Nets upsamples its descriptor map to an image of D channels and compares a
descriptor with every pixel of it; seed 000's code, in its comparison, takes all pixels of both images as
negatives and holds a tensor of queries x height x width x D.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.geometry.pixels import cells_from_pixels, nearest_pixel, pixel_grid, sample
from samepoint.objectives.reduction import masked_mean
from samepoint.types import DescriptorMap, PairBatch


def descriptor_image(map: DescriptorMap) -> Float[Tensor, "b d h w"]:
    """The descriptor of every pixel: the map, upsampled through its own cell positions and renormalised."""
    pixels = pixel_grid(map.image_size, map.values.device, map.values.dtype).flatten(0, 1)
    cells = cells_from_pixels(pixels, map.cells).expand(len(map.values), -1, -1)
    image = sample(map.values, cells).transpose(1, 2).unflatten(2, map.image_size)
    return F.normalize(image, dim=1) if map.metric == "cosine" else image


def read_image(image: Float[Tensor, "b d h w"], uv: Float[Tensor, "b n 2"]) -> Float[Tensor, "b n d"]:
    """The descriptors of the nearest pixels."""
    row, column = nearest_pixel(uv, (image.shape[2], image.shape[3]))
    which = torch.arange(len(image), device=image.device)[:, None]
    return image.permute(0, 2, 3, 1)[which, row, column]


def softmax_divergence(
    source: DescriptorMap,
    target: DescriptorMap,
    uv: Float[Tensor, "b n 2"],
    truth: Float[Tensor, "b n 2"],
    valid: Bool[Tensor, "b n"],
    *,
    temperature: float,
    sigma: float,
) -> dict[str, Tensor]:
    """The KL loss over all pixels of a descriptor image: queries x height x width scores and as many targets."""
    image = descriptor_image(target)
    logits = read_image(descriptor_image(source), uv) @ image.flatten(2) / temperature
    grid = pixel_grid(target.image_size, uv.device, uv.dtype).flatten(0, 1)
    weights = torch.softmax(-torch.cdist(truth, grid[None]).square() / (2 * sigma**2), dim=-1)
    rows = F.kl_div(logits.log_softmax(-1), weights, reduction="none").sum(-1)
    return {"loss": masked_mean(rows, valid)}


def all_pixels_nt_xent(
    a: DescriptorMap, b: DescriptorMap, batch: PairBatch, *, temperature: float
) -> dict[str, Tensor]:
    """NT-Xent whose negatives are all pixels of both images, held as queries x height x width x D."""
    image_a, image_b = descriptor_image(a), descriptor_image(b)
    anchors, positives = read_image(image_a, batch.uv_a), read_image(image_b, batch.uv_b)
    partitions = []
    for image in (image_a, image_b):
        products = anchors[:, :, None] * image.flatten(2).transpose(1, 2)[:, None]
        partitions.append((products.sum(-1) / temperature).logsumexp(-1))
    rows = torch.logaddexp(*partitions) - (anchors * positives).sum(-1) / temperature
    return {"loss": masked_mean(rows, batch.valid)}


@torch.no_grad()
def nearest_pixels(queries: Float[Tensor, "b n d"], map: DescriptorMap) -> Float[Tensor, "b n 2"]:
    """Finding as in the original code: one descriptor after the other, its distance to every pixel's."""
    image = descriptor_image(map).permute(0, 2, 3, 1)
    width = map.image_size[1]
    found = []
    for n in range(queries.shape[1]):
        best = (image - queries[:, n, None, None]).norm(dim=-1).flatten(1).argmin(-1)
        found.append(torch.stack((best % width, best // width), dim=-1))
    return torch.stack(found, dim=1).to(queries.dtype)
