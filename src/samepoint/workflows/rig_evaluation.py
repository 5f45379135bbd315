"""How well an s3k run finds its keypoints in recordings of several cameras whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.collapse import shares
from samepoint.correspondence.views import look
from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset, Moment, Split
from samepoint.data.rig.points import RecordingLabels, recording_labels, straight_clicks
from samepoint.data.rig_sampling import RigMoments, largest, rig_batch, rig_moments, visible
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.evaluation.point_errors import PointErrors, mahalanobis_inside
from samepoint.geometry.pixels import in_frame, resize_pixels
from samepoint.inference.loading import choose_device
from samepoint.inference.points import Points, PointSettings, locate_points
from samepoint.models.unet import HeatmapNetwork
from samepoint.models.weights import load_heatmaps
from samepoint.types import RigBatch

TOGETHER = 8
"""Moments a batch."""


@dataclass(frozen=True)
class Truth:
    """Of one moment, for n keypoints: `xyz` (world, metres) and by camera `uv` (pixels of the straightened recorded
    image); NaN where it is not known."""

    xyz: Float[Tensor, "n 3"]
    uv: Mapping[str, Float[Tensor, "n 2"]]


def evaluate_rig(
    run: Path,
    data: Path,
    *,
    split: Split | None = "test",
    settings: PointSettings | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """The errors of a run on a data set (its split where it has one, else all of it): `summary` of PointErrors, by
    keypoint too, and the `shares` that tell of a collapse. Exact points are the truth where the data set has them
    (points.csv), else the clicks and the points that they make."""
    network, config = load_heatmaps(run, choose_device(device))
    dataset = open_dataset(data)
    if split is not None and any(r.split == split for r in dataset.recordings):
        dataset = dataset.split(split)
    settings = settings or PointSettings(float(config["recipe"]["sigma"]))
    store = FrameStore(dataset, max_size=int(config["max_size"]))
    look_for = config["recipe"]["look_for"]
    return score_network(network, store, rig_moments(dataset, look_for, network.keypoints), settings)


def score_network(
    network: HeatmapNetwork, store: FrameStore, moments: RigMoments, settings: PointSettings
) -> dict[str, Any]:
    """`evaluate_rig` of a network at hand."""
    truths = _truths(store.dataset, moments)
    known = [k for k, truth in enumerate(truths) if _says_anything(truth)]
    if not known:
        mend = "label some moments in two views, or add points.csv"
        raise DataError("has no truth to compare with", where=store.dataset.root, mend=mend)
    errors, found = [], []
    for start in range(0, len(known), TOGETHER):
        chosen = known[start : start + TOGETHER]
        batch = rig_batch(store, moments, chosen, largest(store))
        points = find_in_batch(network, batch, settings)
        errors.append(_errors(points, batch, store, moments, chosen, [truths[k] for k in chosen]))
        found.append(points.xyz)
    joined = PointErrors.joined(errors)
    xyz = torch.stack([truths[k].xyz for k in known])
    return {
        **joined.summary(),
        "moments": len(known),
        "keypoints": {name: joined.of(i).summary() for i, name in enumerate(moments.names)},
        "collapse": {name: float(share) for name, share in shares(torch.cat(found), xyz).items()},
    }


def find_in_batch(network: HeatmapNetwork, batch: RigBatch, settings: PointSettings) -> Points:
    """The keypoints of a batch's moments; `network` is in evaluation mode. Results on the CPU."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        heatmaps = network(batch.image.flatten(0, 1).to(device))
        heatmaps = replace(heatmaps, logits=heatmaps.logits.cpu())
    return locate_points(heatmaps, batch.intrinsics, batch.world_from_camera, visible(batch), settings)


def _truths(dataset: Dataset, moments: RigMoments) -> list[Truth]:
    labels = [recording_labels(recording) for recording in dataset.recordings]
    return [_truth(dataset.recordings[r].moments[m], labels[r], m, moments.names) for r, m in moments.places]


def _truth(moment: Moment, labels: RecordingLabels, m: int, names: tuple[str, ...]) -> Truth:
    unknown3, unknown2 = torch.full((3,), torch.nan), torch.full((2,), torch.nan)
    known = moment.truth or labels.points[m]
    xyz = torch.stack([known.get(name, unknown3) for name in names])
    uv: dict[str, Tensor] = {}
    for view in moment.views:
        assert view.intrinsics is not None
        assert view.world_from_camera is not None
        if moment.truth:
            size = (1 << 30, 1 << 30)  # what lies outside the image is left out by who knows its size
            uv[view.camera] = look(xyz[None], view.intrinsics[None, None], view.world_from_camera[None, None], size)[0][0, 0]  # fmt: skip  # noqa: E501
        else:
            clicks = straight_clicks(moment, view)
            uv[view.camera] = torch.stack([clicks.get(name, unknown2) for name in names])
    return Truth(xyz, uv)


def _says_anything(truth: Truth) -> bool:
    return bool(truth.xyz.isfinite().any()) or any(bool(uv.isfinite().any()) for uv in truth.uv.values())


def _errors(
    points: Points, batch: RigBatch, store: FrameStore, moments: RigMoments, chosen: list[int], truths: list[Truth]
) -> PointErrors:  # fmt: skip
    """In pixels of the recorded images."""
    pixels, agreed = (
        torch.full_like(points.uv[..., 0], torch.nan),
        torch.full_like(points.uv[..., 0], torch.nan),
    )
    for i, (k, truth) in enumerate(zip(chosen, truths)):
        r, m = moments.places[k]
        for c, view in enumerate(store.dataset.recordings[r].moments[m].views):
            frame = store[store.position[r, m, c]]
            size, source = (frame.image.shape[1], frame.image.shape[2]), frame.source_size
            known = in_frame(truth.uv[view.camera], source) & batch.looked_for[i, c]
            for out, uv in ((pixels, points.uv), (agreed, points.projected)):
                distance = (resize_pixels(uv[i, c], size, source) - truth.uv[view.camera]).norm(dim=-1)
                out[i, c] = torch.where(known, distance, torch.nan)
    xyz = torch.stack([truth.xyz for truth in truths])
    error = points.xyz - xyz
    asked: Bool[Tensor, "m n"] = xyz.isfinite().all(-1)
    metres = torch.where(asked, error.norm(dim=-1), torch.nan)
    return PointErrors(pixels, agreed, metres, mahalanobis_inside(error, points.covariance), asked)
