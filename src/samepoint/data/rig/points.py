"""Clicks to 3-D points: what is labelled in at least two views is known in all (S3K, seed 003, section 3.1).

While a scene stands still (`Recording.still`) a click of one moment holds for all of them (section 5): the clicks of
the whole range make one point, also those of a single camera that moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
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
    asked: list[tuple[tuple[int, int], tuple[Click, ...]]] = []
    for first, last in stretches(recording):
        together: dict[str, list[Click]] = {}
        for m in range(first, last + 1):
            for click in _clicks(m, recording.moments[m]):
                together.setdefault(click.keypoint, []).append(click)
        asked += [((first, last), tuple(clicks)) for clicks in together.values()]
    points: list[dict[str, Tensor]] = [{} for _ in recording.moments]
    labelled: list[Labelled] = []
    alone: list[Click] = []
    for ((first, last), clicks), found in zip(asked, _triangulated([clicks for _, clicks in asked])):
        if found is None:
            alone.extend(clicks)
            continue
        labelled.append(found)
        single = found.xyz.float()
        for m in range(first, last + 1):
            points[m][found.keypoint] = single
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


def from_two_places(centres: Float[Tensor, "*b c 3"]) -> Bool[Tensor, "*b"]:
    """Whether cameras (world, metres) stand at least a millimetre apart. A camera that stood still through a static
    range was clicked in several moments from one place: its rays meet in the camera itself."""
    return (centres - centres[..., :1, :]).norm(dim=-1).amax(dim=-1) >= APART


def _triangulated(groups: Sequence[tuple[Click, ...]]) -> list[Labelled | None]:
    """Of the clicks of a keypoint, for each group. None where the rays leave the point open (one view, or one place,
    or nearly parallel rays). Groups of as many clicks are worked out together."""
    out: list[Labelled | None] = [None] * len(groups)
    sizes: dict[int, list[int]] = {}
    for g, clicks in enumerate(groups):
        sizes.setdefault(len(clicks), []).append(g)
    cameras = _Cameras()
    for number, members in sizes.items():
        if number < 2:
            continue
        clicks = [click for g in members for click in groups[g]]
        uv = torch.stack([click.uv for click in clicks]).unflatten(0, (len(members), number))
        k, pose = (values.unflatten(0, (len(members), number)) for values in cameras.of(clicks))
        directions = (pose[..., :3, :3] @ rays(k, uv[..., None, :]).transpose(-1, -2))[..., 0]
        xyz = triangulate_rays(pose[..., :3, 3], directions)
        sound = xyz.isfinite().all(-1) & from_two_places(pose[..., :3, 3])
        back, depth = project(k, transform(invert(pose), xyz[:, None, None].expand(-1, number, 1, 3)))
        residual = (back[..., 0, :] - uv).norm(dim=-1)
        rows = zip(members, sound.tolist(), xyz, residual, depth[..., 0].tolist())
        for g, right, point, error, depths in rows:
            if right:
                behind = [click.view.camera for click, z in zip(groups[g], depths) if z <= 0]
                name = groups[g][0].keypoint
                out[g] = Labelled(name, groups[g], point, error, tuple(dict.fromkeys(behind)))
    return out


class _Cameras:
    """Matrices and poses of the views that were clicked, double precision, converted once each."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, clicks: Sequence[Click]) -> tuple[Float[Tensor, "c 3 3"], Float[Tensor, "c 4 4"]]:
        pairs = [self._one(click.view) for click in clicks]
        return torch.stack([k for k, _ in pairs]), torch.stack([pose for _, pose in pairs])

    def _one(self, view: View) -> tuple[Tensor, Tensor]:
        if id(view) not in self._known:
            assert view.intrinsics is not None
            assert view.world_from_camera is not None
            self._known[id(view)] = view.intrinsics.double(), view.world_from_camera.double()
        return self._known[id(view)]
