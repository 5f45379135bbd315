"""What a training uses of a data set, what it found there and does not use, and why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from samepoint.data.recording import Dataset, View
from samepoint.data.store import FrameStore


@dataclass(frozen=True)
class DataUse:
    """Phrases, such as "40 images of 1 recording"; those of `not_used` end with the reason in brackets."""

    uses: tuple[str, ...]
    not_used: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, str]:
        """What `samepoint train` prints."""
        left = "; ".join(self.not_used) or "nothing, all that was found is used"
        return f"uses: {', '.join(self.uses)}", f"not used: {left}"

    def to_json(self) -> dict[str, list[str]]:
        return {"uses": list(self.uses), "not_used": list(self.not_used)}


def counted(number: int, noun: str) -> str:
    """ "1 image", "3 images"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def images_of(store: FrameStore, chosen: Iterable[int] | None = None) -> str:
    """How many of the images (default: all) of how many recordings."""
    views = range(len(store)) if chosen is None else sorted(chosen)
    recordings = {store.index[i][0] for i in views}
    return f"{counted(len(views), 'image')} of {counted(len(recordings), 'recording')}"


def objects_of(views: Iterable[View], *, masked: bool = False, posed: bool = False) -> set[int]:
    """The numbers of the objects that have a mask, a pose."""
    return {
        p.object_id
        for view in views
        for p in view.placements
        if (not masked or p.mask is not None) and (not posed or p.camera_from_object is not None)
    }


def kept_back(store: FrameStore, whole: Dataset) -> Iterator[str]:
    """Images of the data set that are not in the store that is trained on: other splits, held-out ones."""
    trained = {view.image for view in store.dataset.views()}
    splits: Counter[str] = Counter()
    for recording in whole.recordings:
        missing = sum(view.image not in trained for view in recording.views())
        splits["split test" if recording.split == "test" else "kept to measure on"] += missing
    yield from (f"{counted(number, 'image')} ({reason})" for reason, number in splits.items() if number)


def found_besides(views: Iterable[View], left_out: Iterable[str]) -> list[str]:
    """Of what views may have beside their images, all that is not in `left_out`, with how many have it."""
    views = list(views)
    posed = counted(len(objects_of(views, posed=True)), "object")
    masked = counted(len(objects_of(views, masked=True)), "object")
    amounts = {
        "depth": (sum(v.depth is not None for v in views), "depth of {}"),
        "cameras": (sum(v.world_from_camera is not None for v in views), "camera poses of {}"),
        "masks": (
            sum(any(p.mask is not None for p in v.placements) for v in views),
            f"masks of {masked} in {{}}",
        ),
        "poses": (
            sum(any(p.camera_from_object is not None for p in v.placements) for v in views),
            f"poses of {posed} in {{}}",
        ),
    }
    skipped = set(left_out)
    return [
        phrase.format(counted(number, "image"))
        for name, (number, phrase) in amounts.items()
        if number and name not in skipped
    ]


def clicks_of(dataset: Dataset) -> list[str]:
    """Labels of keypoints, which only s3k learns from."""
    moments = sum(bool(m.clicks) for recording in dataset.recordings for m in recording.moments)
    return [f"labels of keypoints in {counted(moments, 'moment')} (s3k learns from them)"] if moments else []


def image_use(store: FrameStore, *, on_objects: bool, method: str) -> DataUse:
    """Of a method that trains on images alone (`ImageSource`)."""
    views = [store.view(i) for i in range(len(store))]
    masked = [view for view in views if any(p.mask is not None for p in view.placements)]
    uses, left = [images_of(store)], []
    if on_objects and masked:
        what = counted(len(objects_of(masked, masked=True)), "object")
        whole = "" if len(masked) == len(views) else ", anywhere in images without"
        uses.append(f"masks of {what} in {counted(len(masked), 'image')} (points on masks{whole})")
    elif masked:
        left += [f"{what} (--on-objects keeps points on them)" for what in _masks(masked)]
    if other := found_besides(views, ("masks",)):
        left.append(f"{', '.join(other)} ({method} learns from images alone)")
    return DataUse(tuple(uses), (*left, *clicks_of(store.dataset)))


def _masks(views: list[View]) -> list[str]:
    return found_besides(views, ("depth", "cameras", "poses"))
