"""Pairs files from true correspondences: what `samepoint data pairs` writes and evaluations are scored on."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.correspondence.answers import known
from samepoint.data.links import crosses
from samepoint.data.matches import FrameMatches
from samepoint.data.pairs import Pair
from samepoint.data.partners import PairMixture
from samepoint.data.recording import Dataset
from samepoint.data.sampling import PairSampling, PairSource, overlap, spread
from samepoint.data.store import Frame, FrameStore
from samepoint.errors import DataError
from samepoint.geometry.pixels import nearest_pixel
from samepoint.types import Outcome

BOUNDARY = 0.02
"""Points nearer to the edge of their object's mask than this fraction of the image's long side are "boundary"."""


OVERLAP = 0.3
"""At least this fraction of what A shows of the shared objects (of the scene, without objects) must be seen in B."""

SPACING = 3.0
"""Pixels between the copies of a point about an axis of symmetry: no right answer is further than half of it from one
that is listed."""


def make_pairs(
    dataset: Dataset,
    *,
    number: int,
    points: int = 32,
    cross_scene: bool = False,
    cross_instance: bool = False,
    seed: int = 0,
) -> list[Pair]:
    """`number` pairs of images of `dataset`, each with up to `points` true matches, at the images' own size.

    With `cross_scene` the two images come from different recordings. Points that B does not show (hidden or
    out of frame) are included with `visible_b` false, at most a quarter as many as the visible ones. With
    `cross_instance` a point's match is the same point of another object of its family (by canonical coordinates;
    visible ones only). A point of an object with a declared symmetry also gets B's other visible copies of it as
    `alternatives_b`, and is visible if any copy is. Where rays have a distribution of depths, the likeliest counts.
    Points on objects carry the object's family (or number) and whether they lie inside it or near its boundary; in
    recordings with masks all points are on objects, whether these have poses or not. Deterministic by `seed`. Raises
    DataError when the data set relates no two views, or too few; with `cross_scene` where no object has poses in two
    recordings.
    """
    if cross_scene:
        require_crossing(dataset, families=cross_instance)
    store = FrameStore(dataset, max_size=None, budget_bytes=0)
    mixture = PairMixture(within=0.0, across=1.0) if cross_scene else PairMixture(within=1.0, across=0.0)
    identity = "family" if cross_instance else "instance"
    sampling = PairSampling(
        points=4 * points, mixture=mixture, min_overlap=OVERLAP, identity=identity, density=False,
        spacing=SPACING,
    )  # fmt: skip
    source = PairSource(store, sampling)
    generator = torch.Generator().manual_seed(seed)
    pairs: list[Pair] = []
    for _ in range(10 * number):
        if len(pairs) == number:
            return pairs
        a, b, matches = source.draw(generator)
        if overlap(matches) >= OVERLAP and (a.recording != b.recording) == cross_scene:
            wanted = _on_another_instance(a, b, matches) if cross_instance else None
            if wanted is None or bool(wanted.any()):
                pairs.append(_pair(dataset, a, b, matches, points, wanted))
    if len(pairs) == number:
        return pairs
    kind = "from different recordings" if cross_scene else "from one recording"
    raise DataError(
        f"only {len(pairs)} of {number} pairs {kind} overlap enough",
        where=dataset.root,
        mend="ask for fewer pairs, or give a data set with more views of the same objects",
    )


def require_crossing(dataset: Dataset, *, families: bool = False) -> None:
    """DataError where no two recordings share coordinates on an object (`families`: or on one of its family)."""
    if crosses(dataset, families=families):
        return
    if len(dataset.recordings) < 2:
        line = "pairs across scenes need two recordings, and there is one"
    else:
        line = "no object has poses in two recordings, so that they share no coordinates"
        if any(placement.mask is not None for view in dataset.views() for placement in view.placements):
            line += " (a mask does not say which point of its object is which)"
    mend = "leave out --cross-scene: pairs are then within recordings; or give the objects' poses"
    raise DataError(line, where=dataset.root, mend=mend)


def _on_another_instance(a: Frame, b: Frame, matches: FrameMatches) -> Bool[Tensor, " n"]:
    """Which matches are visible and lie on objects of different numbers."""
    found = matches.found
    return found.visible & (_object_at(a, found.uv_a) != _object_at(b, found.uv_b))


def _object_at(frame: Frame, uv: Float[Tensor, "n 2"]) -> Int[Tensor, " n"]:
    """The number of the object under each pixel, -1 for none."""
    if frame.labels is None:
        line = "this image has no masks, by which the objects of a family are told apart"
        raise DataError(line, where=frame.view.image, mend="leave out --cross-instance")
    ids = torch.tensor([-1, *(placement.object_id for placement in frame.view.placements)])
    return ids[_labels_at(frame.labels, uv)]


def _pair(
    dataset: Dataset,
    a: Frame,
    b: Frame,
    matches: FrameMatches,
    points: int,
    wanted: Bool[Tensor, " n"] | None = None,
) -> Pair:
    """`wanted`: which of the matches to take, if not all."""
    found = matches.found
    seen = spread(found.visible if wanted is None else wanted, points)
    hidden = (found.outcome == Outcome.OCCLUDED) | (found.outcome == Outcome.OUT_OF_FRAME)
    if wanted is not None:
        hidden = torch.zeros_like(hidden)
    unseen = spread(hidden, max(1, len(seen) // 4))
    rows = torch.cat((seen, unseen))
    return Pair(
        image_a=a.view.image,
        image_b=b.view.image,
        uv_a=found.uv_a[rows],
        uv_b=found.uv_b[rows],
        visible_b=torch.arange(len(rows)) < len(seen),
        object=_names(dataset, a, found.uv_a[rows]),
        region=_regions(a, found.uv_a[rows]),
        alternatives_b=_alternatives(matches.alternatives_b, rows),
        depth_b=found.depth_b[rows],
        intrinsics_b=b.intrinsics,
    )


def _alternatives(
    uv: Float[Tensor, "n k 2"] | None, rows: Int[Tensor, " m"]
) -> tuple[Float[Tensor, "_ 2"], ...] | None:
    """Those of the rows, each place (to a tenth of a pixel) once; None where no point has any."""
    if uv is None or not bool(known(uv[rows]).any()):
        return None
    return tuple(torch.unique(others[known(others)].round(decimals=1), dim=0) for others in uv[rows])


def _names(dataset: Dataset, frame: Frame, uv: Float[Tensor, "n 2"]) -> tuple[str | int | None, ...] | None:
    """Family and number of the object under each pixel, as in "mug 3"."""
    if frame.labels is None:
        return None
    names: list[str | None] = [None]
    for placement in frame.view.placements:
        model = dataset.objects.get(placement.object_id)
        family = model.family if model is not None and model.family is not None else "object"
        names.append(f"{family} {placement.object_id}")
    return tuple(names[label] for label in _labels_at(frame.labels, uv).tolist())


def _regions(frame: Frame, uv: Float[Tensor, "n 2"]) -> tuple[str | None, ...] | None:
    if frame.labels is None:
        return None
    limit = BOUNDARY * max(frame.labels.shape)
    labels = frame.labels.numpy()
    edge = np.zeros(labels.shape, np.int16)
    for label in np.unique(labels[labels > 0]):
        mask = np.pad((labels == label).astype(np.uint8), 1)
        inner = cv2.distanceTransform(mask, cv2.DIST_L2, 5)[1:-1, 1:-1]
        edge |= ((inner > 0) & (inner <= limit)).astype(np.int16)
    near = _labels_at(torch.from_numpy(edge), uv)
    return tuple("boundary" if flag else "inside" for flag in near.tolist())


def _labels_at(labels: Int[Tensor, "h w"], uv: Float[Tensor, "n 2"]) -> Int[Tensor, n]:
    row, column = nearest_pixel(uv, (labels.shape[0], labels.shape[1]))
    return labels[row, column].long()
