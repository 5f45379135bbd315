"""Batches of moments that several calibrated cameras saw, labelled or not (S3K, seed 003)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.data.recording import Dataset, View
from samepoint.data.rig.points import RecordingLabels, keypoint_names, recording_labels
from samepoint.data.store import Frame, FrameStore
from samepoint.errors import DataError
from samepoint.geometry.pixels import resize_intrinsics
from samepoint.types import RigBatch, Size

LookFor = Literal["everywhere", "labelled"]
"""In which cameras a keypoint is looked for: all (seed 003: each appears in every view), or those in which somebody
labelled it at some moment (an animal's left side is never seen from the right)."""


@dataclass(frozen=True)
class RigMoments:
    """The moments of a data set: `places` (recording, moment), `xyz` of `names` (world, metres; NaN where there is no
    label), and by camera which keypoints are looked for."""

    names: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    xyz: Float[Tensor, "k n 3"]
    looked_for: dict[str, tuple[bool, ...]]

    @property
    def labelled(self) -> list[int]:
        """Moments with some label."""
        return self.xyz.isfinite().all(-1).any(-1).nonzero().flatten().tolist()

    @property
    def unlabelled(self) -> list[int]:
        """Moments in which some keypoint has no label."""
        return (~self.xyz.isfinite().all(-1)).any(-1).nonzero().flatten().tolist()


def rig_moments(
    dataset: Dataset, look_for: LookFor = "everywhere", names: Sequence[str] | None = None
) -> RigMoments:
    """The moments with two views or more. DataError where the data set is no rig, or names no keypoint.

    `names`: the keypoints and their order (default: those that are labelled)."""
    chosen = tuple(names or keypoint_names(dataset.recordings))
    if not chosen:
        mend = "click keypoints into labels.csv (docs/multi-camera.md)"
        raise DataError("no keypoint is labelled", where=dataset.root, mend=mend)
    places, rows = [], []
    for r, recording in enumerate(dataset.recordings):
        labels = recording_labels(recording)
        for m, moment in enumerate(recording.moments):
            if sum(_posed(view) for view in moment.views) >= 2:
                places.append((r, m))
                rows.append(_row(labels, m, chosen))
    if not places:
        mend = "give a recording of calibrated cameras (docs/multi-camera.md)"
        raise DataError("has no moment with two calibrated views", where=dataset.root, mend=mend)
    return RigMoments(chosen, tuple(places), torch.stack(rows), _looked_for(dataset, chosen, look_for))


def _row(labels: RecordingLabels, m: int, names: tuple[str, ...]) -> Float[Tensor, "n 3"]:
    unknown = torch.full((3,), torch.nan)
    return torch.stack([labels.points[m].get(name, unknown) for name in names])


def _looked_for(dataset: Dataset, names: tuple[str, ...], look_for: LookFor) -> dict[str, tuple[bool, ...]]:
    cameras = {view.camera: set[str]() for view in dataset.views()}
    for recording in dataset.recordings:
        for moment in recording.moments:
            for camera, clicks in moment.clicks.items():
                cameras[camera].update(clicks)
    return {
        camera: tuple(look_for == "everywhere" or name in clicked for name in names)
        for camera, clicked in cameras.items()
    }


@dataclass(frozen=True)
class RigSource:
    """`number` moments drawn from `chosen` (indices into `moments`), without repetition as far as they last.

    Their images are fitted into one size: scaled by area to the largest that fits, the rest black at the right or
    below.
    """

    store: FrameStore
    moments: RigMoments
    chosen: tuple[int, ...]
    number: int
    size: Size

    def sample(self, generator: torch.Generator) -> RigBatch:
        order: list[int] = []
        while len(order) < self.number:
            order += torch.randperm(len(self.chosen), generator=generator).tolist()
        return rig_batch(self.store, self.moments, [self.chosen[i] for i in order[: self.number]], self.size)


def rig_batch(store: FrameStore, moments: RigMoments, chosen: Sequence[int], size: Size) -> RigBatch:
    """These moments, with as many views as the one that has most."""
    taken = [_views(store, moments.places[k]) for k in chosen]
    cameras = max(len(frames) for frames in taken)
    nothing = torch.zeros(2, dtype=torch.long), torch.zeros(len(moments.names), dtype=torch.bool)
    empty = torch.zeros(3, *size), torch.eye(3), torch.eye(4), *nothing
    rows: list[tuple[Tensor, ...]] = []
    present = torch.zeros(len(taken), cameras, dtype=torch.bool)
    for i, frames in enumerate(taken):
        present[i, : len(frames)] = True
        for frame in frames:
            image, intrinsics = fitted(frame, size)
            assert frame.view.world_from_camera is not None
            wanted = torch.tensor(moments.looked_for[frame.view.camera])
            shown = torch.tensor(fitted_size((frame.image.shape[1], frame.image.shape[2]), size))
            rows.append((image, intrinsics, frame.view.world_from_camera, shown, wanted))
        rows += [empty] * (cameras - len(frames))
    image, intrinsics, pose, shown, wanted = (
        torch.stack(column).unflatten(0, (len(taken), cameras)) for column in zip(*rows)
    )
    return RigBatch(image, intrinsics, pose, present, shown, moments.xyz[list(chosen)], wanted)


def _views(store: FrameStore, place: tuple[int, int]) -> list[Frame]:
    r, m = place
    views = store.dataset.recordings[r].moments[m].views
    return [store[store.position[r, m, v]] for v, view in enumerate(views) if _posed(view)]


def _posed(view: View) -> bool:
    return view.intrinsics is not None and view.world_from_camera is not None


def fitted(frame: Frame, size: Size) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3 3"]]:
    """A frame's image and camera matrix as they are in a batch."""
    assert frame.intrinsics is not None
    image = frame.image.float() / 255
    height, width = image.shape[-2:]
    if (height, width) == size:
        return image, frame.intrinsics
    small = fitted_size((height, width), size)
    if small != (height, width):
        image = F.interpolate(image[None], small, mode="area")[0]
    image = F.pad(image, (0, size[1] - small[1], 0, size[0] - small[0]))
    return image, resize_intrinsics(frame.intrinsics, (height, width), small)


def fitted_size(size: Size, within: Size) -> Size:
    """The size of an image in a batch of images `within`, without the black."""
    scale = min(within[0] / size[0], within[1] / size[1], 1.0)
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def largest(store: FrameStore) -> Size:
    """The size into which every image of a store fits."""
    sizes = {store[i].image.shape[-2:] for i in _first_of_each_camera(store)}
    return max(h for h, _ in sizes), max(w for _, w in sizes)


def _first_of_each_camera(store: FrameStore) -> list[int]:
    """In each recording: cameras of one name may have another size in another."""
    seen: dict[tuple[int, str], int] = {}
    for i, (r, _, _) in enumerate(store.index):
        seen.setdefault((r, store.view(i).camera), i)
    return list(seen.values())


def visible(batch: RigBatch) -> Bool[Tensor, "m c n"]:
    """Which keypoint may be looked for in which view."""
    return batch.looked_for & batch.present[..., None]
