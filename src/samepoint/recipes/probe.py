"""How well a descriptor network finds points in images that it does not train on: what a training is judged by.

Forward passes only, a few dozen images, the same ones every time. Where there is geometry: true pairs. Else images
under known warps, asked directly, and by way of another image and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.correspondence.answers import known
from samepoint.correspondence.hard import hard_match
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.data.augmentation import Augmentation, two_views
from samepoint.data.sampling import PairSampling, PairSource, overlap, spread
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.training.plan import Scores
from samepoint.types import DescriptorMap, ImageBatch

FORM = "finds {score:.3f} of the points"
TOLERANCES = (0.01, 0.02, 0.04, 0.08)
"""Shares of the image's long side: a point found within all of them counts fully, within one a quarter."""
TRUE = "true pairs"
POINTS = 64
TRUE_PAIRS, WARPS, CYCLES = 16, 12, 12
FEWEST_PAIRS = 4
"""True pairs below which warps and cycles are asked as well."""
WARPED = Augmentation(
    rotation=30.0, scale=(0.6, 1.6), translation=0.15, perspective=0.3, colour=0.5, grey=0.1, noise=0.03
)


@dataclass(frozen=True)
class Question:
    """Points of one image that are looked for in another: `answers` n a 2, NaN where there are fewer. `by_way` of a
    third image, if there is one."""

    image_a: Float[Tensor, "3 h w"]
    image_b: Float[Tensor, "3 h2 w2"]
    uv_a: Float[Tensor, "n 2"]
    answers: Float[Tensor, "n a 2"]
    by_way: Float[Tensor, "3 h3 w3"] | None = None

    def score(self, network: nn.Module) -> float:
        """The share of the points that are found, in [0, 1]."""
        device = self.image_a.device
        queries = sample_descriptors(_describe(network, self.image_a), self.uv_a.to(device)[None])
        if self.by_way is not None:
            other = _describe(network, self.by_way)
            queries = sample_descriptors(other, hard_match(queries, other).uv)
        found = hard_match(queries, _describe(network, self.image_b)).uv[0].cpu()
        errors = (found[:, None] - self.answers).norm(dim=-1)
        errors = errors.where(known(self.answers), torch.inf).amin(-1)
        limits = max(self.image_b.shape[-2:]) * torch.tensor(TOLERANCES)
        return float((errors[:, None] <= limits).float().mean())


def _describe(network: nn.Module, image: Float[Tensor, "3 h w"]) -> DescriptorMap:
    device = next(network.parameters()).device
    return network(image[None].to(device))


@dataclass(frozen=True)
class DescriptorProbe:
    """The measure on images of `held`. By way of images of `others`, where `held` has only one. `sampling` says which
    points are matches."""

    held: FrameStore
    others: FrameStore
    sampling: PairSampling = field(default_factory=PairSampling)

    def __call__(self, network: nn.Module) -> Scores:
        return {
            kind: [question.score(network) for question in questions]
            for kind, questions in self.questions.items()
        }

    @cached_property
    def questions(self) -> dict[str, list[Question]]:
        """By kind, drawn once."""
        true = self._true_pairs()
        if len(true) >= FEWEST_PAIRS:
            return {TRUE: true}
        found = {TRUE: true, "warps": self._warps(), "cycles": self._cycles()}
        return {kind: questions for kind, questions in found.items() if questions}

    @property
    def true(self) -> bool:
        """Whether the answers come from geometry."""
        return list(self.questions) == [TRUE]

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "questions"}

    def _true_pairs(self) -> list[Question]:
        generator = torch.Generator().manual_seed(1)
        try:
            source = PairSource(self.held, self.sampling)
        except DataError:
            return []
        found = []
        for _ in range(TRUE_PAIRS):
            a, b, matches = source.draw(generator)
            rows = spread(matches.found.visible, POINTS)
            if overlap(matches) < self.sampling.min_overlap or len(rows) < 8:
                continue
            answers = matches.found.uv_b[rows, None]
            if matches.alternatives_b is not None:
                answers = torch.cat((answers, matches.alternatives_b[rows]), 1)
            images = (a.image.float() / 255, b.image.float() / 255)
            found.append(Question(*images, matches.found.uv_a[rows], answers))
        return found

    def _warps(self) -> list[Question]:
        generator = torch.Generator().manual_seed(2)
        return [_warped(self.held, i, generator) for i in _in_turn(len(self.held), WARPS)]

    def _cycles(self) -> list[Question]:
        generator, found = torch.Generator().manual_seed(3), []
        for turn, i in enumerate(_in_turn(len(self.held), CYCLES)):
            ways = _partners(self.held, i, self.others)
            if not ways:
                continue
            store, j = ways[(turn // max(1, min(CYCLES, len(self.held)))) % len(ways)]
            asked = _warped(self.held, i, generator)
            way = store[j].image.float() / 255
            found.append(Question(asked.image_a, asked.image_b, asked.uv_a, asked.answers, way))
        return found


def _in_turn(length: int, number: int) -> list[int]:
    """`number` of 0 ... length - 1, evenly, each as often as it takes."""
    if length >= number:
        return [i * length // number for i in range(number)]
    return [i % length for i in range(number)] if length else []


def _partners(held: FrameStore, i: int, others: FrameStore) -> Sequence[tuple[FrameStore, int]]:
    """Other images of the recording of view i: held-out ones, then those that are trained on, if need be."""
    name = held.dataset.recordings[held.index[i][0]].name
    own = [(held, j) for j in range(len(held)) if j != i and held.index[j][0] == held.index[i][0]]
    return own or [
        (others, j)
        for j in range(len(others))
        if others.dataset.recordings[others.index[j][0]].name == name
        and others.view(j).image != held.view(i).image
    ]


def _warped(store: FrameStore, i: int, generator: torch.Generator) -> Question:
    """A view and another of the same image, and points that both show."""
    image = store[i].image[None].float() / 255
    pair = two_views(ImageBatch(image, None), WARPED, generator, 3 * POINTS, textured=True)
    rows = spread(pair.valid[0], POINTS)
    return Question(pair.image_a[0], pair.image_b[0], pair.uv_a[0, rows], pair.uv_b[0, rows, None])
