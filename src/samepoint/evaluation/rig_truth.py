"""Where named keypoints really are: in space, and in the views of a moment; and how far answers are from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.data.recording import Dataset, Moment, View
from samepoint.data.rig.points import recording_labels, straight_clicks
from samepoint.data.rig_sampling import RigMoments, fitted_size
from samepoint.data.store import FrameStore
from samepoint.evaluation.point_errors import PointErrors, deviation, mahalanobis_inside
from samepoint.geometry.cameras import project
from samepoint.geometry.lenses import distort_points
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import in_frame, resize_pixels
from samepoint.types import Size


@dataclass(frozen=True)
class Truth:
    """Of one moment, for n keypoints: `xyz` (world, metres) and by camera `uv` (pixels of the image as recorded, but
    without the bend of its lens; perhaps outside it). NaN where it is not known, `uv` also behind the camera."""

    xyz: Float[Tensor, "n 3"]
    uv: Mapping[str, Float[Tensor, "n 2"]]

    @property
    def says_anything(self) -> bool:
        return bool(self.xyz.isfinite().any()) or any(bool(uv.isfinite().any()) for uv in self.uv.values())


def truths(dataset: Dataset, moments: RigMoments) -> list[Truth]:
    """Of each of the moments. A keypoint's exact point counts before its clicks and the point that they make."""
    labels = [recording_labels(recording) for recording in dataset.recordings]
    return [
        _truth(dataset.recordings[r].moments[m], labels[r].points[m], moments.names)
        for r, m in moments.places
    ]


def _truth(moment: Moment, labelled: Mapping[str, Tensor], names: Sequence[str]) -> Truth:
    exact = _rows(moment.truth, names, 3)
    xyz = exact.where(exact.isfinite(), _rows(labelled, names, 3))
    uv = {}
    for view in moment.views:
        projected = _projected(exact, view)
        clicked = _rows(straight_clicks(moment, view), names, 2)
        uv[view.camera] = projected.where(exact.isfinite().all(-1, keepdim=True), clicked)
    return Truth(xyz, uv)


def _rows(known: Mapping[str, Tensor], names: Sequence[str], width: int) -> Float[Tensor, "n w"]:
    unknown = torch.full((width,), torch.nan)
    return torch.stack([known.get(name, unknown) for name in names])


def _projected(xyz: Float[Tensor, "n 3"], view: View) -> Float[Tensor, "n 2"]:
    """NaN behind the camera."""
    assert view.intrinsics is not None
    assert view.world_from_camera is not None
    uv, depth = project(view.intrinsics, transform(invert(view.world_from_camera), xyz))
    return uv.where(depth[:, None] > 0, torch.nan)


@dataclass(frozen=True)
class BatchTruth:
    """Of the m moments of a batch, for n keypoints: `xyz` (world, metres) and `uv` (pixels as in `Truth`), NaN where
    they are not known; `uv` also where the view does not show it or nobody looks for it there. `sizes`: of every view
    the size that its image has in the batch, and as recorded."""

    xyz: Float[Tensor, "m n 3"]
    uv: Float[Tensor, "m c n 2"]
    sizes: tuple[tuple[tuple[Size, Size], ...], ...]

    @staticmethod
    def of(
        store: FrameStore, moments: RigMoments, chosen: Sequence[int], truths: Sequence[Truth], within: Size
    ) -> BatchTruth:
        """`truths` of the `chosen` moments, whose `rig_batch` has images of the size `within`."""
        sizes = []
        views = max(len(truth.uv) for truth in truths)
        uv = torch.full((len(chosen), views, len(moments.names), 2), torch.nan)
        for i, (k, truth) in enumerate(zip(chosen, truths, strict=True)):
            r, m = moments.places[k]
            row = []
            for c, view in enumerate(store.dataset.recordings[r].moments[m].views):
                frame = store[store.position[r, m, c]]
                height, width = frame.image.shape[1:]
                seen = shown_in(truth.uv[view.camera], view, frame.source_size)
                seen &= torch.tensor(moments.looked_for[view.camera])
                uv[i, c] = truth.uv[view.camera].where(seen[:, None], torch.nan)
                row.append((fitted_size((height, width), within), frame.source_size))
            sizes.append(tuple(row))
        return BatchTruth(torch.stack([truth.xyz for truth in truths]), uv, tuple(sizes))

    def recorded(self, uv: Float[Tensor, "m c n 2"]) -> Float[Tensor, "m c n 2"]:
        """Pixels of the batch's images in images of the recorded size; NaN where there is no view."""
        out = torch.full_like(uv, torch.nan)
        for i, row in enumerate(self.sizes):
            for c, (size, source) in enumerate(row):
                out[i, c] = resize_pixels(uv[i, c], size, source)
        return out

    def errors(
        self,
        uv: Float[Tensor, "m c n 2"],
        projected: Float[Tensor, "m c n 2"],
        xyz: Float[Tensor, "m n 3"],
        covariance: Float[Tensor, "m n 3 3"],
        visible: Bool[Tensor, "m n"],
    ) -> PointErrors:
        """Of each view's own answer, of the point in each view (pixels of the batch's images), and of the point.
        `visible`: of which the network is sure."""
        own, agreed = ((self.recorded(found) - self.uv).norm(dim=-1) for found in (uv, projected))
        error = xyz - self.xyz
        asked, inside = self.xyz.isfinite().all(-1), mahalanobis_inside(error, covariance)
        return PointErrors(own, agreed, error.norm(dim=-1), inside, asked, visible, deviation(covariance))


def shown_in(uv: Float[Tensor, "n 2"], view: View, size: Size) -> Bool[Tensor, " n"]:
    """Whether pixels of the straightened image lie in it and, if its lens bends, in the image as recorded too."""
    inside = in_frame(uv, size)
    if view.lens is None or view.lens.straight:
        return inside
    assert view.intrinsics is not None
    return inside & in_frame(distort_points(uv, view.intrinsics, view.lens), size)
