"""Clicks to 3-D points: what is labelled in at least two views is known in all (S3K, seed 003, section 3.1).

While a scene stands still (`Recording.still`) a click of one moment holds for all of them (section 5): the clicks of
the whole range make one point, also those of a single camera that moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.recording import Moment, Recording, View
from samepoint.errors import DataError
from samepoint.geometry.cameras import project, rays
from samepoint.geometry.lenses import undistort_points
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.triangulation import triangulate_rays

APART = 1e-3
"""Metres: cameras nearer than that stand at one place."""


@dataclass(frozen=True)
class Click:
    """One labelled pixel: `moment` by its place in the recording, `uv` without the bend of the lens."""

    moment: int
    view: View
    keypoint: str
    uv: Float[Tensor, " 2"]


@dataclass(frozen=True)
class Labelled:
    """A keypoint's 3-D point from its clicks (world, metres). `residual`: how far from each click it projects,
    pixels; `behind`: the cameras behind which it would lie."""

    keypoint: str
    clicks: tuple[Click, ...]
    xyz: Float[Tensor, " 3"]
    residual: Float[Tensor, " c"]
    behind: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordingLabels:
    """`points`: of each moment the labelled keypoints, world, metres, float32. `labelled`: the triangulations behind
    them. `alone`: clicks of keypoints that no second view shows from elsewhere, which make no point."""

    points: tuple[Mapping[str, Float[Tensor, " 3"]], ...]
    labelled: tuple[Labelled, ...] = field(default=())
    alone: tuple[Click, ...] = field(default=())


def recording_labels(recording: Recording) -> RecordingLabels:
    """All that the clicks of a recording say. DataError where a clicked view has no calibration."""
    points: list[dict[str, Tensor]] = [{} for _ in recording.moments]
    labelled: list[Labelled] = []
    alone: list[Click] = []
    for first, last in stretches(recording):
        clicks = [c for m in range(first, last + 1) for c in _clicks(m, recording.moments[m])]
        for name in dict.fromkeys(click.keypoint for click in clicks):
            mine = tuple(click for click in clicks if click.keypoint == name)
            found = _triangulated(name, mine)
            if found is None:
                alone.extend(mine)
                continue
            labelled.append(found)
            for m in range(first, last + 1):
                points[m][name] = found.xyz.float()
    return RecordingLabels(tuple(points), tuple(labelled), tuple(alone))


def keypoint_names(recordings: tuple[Recording, ...]) -> tuple[str, ...]:
    """The names of all clicks, in the order in which they first appear."""
    return tuple(
        dict.fromkeys(
            name
            for recording in recordings
            for moment in recording.moments
            for of_camera in moment.clicks.values()
            for name in of_camera
        )
    )


def stretches(recording: Recording) -> list[tuple[int, int]]:
    """Ranges of moments of one scene: those that stand still, and every other moment alone. DataError where ranges
    overlap."""
    out = sorted(recording.still)
    for (_, last), (first, _) in pairwise(out):
        if first <= last:
            name = recording.moments[first].name
            mend = "ranges of still.csv may not overlap"
            raise DataError(f"moment {name} is in two ranges", where=recording.name, mend=mend)
    covered = {m for first, last in out for m in range(first, last + 1)}
    return sorted(out + [(m, m) for m in range(len(recording.moments)) if m not in covered])


def straight_clicks(moment: Moment, view: View) -> dict[str, Float[Tensor, " 2"]]:
    """The clicks of one view by keypoint, without the bend of its lens, float32. DataError without calibration."""
    return {
        click.keypoint: click.uv.float() for click in _clicks_of(0, view, moment.clicks.get(view.camera, {}))
    }


def _clicks(m: int, moment: Moment) -> list[Click]:
    views = {view.camera: view for view in moment.views}
    return [
        click for camera, clicks in moment.clicks.items() for click in _clicks_of(m, views[camera], clicks)
    ]


def _clicks_of(m: int, view: View, clicks: Mapping[str, tuple[float, float]]) -> list[Click]:
    if view.intrinsics is None or view.world_from_camera is None:
        raise DataError("this view has no calibration", where=view.image, mend="calibrate the camera")
    uv = torch.tensor(list(clicks.values()), dtype=torch.float64).reshape(-1, 2)
    if view.lens is not None:
        uv = undistort_points(uv, view.intrinsics.double(), view.lens)
    return [Click(m, view, name, place) for name, place in zip(clicks, uv)]


def from_two_places(centres: Float[Tensor, "c 3"]) -> bool:
    """Whether cameras (world, metres) stand at least a millimetre apart. A camera that stood still through a static
    range was clicked in several moments from one place: its rays meet in the camera itself."""
    return len(centres) > 1 and bool((centres - centres[0]).norm(dim=-1).max() >= APART)


def _triangulated(name: str, clicks: tuple[Click, ...]) -> Labelled | None:
    """None where the rays leave the point open (one view, or one place, or nearly parallel rays)."""
    k, pose = _cameras(clicks)
    if not from_two_places(pose[:, :3, 3]):
        return None
    directions = transform(pose, rays(k, torch.stack([c.uv for c in clicks])[:, None]))[:, 0]
    xyz = triangulate_rays(pose[:, :3, 3], directions - pose[:, :3, 3])
    if not torch.isfinite(xyz).all():
        return None
    uv, depth = project(k, transform(invert(pose), xyz.expand(len(clicks), 1, 3)))
    residual = (uv[:, 0] - torch.stack([c.uv for c in clicks])).norm(dim=-1)
    behind = tuple(dict.fromkeys(c.view.camera for c, z in zip(clicks, depth[:, 0].tolist()) if z <= 0))
    return Labelled(name, clicks, xyz, residual, behind)


def _cameras(clicks: tuple[Click, ...]) -> tuple[Float[Tensor, "c 3 3"], Float[Tensor, "c 4 4"]]:
    k = [c.view.intrinsics.double() for c in clicks if c.view.intrinsics is not None]
    poses = [c.view.world_from_camera.double() for c in clicks if c.view.world_from_camera is not None]
    return torch.stack(k), torch.stack(poses)
