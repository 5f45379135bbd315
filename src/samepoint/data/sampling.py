"""Sources of training batches: image pairs with true correspondences, and plain images.

A source runs in a loader worker and depends on nothing but the generator it is given.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from samepoint.correspondence.answers import widened
from samepoint.data.collage import collage
from samepoint.data.copies import SPACING
from samepoint.data.decode import fitted_size, image_size
from samepoint.data.matches import FrameMatches, Identity, MatchFinder, Objects
from samepoint.data.partners import MATCHING, PairKind, PairMixture, Partners, index
from samepoint.data.store import Frame, FrameStore
from samepoint.errors import DataError
from samepoint.types import ImageBatch, PairBatch, Size


@dataclass(frozen=True)
class PairSampling:
    """How pairs are drawn.

    `mixture`: the kinds of pairs. Of the pixels drawn on A (on the objects that both images hold; anywhere in
    recordings without masks), B must see at least the fraction `min_overlap`. `objects`: points on all objects that
    both images hold, or on one of them, the others being background. `masks` false: no use of masks and object poses,
    points anywhere (depth and camera poses must do). `identity`: the very same object, or any of its family.
    `density`: where the density along rays is known, depths are drawn from it (else the likeliest is taken).
    `symmetries` false: objects that the data set declares symmetric are taken for ones that are not; `spacing`:
    pixels between copies about an axis.
    """

    pairs: int = 4
    points: int = 256
    mixture: PairMixture = field(default_factory=PairMixture)
    min_overlap: float = 0.2
    objects: Objects = "all"
    masks: bool = True
    identity: Identity = "instance"
    density: bool = True
    symmetries: bool = True
    spacing: float = SPACING


class PairSource:
    """Pairs of views with true correspondences, sampled object by object (seed 002; methods: object-wise).

    Where any view has masks, batches have labels: an image without masks is then one thing all over, of which nothing
    is background. Raises DataError when no view has a partner.
    """

    def __init__(self, store: FrameStore, sampling: PairSampling) -> None:
        self.store, self.sampling = store, sampling
        self.finder = MatchFinder(
            store.dataset, sampling.identity,
            objects=sampling.objects, masks=sampling.masks, density=sampling.density,
            symmetries=sampling.symmetries, spacing=sampling.spacing,
        )  # fmt: skip
        self.partners = Partners(store, self.finder)
        self.weights = sampling.mixture.weights()
        self.starts = self.partners.starts
        if not self.starts:
            raise nothing_related(store, self.partners)
        self.needed = {i: found for i in self.starts if (found := self.partners.only_by(i, self.weights))}
        self.canvas = canvas_of(store)

    def sample(self, generator: torch.Generator) -> PairBatch:
        """A batch of `pairs` pairs, with the overlap asked for wherever such a pair was found."""
        return _stack([self._pair(generator) for _ in range(self.sampling.pairs)])

    def draw(self, generator: torch.Generator) -> tuple[Frame, Frame, FrameMatches]:
        """Two views and pixels of the first with their fate in the second (twice as many as `points`)."""
        best = None
        for _ in range(12):
            i, j = self._partner(generator)
            a, b = self.store[i], self.store[j]
            matches = self.finder.sample(a, b, 2 * self.sampling.points, generator)
            if best is None or overlap(matches) > overlap(best[2]):
                best = (a, b, matches)
            if overlap(matches) >= self.sampling.min_overlap:
                break
        assert best is not None
        return best

    def _pair(self, generator: torch.Generator) -> PairBatch:
        kind = self._kind(tuple(self.weights), generator)
        if kind in ("different", "robot_only"):
            return self._unrelated(kind, generator) or self._matched(generator)
        if kind == "collage":
            return self._collage(generator)
        return self._matched(generator)

    def _kind(
        self,
        kinds: tuple[PairKind, ...],
        generator: torch.Generator,
        needed: tuple[PairKind, ...] = (),
    ) -> PairKind:
        """One of these kinds, by the weights of the mixture; evenly where they have none. `needed` ones have the
        largest weight there is."""
        given = [self.weights[kind] for kind in kinds]
        weights = torch.tensor([max(given) if kind in needed else w for kind, w in zip(kinds, given)])
        weights = weights if float(weights.sum()) > 0 else torch.ones(len(kinds))
        return kinds[int(torch.multinomial(weights, 1, generator=generator))]

    def _partner(self, generator: torch.Generator) -> tuple[int, int]:
        """A view and one that it can be matched with, of a kind by weight if there is such a partner."""
        i = self.starts[index(len(self.starts), generator)]
        wanted = self._kind(MATCHING, generator, self.needed.get(i, ()))
        for kind in (wanted, *MATCHING):
            j = self.partners.draw(i, kind, generator)
            if j is not None:
                return i, j
        raise AssertionError("every start has a partner")

    def _matched(self, generator: torch.Generator) -> PairBatch:
        return self._pad(*self.draw(generator))

    def _collage(self, generator: torch.Generator) -> PairBatch:
        """The objects of one pair in another; the first pair alone where no pair of other objects is found."""
        a, b, matches = self.draw(generator)
        base = self._pad(a, b, matches)
        if matches.labels_a is None or matches.labels_b is None:
            return base
        taken = self.partners.things(a.view) | self.partners.things(b.view)
        for _ in range(8):
            c, d, others = self.draw(generator)
            shown = self.partners.things(c.view) | self.partners.things(d.view)
            if taken.isdisjoint(shown) and others.labels_a is not None and others.labels_b is not None:
                return collage(base, self._pad(c, d, others), generator)
        return base

    def _unrelated(self, kind: PairKind, generator: torch.Generator) -> PairBatch | None:
        """Two views without a common object: rows of points on objects of each, none of which matches."""
        i = self.starts[index(len(self.starts), generator)]
        j = self.partners.draw(i, kind, generator)
        if j is None:
            return None
        a, b = self.store[i], self.store[j]
        return self._pad(a, b, self.finder.unrelated(a, b, self.sampling.points, generator), unmatched=True)

    def _pad(self, a: Frame, b: Frame, matches: FrameMatches, *, unmatched: bool = False) -> PairBatch:
        """One pair on the canvas, with exactly `points` rows, as a batch of one."""
        points = self.sampling.points
        rows_of = torch.ones_like(matches.found.visible) if unmatched else matches.found.visible
        kept = spread(rows_of, points)

        def rows(values: Shaped[Tensor, m * r], filling: float = 0) -> Shaped[Tensor, "1 n *r"]:
            padded = values.new_full((points, *values.shape[1:]), filling)
            padded[: len(kept)] = values[kept]
            return padded[None]

        def others(values: Tensor | None) -> Tensor | None:
            if self.finder.copies is None:
                return None
            return rows(torch.empty(len(rows_of), 0, 2) if values is None else values, torch.nan)

        real = (torch.arange(points) < len(kept))[None]
        return PairBatch(
            image_a=_on_canvas(a.image, self.canvas)[None].float() / 255,
            image_b=_on_canvas(b.image, self.canvas)[None].float() / 255,
            uv_a=rows(matches.found.uv_a),
            uv_b=rows(matches.found.uv_b),
            valid=real & (not unmatched),
            object=rows(matches.object.clamp(min=1) if self.partners.masked else matches.object),
            labels_a=self._labels(matches.labels_a, a),
            labels_b=self._labels(matches.labels_b, b),
            unmatched=real & unmatched,
            alternatives_a=others(matches.alternatives_a),
            alternatives_b=others(matches.alternatives_b),
        )

    def _labels(self, labels: Int[Tensor, "h w"] | None, frame: Frame) -> Int[Tensor, "1 h2 w2"] | None:
        """On the canvas; without masks label 1 all over, where other views of the store have some."""
        if labels is None and self.partners.masked:
            labels = torch.ones_like(frame.image[0], dtype=torch.int64)
        return None if labels is None else _on_canvas(labels, self.canvas)[None]


def nothing_related(store: FrameStore, partners: Partners) -> DataError:
    """Why no two views can be matched."""
    views = [store.view(i) for i in range(len(store))]
    lacking = [
        name
        for name, number in (
            ("depth", sum(view.depth is not None for view in views)),
            ("intrinsics", sum(view.intrinsics is not None for view in views)),
            ("camera poses", sum(view.world_from_camera is not None for view in views)),
        )
        if number == 0
    ]
    line = "no two views are related by geometry"
    modes = {recording.mode for recording in store.dataset.recordings}
    if len(views) == 1:
        line += " (there is one view)"
    elif lacking:
        line += f" (no view has {', '.join(lacking)})"
    elif modes == {"shuffle"}:
        line += " (objects are rearranged between the images, and no object has a mask and a pose in two)"
    elif partners.blank:
        line += f" (the masks of {len(partners.blank)} views show nothing of known depth)"
    mend = "geometry needs depth, intrinsics and poses; train photos with identical-view or ccl"
    return DataError(line, where=store.dataset.root, mend=mend)


class ImageSource:
    """Batches of images on one canvas, with the masks of their objects where they are known and wanted (else all
    of the image).

    No image is in a batch twice, so that a small data set makes smaller batches. `together`: the images of a
    batch are of one recording, if it has two or more.
    """

    def __init__(
        self, store: FrameStore, images: int, *, on_objects: bool = False, together: bool = False
    ) -> None:
        self.store, self.images, self.on_objects, self.together = store, images, on_objects, together
        self.canvas = canvas_of(store)
        self.of_recording: dict[int, list[int]] = defaultdict(list)
        for i, (recording, _, _) in enumerate(store.index):
            self.of_recording[recording].append(i)

    def sample(self, generator: torch.Generator) -> ImageBatch:
        frames = [self.store[i] for i in self._draw(generator)]
        images = torch.stack([_on_canvas(frame.image, self.canvas).float() / 255 for frame in frames])
        masks = torch.stack([_on_canvas(self._inside(frame), self.canvas) for frame in frames])
        return ImageBatch(images, masks)

    def _inside(self, frame: Frame) -> Bool[Tensor, "h w"]:
        """Where points may be: on the objects, if that is wanted and the image has masks that show some."""
        if self.on_objects and frame.labels is not None and bool((frame.labels > 0).any()):
            return frame.labels > 0
        return torch.ones_like(frame.image[0], dtype=torch.bool)

    def _draw(self, generator: torch.Generator) -> list[int]:
        """Every image is as likely as any other; `together`: then others of its recording."""
        if self.together:
            first = index(len(self.store), generator)
            own = self.of_recording[self.store.index[first][0]]
            if len(own) > 1:
                return [own[i] for i in torch.randperm(len(own), generator=generator)[: self.images].tolist()]
        return torch.randperm(len(self.store), generator=generator)[: self.images].tolist()


def overlap(matches: FrameMatches) -> float:
    """The fraction of the pixels drawn on A that B sees; 0 if none could be drawn."""
    return float(matches.found.visible.sum()) / max(1, len(matches.found.outcome))


def spread(rows: Bool[Tensor, " n"], number: int) -> Int[Tensor, " k"]:
    """At most `number` of the rows that are true, spread over all of them, for matches come object by object."""
    chosen = rows.nonzero()[:, 0]
    return chosen if len(chosen) <= number else chosen[torch.arange(number) * len(chosen) // number]


def canvas_of(store: FrameStore) -> Size:
    """The smallest size that holds every image of the store."""
    if len(store) == 0:
        raise DataError("there is no image", where=store.dataset.root, mend="give a data set with images")
    sizes = {fitted_size(image_size(view.image), store.max_size) for view in store.dataset.views()}
    return max(size[0] for size in sizes), max(size[1] for size in sizes)


def _on_canvas(values: Shaped[Tensor, "*c h w"], canvas: Size) -> Shaped[Tensor, "*c h2 w2"]:
    """Zeros to the right and below, so that pixels keep their uv."""
    height, width = values.shape[-2:]
    return F.pad(values, (0, canvas[1] - width, 0, canvas[0] - height))


def _stack(batches: list[PairBatch]) -> PairBatch:
    """One batch of several; a field that any of them lacks is absent."""

    def joined(name: str) -> Tensor | None:
        values = [getattr(batch, name) for batch in batches]
        if any(v is None for v in values):
            return None
        return torch.cat(widened(values) if name.startswith("alternatives") else values)

    return PairBatch(**{field.name: joined(field.name) for field in fields(PairBatch)})  # type: ignore[arg-type]
