"""Anything that can be asked: where in image B is this pixel of image A?

Shared signature: `predict(image_a, uv_a, image_b) -> Prediction`, pixels of the images as given, at full
resolution. Predictors keep what they computed for recent images, so asking pair by pair costs no image twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.evaluation.metrics import AUC_RANGES, THRESHOLDS, nested
from samepoint.geometry.pixels import resize_pixels
from samepoint.types import Size


@dataclass(frozen=True)
class Prediction:
    """Pixels of image B, and how sure the predictor is of each (on any scale; None: it cannot say)."""

    uv_b: Float[Tensor, "n 2"]
    confidence: Float[Tensor, " n"] | None = None


@runtime_checkable
class Predictor(Protocol):
    """`config` are plain values that say which predictor this is; they are stored beside its predictions."""

    @property
    def name(self) -> str: ...

    @property
    def config(self) -> Mapping[str, Any]: ...

    def predict(
        self, image_a: Float[Tensor, "3 h w"], uv_a: Float[Tensor, "n 2"], image_b: Float[Tensor, "3 h2 w2"]
    ) -> Prediction:
        """RGB in [0, 1]; one answer a query, always inside image B."""
        ...


@runtime_checkable
class DensePredictor(Protocol):
    """A predictor that scores every pixel, so that right answers can be ranked."""

    def closer_fractions(
        self,
        image_a: Float[Tensor, "3 h w"],
        uv_a: Float[Tensor, "n 2"],
        image_b: Float[Tensor, "3 h2 w2"],
        uv_b: Float[Tensor, "n 2"],
        mask_b: Bool[Tensor, "h2 w2"] | None = None,
    ) -> Float[Tensor, " n"]:
        """Fraction of the pixels of B (of `mask_b`) that it prefers to the true match `uv_b`."""
        ...


class ChancePredictor:
    """A random pixel of image B, each equally likely."""

    name = "chance"

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.config: Mapping[str, Any] = {"kind": "chance", "seed": generator.initial_seed()}

    def predict(
        self, image_a: Float[Tensor, "3 h w"], uv_a: Float[Tensor, "n 2"], image_b: Float[Tensor, "3 h2 w2"]
    ) -> Prediction:
        height, width = image_b.shape[1:]
        index = torch.randint(height * width, (len(uv_a),), generator=self.generator)
        uv = torch.stack((index % width, index // width), dim=-1).to(uv_a)
        return Prediction(uv, torch.rand(len(uv_a), generator=self.generator).to(uv_a))


class SamePixelPredictor:
    """The same relative position in image B. Good only where the camera hardly moves: shows easy pairs."""

    name = "same pixel"
    config: Mapping[str, Any] = {"kind": "same pixel"}

    def predict(
        self, image_a: Float[Tensor, "3 h w"], uv_a: Float[Tensor, "n 2"], image_b: Float[Tensor, "3 h2 w2"]
    ) -> Prediction:
        size_a, size_b = tuple(image_a.shape[1:]), tuple(image_b.shape[1:])
        return Prediction(resize_pixels(uv_a, (size_a[0], size_a[1]), (size_b[0], size_b[1])))


def expected_chance(answers: Float[Tensor, "n a 2"], size: Size) -> dict[str, Float[Tensor, " n"]]:
    """What `ChancePredictor` scores on average: the exact probability of a hit for every point.

    `answers` as in `metrics.pixel_errors`. Counts the pixels within k of a right answer, row by row for a
    single answer; points with alternatives go through a map of distances. Flat names: `pck 5`, `auc_1_100`.
    """
    most = max(high for _, high in AUC_RANGES)
    single = answers.isfinite().all(-1).sum(-1) == 1
    hit = torch.zeros(len(answers), most + 1, dtype=torch.float64)
    for k in range(1, most + 1):
        hit[single, k] = _disc_pixels(_the_answer(answers[single]), k, size) / (size[0] * size[1])
    for i in (~single).nonzero().flatten().tolist():
        hit[i] = _hit_fractions(answers[i], size, most)
    expected = {f"pck {k}": hit[:, k] for k in THRESHOLDS}
    return expected | {f"auc_{low}_{high}": hit[:, low : high + 1].mean(1) for low, high in AUC_RANGES}


def expected_chance_row(values: Mapping[str, Float[Tensor, " n"]]) -> dict[str, object]:
    """Means over points, nested as in the evaluation JSON."""
    return nested({name: float(value.mean()) if len(value) else None for name, value in values.items()})


def _the_answer(answers: Float[Tensor, "n a 2"]) -> Float[Tensor, "n 2"]:
    return answers.nan_to_num(nan=-math.inf).amax(1)


def _disc_pixels(centre: Float[Tensor, "n 2"], k: float | int, size: Size) -> Float[Tensor, " n"]:
    """How many pixel centres of the image lie within k of each centre: summed row by row."""
    centre = centre.double()
    rows = centre[:, 1:].round() + torch.arange(-math.ceil(k) - 1, math.ceil(k) + 2, dtype=torch.float64)
    half = (k * k - (rows - centre[:, 1:]).square()).clamp(min=-1)
    chord = half.clamp(min=0).sqrt()
    first = (centre[:, :1] - chord).ceil().clamp(min=0)
    last = (centre[:, :1] + chord).floor().clamp(max=size[1] - 1)
    inside = (half >= 0) & (rows >= 0) & (rows < size[0])
    return torch.where(inside, (last - first + 1).clamp(min=0), 0.0).sum(1)


def _hit_fractions(answers: Float[Tensor, "a 2"], size: Size, most: int) -> Float[Tensor, " k"]:
    v, u = torch.meshgrid(
        torch.arange(size[0], dtype=torch.float64), torch.arange(size[1], dtype=torch.float64), indexing="ij"
    )
    known = answers[answers.isfinite().all(-1)].double()
    if not len(known):
        return torch.full((most + 1,), torch.nan, dtype=torch.float64)
    nearest = torch.full((size[0], size[1]), torch.inf, dtype=torch.float64)
    for (
        x,
        y,
    ) in known.tolist():  # one after the other, and only near it: an axis of symmetry gives a hundred answers
        rows = slice(max(0, math.floor(y) - most), max(0, math.ceil(y) + most + 1))
        columns = slice(max(0, math.floor(x) - most), max(0, math.ceil(x) + most + 1))
        distance = torch.hypot(u[rows, columns] - x, v[rows, columns] - y)
        nearest[rows, columns] = torch.minimum(nearest[rows, columns], distance)
    inside = nearest[nearest <= most].ceil().long()
    return torch.bincount(inside, minlength=most + 1).cumsum(0).double() / (size[0] * size[1])
