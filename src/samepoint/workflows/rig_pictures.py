"""Moments of several cameras with true and found keypoints, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from samepoint.data.store import Frame
from samepoint.geometry.pixels import in_frame, resize_pixels
from samepoint.inference.examples import TargetPicture
from samepoint.inference.heatmap_matcher import HeatmapMatcher
from samepoint.viewers.content import HeatPictures, MomentPicture, ViewPicture
from samepoint.workflows.rig_evaluation import Exam, answered

Place = tuple[float, float]


def moment_picture(exam: Exam, k: int, note: str = "") -> MomentPicture:
    """The k-th moment asked, as the network sees it, with the true places and those of the points found."""
    points, truth = answered(exam, [k])
    found = truth.recorded(points.projected)[0]
    views = []
    for frame, true, uv in zip(frames_of(exam, k), truth.uv[0], found):
        views.append(
            ViewPicture(frame.view.camera, pixels_of(frame), _places(true, frame), _places(uv, frame))
        )
    return MomentPicture(tuple(views), moment_name(exam, k), note)


def heat_pictures(
    exam: Exam, k: int, keypoints: Sequence[int], errors: Float[Tensor, "c n"]
) -> tuple[HeatPictures, ...]:
    """Heatmaps of the k-th moment asked, of the keypoints by their places. `errors`: of the views' own answers."""
    names = [exam.moments.names[i] for i in keypoints]
    device = next(exam.network.parameters()).device
    matcher = HeatmapMatcher(exam.network, exam.moments.names, exam.sigma, device)
    columns: list[list[TargetPicture]] = [[] for _ in names]
    _, truth = exam.batch([k])
    for c, frame in enumerate(frames_of(exam, k)):
        seen = matcher.embed(frame.image[None].float() / 255)
        places, true = matcher.places(seen, names), _places(truth.uv[0, c], frame)
        for column, i, name, uv, share in zip(columns, keypoints, names, places.uv, places.confidence):
            heat = matcher.heat(seen, name, seen.image_size).float().cpu().numpy()
            error = float(errors[c, i])
            known = i + 1 in true and np.isfinite(error)
            found = float(uv[0]), float(uv[1])
            column.append(
                TargetPicture(
                    pixels_of(frame), heat, found, float(share), true.get(i + 1), error if known else None,
                    frame.view.camera,
                )
            )  # fmt: skip
    return tuple(HeatPictures(name, tuple(column)) for name, column in zip(names, columns))


def moment_name(exam: Exam, k: int) -> str:
    r, m = exam.moments.places[exam.asked[k]]
    recording = exam.store.dataset.recordings[r]
    return f"{recording.name}/{recording.moments[m].name or m}"


def frames_of(exam: Exam, k: int) -> list[Frame]:
    """All views of the k-th moment asked."""
    r, m = exam.moments.places[exam.asked[k]]
    views = exam.store.dataset.recordings[r].moments[m].views
    return [exam.store[exam.store.position[r, m, v]] for v in range(len(views))]


def pixels_of(frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(frame.image.permute(1, 2, 0).numpy())


def _places(uv: Float[Tensor, "n 2"], frame: Frame) -> dict[int, Place]:
    """By number (from 1) the pixels of the recorded size that lie in the frame, in the frame's own."""
    size = frame.image.shape[1], frame.image.shape[2]
    inside, moved = in_frame(uv, frame.source_size), resize_pixels(uv, frame.source_size, size)
    return {int(i) + 1: (float(moved[i, 0]), float(moved[i, 1])) for i in torch.nonzero(inside).flatten()}
