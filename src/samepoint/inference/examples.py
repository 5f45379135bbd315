"""Examples for a report: what a network finds on pairs whose truth is known, ready to be drawn.

It chooses the best and the worst pairs by their median error; nothing is left out because it looks bad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import score_maps
from samepoint.geometry.pixels import resize_pixels
from samepoint.inference.confidence import Calibration, fit_calibration
from samepoint.inference.images import ImageLike, image_tensor, resized, rgb_array, working_size
from samepoint.inference.locate import TOLERANCE, locate, relative_likelihood
from samepoint.inference.projection import ColourProjection
from samepoint.inference.settings import FinderSettings
from samepoint.types import DescriptorMap, Size

Network = Callable[[Tensor], DescriptorMap]


@dataclass(frozen=True)
class ExamplePair:
    """Two images and points that correspond, in pixels of these images.

    `visible` is false where the point of A cannot be seen in B (None: all can). `alternatives` lists other
    right answers for each point, k x 2 with k from 0 (an object with symmetries); the nearest right answer
    counts.
    """

    image_a: ImageLike
    image_b: ImageLike
    uv_a: Float[np.ndarray, "n 2"]
    uv_b: Float[np.ndarray, "n 2"]
    visible: Bool[np.ndarray, " n"] | None = None
    caption: str = ""
    alternatives: Sequence[Float[np.ndarray, "_ 2"]] | None = None


@dataclass(frozen=True)
class PairPicture:
    """Points of A with their true and found places in B; `error` in pixels of B."""

    image_a: UInt8[np.ndarray, "h w 3"]
    image_b: UInt8[np.ndarray, "h2 w2 3"]
    uv_a: Float[np.ndarray, "n 2"]
    uv_true: Float[np.ndarray, "n 2"]
    uv_found: Float[np.ndarray, "n 2"]
    error: Float[np.ndarray, " n"]
    median_error: float
    caption: str = ""


@dataclass(frozen=True)
class TargetPicture:
    """One image with the heatmap of a query. `uv_true` and `error` (pixels) are None where the truth is
    unknown."""

    image: UInt8[np.ndarray, "h w 3"]
    heat: Float32[np.ndarray, "h w"]
    uv_found: tuple[float, float]
    confidence: float
    uv_true: tuple[float, float] | None = None
    error: float | None = None
    caption: str = ""


@dataclass(frozen=True)
class QueryPicture:
    """A point of one image, and where it is in others."""

    image: UInt8[np.ndarray, "h w 3"]
    uv: tuple[float, float]
    targets: tuple[TargetPicture, ...]
    caption: str = ""


@dataclass(frozen=True)
class DescriptorPicture:
    """An image beside its descriptors as colours."""

    image: UInt8[np.ndarray, "h w 3"]
    colours: UInt8[np.ndarray, "h2 w2 3"]
    caption: str = ""


@dataclass(frozen=True)
class Examples:
    """What `build_examples` made."""

    successes: tuple[PairPicture, ...] = ()
    failures: tuple[PairPicture, ...] = ()
    queries: tuple[QueryPicture, ...] = ()
    descriptors: tuple[DescriptorPicture, ...] = ()


@dataclass(frozen=True)
class ExampleCounts:
    """How many of each to choose."""

    successes: int = 3
    failures: int = 6
    queries: int = 3
    targets: int = 3
    descriptors: int = 6
    points: int = 8


@dataclass(frozen=True)
class FoundPair:
    """All points of a pair: found and nearest true places in pixels of B, error in pixels (NaN where not
    visible), score and mass."""

    uv: Float[np.ndarray, "n 2"]
    uv_true: Float[np.ndarray, "n 2"]
    error: Float[np.ndarray, " n"]
    score: Float[Tensor, " n"]
    mass: Float[Tensor, " n"]
    correct: Bool[Tensor, " n"]
    metric: str


def build_examples(
    network: Network,
    pairs: Sequence[ExamplePair],
    settings: FinderSettings,
    counts: ExampleCounts | None = None,
    device: torch.device | str = "cpu",
) -> Examples:
    """Runs the network on all pairs and picks the best, the worst and some in between.

    `network` maps images `1 3 h w` to a DescriptorMap. Pairs without a visible point are left out.
    """
    counts = counts or ExampleCounts()
    eye = _Eye(network, settings, torch.device(device))
    found = [(pair, eye.find(pair)) for pair in pairs if len(pair.uv_a)]
    found = [(pair, result) for pair, result in found if np.isfinite(result.error).any()]
    ranked = sorted(found, key=lambda item: float(np.nanmedian(item[1].error)))
    worst = max(0, min(counts.failures, len(ranked) - min(counts.successes, len(ranked) // 2)))
    best = min(counts.successes, len(ranked) - worst)
    order = [*_spread(ranked, (counts.descriptors + 1) // 2), *ranked]
    return Examples(
        tuple(_pair_picture(*item, counts.points) for item in ranked[:best]),
        tuple(_pair_picture(*item, counts.points) for item in ranked[::-1][:worst]),
        tuple(_query_picture(eye, *item, ranked, counts.targets) for item in _spread(ranked, counts.queries)),
        _descriptor_pictures(eye, [pair for pair, _ in order], counts.descriptors),
    )


def calibrate(
    network: Network,
    pairs: Sequence[ExamplePair],
    settings: FinderSettings,
    device: torch.device | str = "cpu",
) -> Calibration:
    """The calibration after which a confidence is the probability that a hit lies within `TOLERANCE` of the
    truth.

    Use pairs that were not trained on, and let some points be not visible: else the confidence knows
    nothing of images without the object.
    """
    eye = _Eye(network, settings, torch.device(device))
    found = [eye.find(pair) for pair in pairs if len(pair.uv_a)]
    if not found:
        return Calibration()
    score, mass, correct = (torch.cat([getattr(f, n) for f in found]) for n in ("score", "mass", "correct"))
    return fit_calibration(score, mass, correct, "cosine" if found[0].metric == "cosine" else "euclidean")


class _Eye:
    """The network at the finder's working size."""

    def __init__(self, network: Network, settings: FinderSettings, device: torch.device) -> None:
        self.network, self.settings, self.device = network, settings, device

    def map(self, image: ImageLike) -> tuple[DescriptorMap, Size]:
        """The descriptor map and the size of the image as given."""
        pixels = image_tensor(image)
        size = (pixels.shape[1], pixels.shape[2])
        small = resized(pixels, working_size(size, self.settings.max_size))
        with torch.inference_mode():
            return self.network(small[None].to(self.device)), size

    def describe(self, image: ImageLike, uv: Float[np.ndarray, "n 2"]) -> Float[Tensor, "1 n d"]:
        map, size = self.map(image)
        return sample_descriptors(map, self._inward(uv, size, map))

    def find(self, pair: ExamplePair) -> FoundPair:
        queries = self.describe(pair.image_a, pair.uv_a)
        map, size = self.map(pair.image_b)
        located = locate(queries, map, self.settings.temperature)
        uv = resize_pixels(located.uv[0].cpu().double(), map.image_size, size).numpy()
        visible = np.ones(len(uv), dtype=bool) if pair.visible is None else pair.visible
        true = nearest_truth(uv, pair)
        error = np.where(visible, np.linalg.norm(uv - true, axis=1), np.nan)
        correct = torch.from_numpy(np.nan_to_num(error, nan=np.inf) <= TOLERANCE * float(np.hypot(*size)))
        score, mass = located.score[0].float().cpu(), located.mass[0].float().cpu()
        return FoundPair(uv, true, error, score, mass, correct, map.metric)

    def target(self, query: Float[Tensor, "1 1 d"], image: ImageLike) -> TargetPicture:
        map, size = self.map(image)
        located = locate(query, map, self.settings.temperature)
        confidence = self.settings.calibration.confidence(located.score[0], located.mass[0], map.metric)
        scores = score_maps(query, map, size)[0, 0]
        heat = relative_likelihood(scores, self.settings.temperature) * confidence
        u, v = resize_pixels(located.uv[0].cpu().double(), map.image_size, size)[0].tolist()
        return TargetPicture(rgb_array(image), heat.float().cpu().numpy(), (u, v), float(confidence[0]))

    def _inward(self, uv: Float[np.ndarray, "n 2"], size: Size, map: DescriptorMap) -> Float[Tensor, "1 n 2"]:
        pixels = torch.from_numpy(np.asarray(uv, dtype=np.float64))
        return resize_pixels(pixels, size, map.image_size)[None].to(map.values)


def nearest_truth(uv: Float[np.ndarray, "n 2"], pair: ExamplePair) -> Float[np.ndarray, "n 2"]:
    """For each found place the nearest of the point's right answers."""
    true = np.array(pair.uv_b, dtype=np.float64)
    for index, others in enumerate(pair.alternatives or ()):
        answers = np.concatenate((true[index : index + 1], others))
        true[index] = answers[np.linalg.norm(answers - uv[index], axis=1).argmin()]
    return true


def _pair_picture(pair: ExamplePair, found: FoundPair, points: int) -> PairPicture:
    """At most `points` points of the pair, from the smallest error to the largest."""
    order = np.argsort(found.error)[: int(np.isfinite(found.error).sum())]
    keep = order[np.unique(np.linspace(0, len(order) - 1, points).round().astype(int))]
    return PairPicture(
        rgb_array(pair.image_a),
        rgb_array(pair.image_b),
        pair.uv_a[keep],
        found.uv_true[keep],
        found.uv[keep],
        found.error[keep],
        float(np.nanmedian(found.error)),
        pair.caption,
    )


def _query_picture(
    eye: _Eye,
    pair: ExamplePair,
    found: FoundPair,
    ranked: Sequence[tuple[ExamplePair, FoundPair]],
    targets: int,
) -> QueryPicture:
    """The point of median error of a pair, in its own second image and in those of other pairs."""
    order = np.argsort(found.error)[: int(np.isfinite(found.error).sum())]
    index = int(order[len(order) // 2])
    query = eye.describe(pair.image_a, pair.uv_a[index : index + 1])
    true = (float(found.uv_true[index, 0]), float(found.uv_true[index, 1]))
    own = eye.target(query, pair.image_b)
    pictures = [
        TargetPicture(own.image, own.heat, own.uv_found, own.confidence, true, float(found.error[index]))
    ]
    others = [other for other, _ in ranked if other is not pair]
    others.sort(key=lambda other: not _same(other.image_a, pair.image_a))
    pictures += [eye.target(query, other.image_b) for other in others[: max(0, targets - 1)]]
    uv = (float(pair.uv_a[index, 0]), float(pair.uv_a[index, 1]))
    return QueryPicture(rgb_array(pair.image_a), uv, tuple(pictures), pair.caption)


def _same(a: ImageLike, b: ImageLike) -> bool:
    """Whether two images are surely the same: one object or one path."""
    return a is b or (isinstance(a, str | Path) and isinstance(b, str | Path) and Path(a) == Path(b))


def _descriptor_pictures(
    eye: _Eye, pairs: Sequence[ExamplePair], number: int
) -> tuple[DescriptorPicture, ...]:
    images: list[ImageLike] = []
    for image in (image for pair in pairs for image in (pair.image_a, pair.image_b)):
        if not any(_same(image, other) for other in images):
            images.append(image)
    images = images[:number]
    maps = [eye.map(image)[0] for image in images]
    if not maps:
        return ()
    projection = ColourProjection.fit(maps)
    pictures = []
    for image, map in zip(images, maps):
        colours = (projection.colours(map)[0] * 255).round().to(torch.uint8).cpu().numpy()
        pictures.append(DescriptorPicture(rgb_array(image), colours))
    return tuple(pictures)


def _spread(
    items: Sequence[tuple[ExamplePair, FoundPair]], number: int
) -> list[tuple[ExamplePair, FoundPair]]:
    """`number` of the items, evenly from first to last."""
    if not items or number < 1:
        return []
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, number).round().astype(int))]
