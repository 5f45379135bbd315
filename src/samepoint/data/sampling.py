"""Sources of training batches: image pairs with true correspondences, and plain images.

A source runs in a loader worker and depends on nothing but the generator it is given.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from samepoint.data.decode import fitted_size, image_size
from samepoint.data.matches import FrameMatches, Identity, MatchFinder
from samepoint.data.store import Frame, FrameStore
from samepoint.errors import DataError
from samepoint.types import ImageBatch, PairBatch, Size


@dataclass(frozen=True)
class PairSampling:
    """How pairs are drawn. `across_scenes` is the share of pairs from two different recordings (where the
    data has objects with poses). Of the pixels drawn on A (on the objects that both images hold), B must see at
    least the fraction `min_overlap`."""

    pairs: int = 4
    points: int = 256
    across_scenes: float = 0.5
    min_overlap: float = 0.2
    identity: Identity = "instance"


class PairSource:
    """Pairs of views with true correspondences, sampled object by object (seed 002; methods: object-wise).

    Raises DataError when no view has a partner.
    """

    def __init__(self, store: FrameStore, sampling: PairSampling) -> None:
        self.store, self.sampling = store, sampling
        self.finder = MatchFinder(store.dataset, sampling.identity)
        self.partners = _Partners(store, self.finder)
        if not self.partners.starts:
            raise DataError(
                "no two views are related by geometry",
                where=store.dataset.root,
                mend="geometry needs depth, intrinsics and poses; train photos with identical-view",
            )
        self.canvas = canvas_of(store)

    def sample(self, generator: torch.Generator) -> PairBatch:
        """A batch of `pairs` pairs, with the overlap asked for wherever such a pair was found."""
        drawn = [self.draw(generator) for _ in range(self.sampling.pairs)]
        return _stack([self._pad(a, b, matches) for a, b, matches in drawn])

    def draw(self, generator: torch.Generator) -> tuple[Frame, Frame, FrameMatches]:
        """Two views and pixels of the first with their fate in the second (twice as many as `points`)."""
        best = None
        for _ in range(12):
            i, j = self.partners.draw(self.sampling.across_scenes, generator)
            a, b = self.store[i], self.store[j]
            matches = self.finder.sample(a, b, 2 * self.sampling.points, generator)
            if best is None or overlap(matches) > overlap(best[2]):
                best = (a, b, matches)
            if overlap(matches) >= self.sampling.min_overlap:
                break
        assert best is not None
        return best

    def _pad(self, a: Frame, b: Frame, matches: FrameMatches) -> PairBatch:
        """One pair on the canvas, with exactly `points` rows, as a batch of one."""
        points, visible = self.sampling.points, matches.found.visible.nonzero()[:, 0]
        kept = visible[: self.sampling.points]

        def rows(values: Shaped[Tensor, m * r]) -> Shaped[Tensor, "1 n *r"]:
            padded = values.new_zeros(points, *values.shape[1:])
            padded[: len(kept)] = values[kept]
            return padded[None]

        return PairBatch(
            image_a=_on_canvas(a.image, self.canvas)[None].float() / 255,
            image_b=_on_canvas(b.image, self.canvas)[None].float() / 255,
            uv_a=rows(matches.found.uv_a),
            uv_b=rows(matches.found.uv_b),
            valid=(torch.arange(points) < len(kept))[None],
            object=rows(matches.object),
            labels_a=_labels(matches.labels_a, a, self.canvas),
            labels_b=_labels(matches.labels_b, b, self.canvas),
        )


class ImageSource:
    """Batches of images on one canvas, with the masks of their objects where they are known and wanted."""

    def __init__(self, store: FrameStore, images: int, *, on_objects: bool = False) -> None:
        self.store, self.images, self.on_objects = store, images, on_objects
        self.canvas = canvas_of(store)

    def sample(self, generator: torch.Generator) -> ImageBatch:
        chosen = torch.randint(len(self.store), (self.images,), generator=generator).tolist()
        frames = [self.store[i] for i in chosen]
        images = torch.stack([_on_canvas(frame.image, self.canvas).float() / 255 for frame in frames])
        masks = [frame.labels for frame in frames]
        if not self.on_objects or any(mask is None for mask in masks):
            inside = [_on_canvas(torch.ones_like(f.image[0], dtype=torch.bool), self.canvas) for f in frames]
            return ImageBatch(images, torch.stack(inside))
        return ImageBatch(
            images, torch.stack([_on_canvas(m > 0, self.canvas) for m in masks if m is not None])
        )


def overlap(matches: FrameMatches) -> float:
    """The fraction of the pixels drawn on A that B sees; 0 if none could be drawn."""
    return float(matches.found.visible.sum()) / max(1, len(matches.found.outcome))


def canvas_of(store: FrameStore) -> Size:
    """The smallest size that holds every image of the store."""
    if len(store) == 0:
        raise DataError("there is no image", where=store.dataset.root, mend="give a data set with images")
    sizes = {fitted_size(image_size(view.image), store.max_size) for view in store.dataset.views()}
    return max(size[0] for size in sizes), max(size[1] for size in sizes)


class _Partners:
    """Which views can be paired: within a static recording, and across recordings by a common object."""

    def __init__(self, store: FrameStore, finder: MatchFinder) -> None:
        self.within: dict[int, list[int]] = defaultdict(list)
        self.recording_of: dict[int, int] = {}
        self.by_object: dict[int | str, list[int]] = defaultdict(list)
        self.objects_of: dict[int, list[int | str]] = {}
        for i, (recording, moment, v) in enumerate(store.index):
            source = store.dataset.recordings[recording]
            view = source.moments[moment].views[v]
            if view.depth is None or view.intrinsics is None:
                continue
            self.recording_of[i] = recording
            keys = [
                finder.key(p)
                for p in view.placements
                if p.camera_from_object is not None and (p.visible_fraction or 1.0) > 0.1
            ]
            self.objects_of[i] = keys
            for key in keys:
                self.by_object[key].append(i)
            if keys or (source.static and view.world_from_camera is not None):
                self.within[recording].append(i)
        self.starts = [i for i in self.recording_of if self._near(i) or self._far(i)]

    def _near(self, i: int) -> list[int]:
        return [j for j in self.within[self.recording_of[i]] if j != i]

    def _far(self, i: int, key: int | str | None = None) -> list[int]:
        keys = self.objects_of[i] if key is None else [key]
        return [j for k in keys for j in self.by_object[k] if self.recording_of[j] != self.recording_of[i]]

    def draw(self, across: float, generator: torch.Generator) -> tuple[int, int]:
        i = self.starts[_index(len(self.starts), generator)]
        keys = self.objects_of[i]
        far: list[int] = []
        if keys and float(torch.rand((), generator=generator)) < across:
            far = self._far(i, keys[_index(len(keys), generator)])
        others = far or self._near(i) or self._far(i)
        return i, others[_index(len(others), generator)]


def _index(number: int, generator: torch.Generator) -> int:
    return int(torch.randint(number, (), generator=generator))


def _on_canvas(values: Shaped[Tensor, "*c h w"], canvas: Size) -> Shaped[Tensor, "*c h2 w2"]:
    """Zeros to the right and below, so that pixels keep their uv."""
    height, width = values.shape[-2:]
    return F.pad(values, (0, canvas[1] - width, 0, canvas[0] - height))


def _labels(labels: Tensor | None, frame: Frame, canvas: Size) -> Tensor | None:
    return None if labels is None else _on_canvas(labels, canvas)[None]


def _stack(batches: list[PairBatch]) -> PairBatch:
    """One batch of several; a field that any of them lacks is absent."""

    def joined(name: str) -> Tensor | None:
        values = [getattr(batch, name) for batch in batches]
        return None if any(v is None for v in values) else torch.cat(values)

    fields = ("image_a", "image_b", "uv_a", "uv_b", "valid", "object", "labels_a", "labels_b")
    return PairBatch(**{name: joined(name) for name in fields})  # type: ignore[arg-type]
