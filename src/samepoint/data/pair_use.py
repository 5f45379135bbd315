"""What pairs with true correspondences use of a data set (`sampling.PairSource`), and what they do not and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from samepoint.data.copies import declares_symmetry
from samepoint.data.partners import MATCHING, PairKind
from samepoint.data.sampling import PairSource
from samepoint.data.use import DataUse, clicks_of, counted, images_of, objects_of

KINDS: dict[PairKind, str] = {
    "within": "pairs within a recording",
    "across": "pairs across recordings",
    "synchronised": "pairs of two cameras at one moment",
    "different": "pairs of different objects",
    "robot_only": "pairs with images of the robot alone",
    "collage": "collages",
}


def pair_use(source: PairSource, *, background: bool) -> DataUse:
    """Of a training on pairs; `background`: masks also say what is replaced round the objects."""
    return DataUse(tuple(_uses(source, background)), tuple(_not_used(source)))


def _uses(source: PairSource, background: bool) -> Iterator[str]:
    partners, store, sampling = source.partners, source.store, source.sampling
    used = partners.used()
    yield images_of(store, used)
    dense = [i for i in used if store.view(i).depth_quantiles is not None]
    yield "depth and its density along rays" if dense and sampling.density else "depth"
    if any(partners.by_scene(i) for i in used):
        yield "camera poses"
    posed = {key for i in source.starts for key in partners.posed_in_pairs(i)}
    if posed:
        yield f"poses of {counted(len(posed), 'object')}"
    masked = [i for i in source.starts if partners.drawn_of[i]]
    if masked:
        number = len(objects_of((store.view(i) for i in masked), masked=True))
        what = "points on masks, background replaced" if background else "points on masks"
        yield f"masks of {counted(number, 'object')} ({what})"
        starts = set(source.starts)
        if bare := sum(not partners.objects_of[i] and i not in starts for i in used):
            yield f"{bare} of the images without masks (as the second of a pair)"
        if whole := {store.index[i][0] for i in source.starts if not partners.drawn_of[i]}:
            yield f"points anywhere in {counted(len(whole), 'recording')} without masks"
    if source.finder.copies is not None:
        symmetric = _symmetric(source) & _posed(source)
        if symmetric:
            yield f"symmetries of {counted(len(symmetric), 'object')}"
    yield from (KINDS[kind] for kind in drawn_kinds(source))


def drawn_kinds(source: PairSource) -> list[PairKind]:
    """The kinds of pairs that are drawn."""
    found: list[PairKind] = [
        kind
        for kind in MATCHING
        if (source.weights[kind] > 0 or any(kind in needed for needed in source.needed.values()))
        and any(source.partners.reaches(i, kind) for i in source.starts)
    ]
    if not found:  # all of weight 0: the others give way to what there is
        found = [k for k in MATCHING if any(source.partners.reaches(i, k) for i in source.starts)]
    for kind in ("different", "robot_only"):
        if source.weights[kind] > 0 and any(source.partners.of_kind(i, kind) for i in source.starts):
            found.append(kind)
    if source.weights["collage"] > 0 and source.partners.collages():
        found.append("collage")
    return found


def _not_used(source: PairSource) -> Iterator[str]:
    partners, store, sampling = source.partners, source.store, source.sampling
    dataset, views = store.dataset, [store.view(i) for i in range(len(store))]
    used = partners.used()
    reasons = Counter(_reason(source, i) for i in range(len(store)) if i not in used)
    reasons.pop("robot", None)
    yield from (f"{counted(number, 'image')} ({reason})" for reason, number in reasons.items())
    if not sampling.masks:
        for what, number in (("masks", len(objects_of(views, masked=True))), ("poses", len(_posed(source)))):
            if number:
                yield f"{what} of {counted(number, 'object')} (--sampling.no-masks)"
    else:
        yield from _objects_not_used(source)
    if partners.robot and "robot_only" not in drawn_kinds(source):
        number = counted(len(partners.robot), "image")
        yield f"{number} of the robot alone (--sampling.mixture.robot-only is 0)"
    if not sampling.density and any(view.depth_quantiles is not None for view in views):
        yield "density along rays (--sampling.no-density)"
    for kind in ("different", "robot_only", "collage"):
        if source.weights[kind] > 0 and kind not in drawn_kinds(source):
            yield f"{KINDS[kind]} (the data has none)"
    yield from clicks_of(dataset)


def _objects_not_used(source: PairSource) -> Iterator[str]:
    """Of objects with masks or poses: what relates them to nothing further."""
    views = source.store.dataset.views()
    masked, posed = objects_of(views, masked=True), _posed(source)
    if posed - masked:
        yield f"poses of {counted(len(posed - masked), 'object')} without masks (points are drawn on masks)"
    apart = _apart(source) if source.weights["across"] > 0 else []
    if apart:
        what = f"object {apart[0]}" if len(apart) == 1 else counted(len(apart), "object")
        reason = "without the objects' poses recordings share no coordinates"
        yield f"pairs of {what} across recordings ({reason})"
    symmetric = _symmetric(source)
    if symmetric - posed:
        yield f"symmetries of {counted(len(symmetric - posed), 'object')} (they have no poses)"
    if symmetric & posed and source.finder.copies is None:
        yield f"symmetries of {counted(len(symmetric & posed), 'object')} (--sampling.no-symmetries)"


def _apart(source: PairSource) -> list[int]:
    """Objects with masks in several recordings that no poses relate across these."""
    shown: dict[int, set[int]] = defaultdict(set)
    posed: dict[int, set[int]] = defaultdict(set)
    for r, recording in enumerate(source.store.dataset.recordings):
        for placement in (p for view in recording.views() for p in view.placements):
            if placement.mask is not None:
                shown[placement.object_id].add(r)
            if placement.camera_from_object is not None:
                posed[placement.object_id].add(r)
    return [number for number, of in sorted(shown.items()) if len(of) > 1 and len(posed[number]) < 2]


def _reason(source: PairSource, i: int) -> str:
    """Why view i is in no pair."""
    view, partners = source.store.view(i), source.partners
    if i in partners.robot:
        return "robot"
    if view.depth is None:
        return "without depth"
    if view.intrinsics is None:
        return "without intrinsics"
    if i in partners.blank:
        return "their masks show nothing of known depth"
    if view.world_from_camera is None and not partners.posed_of[i]:
        return "without a camera pose"
    if not source.store.dataset.recordings[source.store.index[i][0]].static:
        return "things move between them, and no other image shows an object of known pose or the same moment"
    return "no other image shows the same"


def _symmetric(source: PairSource) -> set[int]:
    dataset = source.store.dataset
    if not declares_symmetry(dataset):
        return set()
    seen = objects_of(dataset.views())
    return {number for number, model in dataset.objects.items() if model.symmetry is not None} & seen


def _posed(source: PairSource) -> set[int]:
    return objects_of(source.store.dataset.views(), posed=True)
