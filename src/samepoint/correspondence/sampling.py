"""Descriptors at sub-pixel positions of the image, read from the low-resolution map."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.affinity import full_precision, unit, working_dtype
from samepoint.geometry.pixels import cells_from_pixels, sample
from samepoint.types import DescriptorMap


def sample_descriptors(map: DescriptorMap, uv: Float[Tensor, "b n 2"]) -> Float[Tensor, "b n d"]:
    """The descriptor at each pixel `uv`, in the dtype of the map; differentiable in the map and in `uv`.

    Bilinear between the four cells round `uv` (through the map's own cell positions); beyond the outermost
    cell centres the border is repeated. For the cosine metric the interpolated vector is renormalised. This
    is what reading an upsampled descriptor image would give, without that image.
    """
    working = working_dtype(map.values, uv)
    with full_precision(uv.device):
        values = sample(map.values.to(working), cells_from_pixels(uv.to(working), map.cells))
    return (unit(values) if map.metric == "cosine" else values).to(map.values.dtype)
