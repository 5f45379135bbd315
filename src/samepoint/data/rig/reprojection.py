"""What clicks say of every view and every moment: their 3-D points projected back, as training sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.decode import image_size
from samepoint.data.recording import Moment, Recording, View
from samepoint.data.rig.points import keypoint_names, recording_labels
from samepoint.geometry.cameras import project
from samepoint.geometry.lenses import bend_points
from samepoint.geometry.motions import invert, transform
from samepoint.geometry.pixels import in_frame

Pixels = dict[str, dict[str, tuple[float, float]]]
"""By camera and keypoint."""


@dataclass(frozen=True)
class KeypointLabels:
    """Of one keypoint: `clicked` moments, `moments` with a 3-D point (more where a scene stands still), the least and
    the most `views` that make one, and the median distance (`pixels`) of clicks from where it projects; NaN without
    points."""

    name: str
    clicked: int
    moments: int
    views: tuple[int, int]
    pixels: float


def keypoint_labels(recordings: Iterable[Recording]) -> list[KeypointLabels]:
    """Of all recordings together, in the order in which names first appear."""
    chosen = tuple(recordings)
    labels = [recording_labels(recording) for recording in chosen]
    out = []
    for name in keypoint_names(chosen):
        mine = [point for found in labels for point in found.labelled if point.keypoint == name]
        views = [len({click.view.camera for click in point.clicks}) for point in mine]
        residual = torch.cat([point.residual for point in mine]) if mine else torch.tensor([torch.nan])
        clicked = sum(any(name in of for of in m.clicks.values()) for r in chosen for m in r.moments)
        moments = sum(name in of_moment for found in labels for of_moment in found.points)
        range_of = (min(views), max(views)) if views else (0, 0)
        out.append(KeypointLabels(name, clicked, moments, range_of, float(residual.quantile(0.5))))
    return out


def label_rows(recording: Recording) -> Iterator[tuple[str, str, str, str, str]]:
    """The lines of a labels.csv with every labelled keypoint in every view of its moments that shows its place. A
    line names the frame of its camera."""
    for moment, points in zip(recording.moments, recording_labels(recording).points):
        for camera, of_camera in reprojected(moment, points).items():
            for name, (u, v) in of_camera.items():
                yield moment.frames.get(camera, str(moment.name)), camera, name, f"{u:.3f}", f"{v:.3f}"


def reprojected(moment: Moment, points: Mapping[str, Float[Tensor, " 3"]]) -> Pixels:
    """Where points (world, metres) lie in the recorded images of a moment: those before the camera and inside the
    image. Whether something hides them is not asked."""
    out: Pixels = {}
    if points:
        xyz = torch.stack(list(points.values())).double()
        for view in moment.views:
            uv = recorded_pixels(view, xyz)
            inside = in_frame(uv, image_size(view.image)).tolist()
            pixels = ((float(u), float(v)) for u, v in uv)
            out[view.camera] = {name: at for name, at, seen in zip(points, pixels, inside) if seen}
    return out


def recorded_pixels(view: View, xyz: Float[Tensor, "n 3"]) -> Float[Tensor, "n 2"]:
    """Pixels of the image as recorded, bent by its lens; NaN behind the camera and where the lens shows nothing."""
    assert view.intrinsics is not None
    assert view.world_from_camera is not None
    k = view.intrinsics.double()
    uv, depth = project(k, transform(invert(view.world_from_camera.double()), xyz))
    uv = torch.where((depth > 0)[:, None], uv, torch.nan)
    if view.lens is None or view.lens.straight:
        return uv
    return bend_points(uv, k, view.lens)
