"""What a training uses of its data, and what it found and does not use: two lines that `samepoint train` prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from samepoint.data.motion_sampling import SMALLEST, PosedViews, Sight, SingleViews
from samepoint.data.pair_use import pair_use
from samepoint.data.recording import Dataset
from samepoint.data.sampling import PairSource
from samepoint.data.store import FrameStore
from samepoint.data.use import (
    DataUse,
    clicks_of,
    counted,
    found_besides,
    image_use,
    images_of,
    kept_back,
    objects_of,
)
from samepoint.recipes.ccl import Ccl
from samepoint.recipes.don import Don
from samepoint.recipes.identical_view import IdenticalView
from samepoint.recipes.mined import Mined
from samepoint.recipes.s3k import S3k


def data_use(recipe: object, store: FrameStore, whole: Dataset) -> DataUse:
    """Of a training of `recipe` on `store`, which holds the images of the data set `whole` that are trained on.

    Only what is really used is claimed. The notes of the data set (what its reader left out) are among what is not.
    """
    used = _of_method(recipe, store)
    return replace(used, not_used=(*used.not_used, *kept_back(store, whole), *whole.notes))


def _of_method(recipe: object, store: FrameStore) -> DataUse:
    if isinstance(recipe, Don):
        return pair_use(PairSource(store, recipe.sampling), background=recipe.augmentation.background > 0)
    if isinstance(recipe, IdenticalView | Ccl):
        return image_use(store, on_objects=recipe.on_objects, method=recipe.name)
    if isinstance(recipe, Mined):
        return _mined(recipe, store)
    if isinstance(recipe, S3k):
        return _s3k(recipe, store)
    return DataUse((images_of(store),))


def _mined(recipe: Mined, store: FrameStore) -> DataUse:
    source = recipe.source(store)
    if isinstance(source, PosedViews):
        sights = [sight for of in source.objects for sight in of]
    else:
        assert isinstance(source, SingleViews)
        sights = source.sights
    frames = {sight.frame for sight in sights}
    replaced = ", background replaced" if recipe.augmentation.background > 0 else ""
    objects = len({_object(store, sight) for sight in sights})
    uses = [
        images_of(store, frames),
        f"masks of {counted(objects, 'object')} (views cut round them{replaced})",
    ]
    taken = ["masks"]
    if isinstance(source, PosedViews):
        uses += ["their poses", "intrinsics"]
        taken.append("poses")
    else:
        views = [store.view(i) for i in frames]
        known = {
            "depth": sum(view.depth is not None for view in views),
            "intrinsics": sum(view.intrinsics is not None for view in views),
        }
        uses += [f"{name} of {counted(number, 'image')}" for name, number in known.items() if number]
        taken.append("depth")
    left = _without_sight(store, sights, posed=isinstance(source, PosedViews))
    if other := found_besides((store.view(i) for i in frames), taken):
        left.append(f"{', '.join(other)} ({recipe.name} of this kind of views needs none)")
    return DataUse(tuple(uses), (*left, *clicks_of(store.dataset)))


def _object(store: FrameStore, sight: Sight) -> int:
    return store.view(sight.frame).placements[sight.placement].object_id


def _without_sight(store: FrameStore, sights: list[Sight], *, posed: bool) -> list[str]:
    """Images that show no object to look at, by reason."""
    seen = {sight.frame for sight in sights}
    reasons: Counter[str] = Counter()
    for i in set(range(len(store))) - seen:
        view = store.view(i)
        if not objects_of([view], masked=True):
            reasons["without a mask"] += 1
        elif posed and not objects_of([view], masked=True, posed=True):
            reasons["without a pose of the object"] += 1
        else:
            again = ", or the object has a pose in one image only" if posed else ""
            reasons[f"masks of under {SMALLEST} pixels{again}"] += 1
    return [f"{counted(number, 'image')} ({reason})" for reason, number in reasons.items()]


def _s3k(recipe: S3k, store: FrameStore) -> DataUse:
    moments, dataset = recipe.moments(store), store.dataset
    labelled, unlabelled = set(moments.labelled), set(moments.unlabelled) - set(moments.labelled)
    if recipe.self_supervision.weight == 0:
        unlabelled = set()
    places = {moments.places[k] for k in labelled | unlabelled}
    frames = [i for i, (r, m, _) in enumerate(store.index) if (r, m) in places]
    cameras = len({store.view(i).camera for i in frames})
    uses = [
        f"{counted(len(labelled), 'labelled moment')} and {len(unlabelled)} unlabelled ones of"
        f" {counted(cameras, 'camera')} ({images_of(store, frames)})",
        f"labels of {counted(len(moments.names), 'keypoint')}",
        "calibrations",
    ]
    left: list[str] = []
    clicked = {
        (r, m) for r, rec in enumerate(dataset.recordings) for m, mo in enumerate(rec.moments) if mo.clicks
    }
    alone = clicked - {moments.places[k] for k in labelled}
    if alone:
        left.append(f"labels of {counted(len(alone), 'moment')} (each in one view only)")
    if recipe.self_supervision.weight == 0 and len(moments.unlabelled):
        left.append("moments without labels (--self-supervision.weight is 0)")
    everywhere = {(r, m) for r, m, _ in store.index}
    if few := len(everywhere - set(moments.places)):
        left.append(f"{counted(few, 'moment')} (fewer than two calibrated views)")
    if other := found_besides(dataset.views(), ("cameras",)):
        left.append(f"{', '.join(other)} (s3k learns from images, calibrations and labels)")
    return DataUse(tuple(uses), tuple(left))
