"""The accuracy that the mined-descriptor method publishes, kept to show what it hides. Judge nothing by it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.errors import DataError

_ROUNDING = 1e-12
"""A cosine that is 1 but for rounding counts at the threshold 1.00."""


def coordinate_cosine_auc(
    predicted: Float[Tensor, "n 2"], true: Float[Tensor, "n 2"], *, swapped: bool = True
) -> float:
    """The mean over k = 1..100 of "PCK@k", the share of points with cosine(predicted, true) >= k/100.

    The cosine is that of the two coordinate vectors uv (pixels), seen from the corner of the image: it tells
    directions apart, not distances, and is near 1 for almost any two pixels. `swapped` compares (u, v) with (v, u)
    of the truth, as the published code does. (There each k has a fresh image pair; here all points count at all k.)

    What it hides, 640 x 480, predictions and truths drawn evenly over the central share of each side:

    | predictions | swapped | same axes |
    |---|---|---|
    | random, whole image | .818 | .836 |
    | random, central 40 % | .935 | .969 |
    | perfect, central 40 % | .911 | 1.000 |

    Random answers near the middle beat perfect ones, and the published .914 to .962 lie among random ones. Counting
    1 - cosine <= k/100 would give .01 more throughout. Use `metrics.auc`.

    A prediction that is not finite, or at pixel (0, 0), which has no direction, misses at every k. NaN without
    points. DataError for a truth that is not finite.
    """
    if not torch.isfinite(true).all():
        raise DataError("a true pixel is not finite", mend="leave points without truth out")
    a, b = predicted.double(), true.double().flip(-1) if swapped else true.double()
    product = torch.linalg.vector_norm(a, dim=-1) * torch.linalg.vector_norm(b, dim=-1)
    cosine = (a * b).sum(-1) / product  # NaN, which no comparison accepts, where there is no direction
    thresholds = torch.arange(1, 101, dtype=torch.float64, device=a.device) / 100
    return float((cosine[:, None] >= thresholds - _ROUNDING).double().mean())
