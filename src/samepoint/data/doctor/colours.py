"""Matches of colour (SIFT) between views, which know nothing of depth and poses, against where these say they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from samepoint.correspondence.depth import depth_at
from samepoint.data.doctor.agreement import Pairs, lifted
from samepoint.data.doctor.footage import Shot
from samepoint.data.doctor.readings import Reading
from samepoint.geometry.cameras import project, rays
from samepoint.geometry.motions import transform

MOST = 150
"""Matches kept of a pair."""
RATIO = 0.8
CLOSE = 0.02
"""A match fits within this share of the image's width (6 pixels of 320) where depth says where it should be."""
ON_LINE = 0.005
"""Without depth: within this share of the width of its epipolar line."""


@dataclass(frozen=True)
class Matches:
    """Pixels in A and B of every pair, NaN for padding. `depth_a`: NaN where unknown, None without depth."""

    uv_a: Float[Tensor, "p m 2"]
    uv_b: Float[Tensor, "p m 2"]
    depth_a: Float[Tensor, "p m"] | None
    width: int

    def some(self, keep: Int[Tensor, " k"]) -> Matches:
        depth = None if self.depth_a is None else self.depth_a[keep]
        return Matches(self.uv_a[keep], self.uv_b[keep], depth, self.width)


def colour_matches(shots: Mapping[int, Shot], pairs: Sequence[tuple[int, int]]) -> Matches:
    """Mutual nearest SIFT descriptors that pass the ratio test, at most `MOST` a pair, the surest first."""
    features = {i: _features(shots[i].image) for i in sorted({i for pair in pairs for i in pair})}
    uv_a, uv_b, depth_a = [], [], []
    with_depth = all(shots[a].depth is not None for a, _ in pairs)
    for a, b in pairs:
        both = torch.full((MOST, 4), torch.nan)
        found = _matched(features[a], features[b])
        both[: len(found)] = torch.from_numpy(found)
        uv_a.append(both[:, :2])
        uv_b.append(both[:, 2:])
        depth = shots[a].depth
        if with_depth and depth is not None:
            read = depth_at(depth, torch.nan_to_num(both[:, :2]), radius=1)
            depth_a.append(torch.where(both[:, 0].isnan(), torch.nan, read))
    width = next(iter(shots.values())).size[1]
    return Matches(torch.stack(uv_a), torch.stack(uv_b), torch.stack(depth_a) if with_depth else None, width)


def fitting(pairs: Pairs, matches: Matches, reading: Reading) -> tuple[int, int, float]:
    """How many matches fit, of how many, and the median of their errors in pixels.

    With depth the error is from where the point of A lies in B; without, from its epipolar line, and a match on the
    wrong side of a camera does not fit.
    """
    if matches.depth_a is None:
        error, limit = _from_line(pairs, matches, reading), ON_LINE * matches.width
    else:
        error, limit = _from_point(pairs, matches, matches.depth_a, reading), CLOSE * matches.width
    error = error[~error.isnan()]
    if not len(error):
        return 0, 0, float("inf")
    return int((error <= limit).sum()), len(error), float(error.median())


def _from_point(
    pairs: Pairs, matches: Matches, depth_a: Float[Tensor, "p m"], reading: Reading
) -> Float[Tensor, "p m"]:
    xyz = lifted(reading.camera(pairs.camera_a), matches.uv_a, depth_a, reading)
    uv, z = project(reading.camera(pairs.camera_b), transform(pairs.b_from_a(reading), xyz))
    error = (uv - matches.uv_b).norm(dim=-1)
    return torch.where(z <= 0, torch.full_like(error, torch.inf), error)


def _from_line(pairs: Pairs, matches: Matches, reading: Reading) -> Float[Tensor, "p m"]:
    """Sampson distance in pixels; infinite where the rays meet behind a camera."""
    camera_a, camera_b = reading.camera(pairs.camera_a), reading.camera(pairs.camera_b)
    motion = pairs.b_from_a(reading)
    rotation, translation = motion[:, :3, :3], motion[:, :3, 3]
    a, b = rays(camera_a, matches.uv_a), rays(camera_b, matches.uv_b)
    turned = a @ rotation.transpose(-1, -2)
    shift = translation[:, None].expand_as(turned)
    line_b = torch.linalg.cross(shift, turned, dim=-1)
    line_a = torch.linalg.cross(b, shift, dim=-1) @ rotation
    slope_b = line_b[..., :2] @ torch.linalg.inv(camera_b[:, :2, :2])
    slope_a = line_a[..., :2] @ torch.linalg.inv(camera_a[:, :2, :2])
    scale = (slope_b.square().sum(-1) + slope_a.square().sum(-1)).sqrt()
    error = (b * line_b).sum(-1).abs() / scale.clamp_min(1e-12)
    # depths z_a, z_b of the point where the rays come nearest: z_b b - z_a turned = translation
    bb, tt, bt = (b * b).sum(-1), (turned * turned).sum(-1), (b * turned).sum(-1)
    bs, ts = (b * shift).sum(-1), (turned * shift).sum(-1)
    ahead = (bs * tt - bt * ts > 0) & (bt * bs - bb * ts > 0)
    return torch.where(ahead | error.isnan(), error, torch.full_like(error, torch.inf))


def _features(image: UInt8[np.ndarray, "h w 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Positions "k 2" and RootSIFT descriptors "k 128"."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    sift = cv2.SIFT.create(nfeatures=1500, contrastThreshold=0.02)
    points, values = sift.compute(grey, sift.detect(grey))
    if values is None or len(points) < 2:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    values = np.sqrt(values / np.maximum(values.sum(1, keepdims=True), 1e-6))
    return np.array([point.pt for point in points], np.float32), values


def _matched(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Rows (u_a, v_a, u_b, v_b), the surest first."""
    if len(a[0]) < 2 or len(b[0]) < 2:
        return np.zeros((0, 4), np.float32)
    similar = a[1] @ b[1].T
    best = np.argpartition(-similar, 1, axis=1)[:, :2]
    values = np.take_along_axis(similar, best, axis=1)
    best = np.take_along_axis(best, np.argsort(-values, axis=1), axis=1)
    values = np.sort(values, axis=1)[:, ::-1]
    distance = np.sqrt(np.maximum(2 - 2 * values, 0))
    mutual = similar.argmax(0)[best[:, 0]] == np.arange(len(similar))
    keep = np.flatnonzero(mutual & (distance[:, 0] < RATIO * distance[:, 1]))
    keep = keep[np.argsort(distance[keep, 0], kind="stable")][:MOST]
    return np.concatenate((a[0][keep], b[0][best[keep, 0]]), axis=1)
