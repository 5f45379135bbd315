"""Rigid motions from pairs of which some are wrong: points to points, and points to pixels (RANSAC)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.errors import DataError
from samepoint.geometry.alignment import kabsch, residual
from samepoint.geometry.cameras import focal_length, project, rays
from samepoint.geometry.motions import rigid, transform

ROUNDS = 2
"""Fits to all inliers after the best hypothesis; the inliers are counted anew after each."""

PNP_HYPOTHESES = 1000
"""Most hypotheses of `robust_pnp`; OpenCV stops when it is sure to 99.9 % that a better one is not left."""

STRAIGHT = 1e-4
"""Points no farther off a line than this share of their length along it lie on it, even without noise."""

NO_LENS = np.zeros(4)

_RESIDUALS = 1 << 22  # residuals worked on at a time


class NoFitError(DataError):
    """The pairs give no motion: too few are usable, none explains enough of them, or they leave it open."""


@dataclass(frozen=True)
class RigidFit:
    """A motion and the pairs that agree with it.

    `motion` is `target_from_source` (metres); `inliers` marks the pairs within the threshold; `rms` is theirs, in the
    unit of the threshold: metres of `robust_rigid`, pixels of `robust_pnp`.
    """

    motion: Float[Tensor, "4 4"]
    inliers: Bool[Tensor, " n"]
    rms: float


def robust_rigid(
    x: Float[Tensor, "n 3"],
    y: Float[Tensor, "n 3"],
    weights: Float[Tensor, " n"] | None = None,
    *,
    threshold: float,
    hypotheses: int = 256,
    generator: torch.Generator,
) -> RigidFit:
    """`y_from_x` (metres) with the most weight of pairs within `threshold` metres, fitted to those pairs.

    `hypotheses` triples are drawn by weight and solved by `kabsch` in one batch. Pairs with a value that is not
    finite or without weight are ignored and no inliers. The same generator state gives the same answer. No gradient.
    Three pairs suffice for a fit, also three wrong ones: look at the number of inliers.

    DataError for a threshold, number or weight out of range. NoFitError for fewer than three usable pairs, no motion
    that explains three, and pairs on a line, which leave a rotation free: no farther off it (rms) than what the fit
    leaves to each of the two sets, or `STRAIGHT`.
    """
    _positive("threshold", threshold, "metres")
    _positive("hypotheses", hypotheses, "triples")
    w = torch.ones_like(x[:, 0]) if weights is None else weights
    if (w < 0).any():
        raise DataError("a weight of a pair of points is below 0", mend="give weights of at least 0")
    usable = _finite(x) & _finite(y) & w.isfinite() & (w > 0)
    if usable.sum() < 3:
        line = f"{int(usable.sum())} of {len(x)} pairs of points are usable, and a rigid motion needs three"
        raise NoFitError(line, mend="give more points that are finite and have weight")
    with torch.no_grad():
        a, b, w = x[usable].double(), y[usable].double(), w[usable].double()
        triples = _triples(w / w.max(), hypotheses, generator)
        motions = kabsch(a[triples], b[triples], w[triples])
        best = int(_support(motions, a, b, w, threshold).argmax())
        motion, inliers, rms = _refined(motions[best], a, b, w, threshold)
    if min(_off_line(a[inliers]), _off_line(b[inliers])) <= rms / 2**0.5:
        raise _line("pairs of points")
    return RigidFit(motion.to(x.dtype), _scatter(usable, inliers), rms)


def robust_pnp(
    xyz: Float[Tensor, "n 3"],
    uv: Float[Tensor, "n 2"],
    intrinsics: Float[Tensor, "3 3"],
    *,
    threshold_px: float = 4.0,
) -> RigidFit:
    """`camera_from_object` from object points (metres) and their pixels, some of them wrong.

    OpenCV's RANSAC on AP3P, then SQPNP and Levenberg-Marquardt on the inliers, twice. (OpenCV's default hypotheses,
    EPNP, need five right points and often fail on flat ones.) Inliers are in front of the camera and within
    `threshold_px` of their pixel. Rows that are not finite are ignored. OpenCV weighs no points: leave out those that
    are not trusted. Always the same answer. No gradient. Few points can agree by accident, and few flat ones fit two
    poses nearly as well: look at the number of inliers.

    DataError for a threshold that is not above 0. NoFitError for fewer than four usable points (three allow several
    poses), no pose that explains four, and points on a line, judged as in `robust_rigid` with the pixels that the fit
    leaves.
    """
    _positive("threshold_px", threshold_px, "pixels")
    usable = _finite(xyz) & _finite(uv)
    if usable.sum() < 4:
        line = f"{int(usable.sum())} of {len(xyz)} points with pixels are usable, and a pose needs four"
        raise NoFitError(line, mend="give more points that are finite")
    points, pixels, k = (t.detach().cpu().double() for t in (xyz[usable], uv[usable], intrinsics))
    if _off_line(points) == 0:
        raise _line("object points")
    focal = float(focal_length(k))
    ideal = rays(k, pixels)[:, :2] * focal  # OpenCV knows no skew: pixels of a plain camera
    inliers = _pnp_consensus(points, ideal, focal, threshold_px)
    motion, rms = torch.eye(4, dtype=torch.float64), 0.0
    for _ in range(ROUNDS):
        if inliers.sum() < 4 or _off_line(points[inliers]) == 0:
            break
        motion = _pnp(points[inliers], ideal[inliers], focal)
        seen, depth = project(k, transform(motion, points))
        error = torch.linalg.vector_norm(seen - pixels, dim=-1)
        inliers = (depth > 0) & (error <= threshold_px)
        rms = _rms(error[inliers])
    if inliers.sum() < 4:
        raise _unexplained("pose", "four", len(points), f"{threshold_px} pixels")
    metres_per_pixel = float(transform(motion, points[inliers])[:, 2].mean()) / focal
    if _off_line(points[inliers]) <= rms * metres_per_pixel:
        raise _line("object points")
    return RigidFit(motion.to(xyz), _scatter(usable, inliers.to(usable.device)), rms)


def _triples(w: Float[Tensor, " n"], hypotheses: int, generator: torch.Generator) -> Int[Tensor, "h 3"]:
    """Three different rows a hypothesis, drawn by weight."""
    drawn = w.to(generator.device).expand(hypotheses, -1)
    return torch.multinomial(drawn, 3, replacement=False, generator=generator).to(w.device)


def _support(
    motions: Float[Tensor, "h 4 4"],
    a: Float[Tensor, "n 3"],
    b: Float[Tensor, "n 3"],
    w: Float[Tensor, " n"],
    threshold: float,
) -> Float[Tensor, " h"]:
    """The weight of the pairs that each motion brings within the threshold."""
    chunks = motions.split(max(1, _RESIDUALS // len(a)))
    return torch.cat([((residual(part, a, b) <= threshold) * w).sum(-1) for part in chunks])


def _refined(
    motion: Float[Tensor, "4 4"],
    a: Float[Tensor, "n 3"],
    b: Float[Tensor, "n 3"],
    w: Float[Tensor, " n"],
    threshold: float,
) -> tuple[Float[Tensor, "4 4"], Bool[Tensor, " n"], float]:
    """The motion fitted to its inliers `ROUNDS` times, the inliers of the result, and their rms in metres."""
    distance = residual(motion, a, b)
    for _ in range(ROUNDS):
        inliers = distance <= threshold
        if inliers.sum() < 3:
            break
        motion = kabsch(a[inliers], b[inliers], w[inliers])
        distance = residual(motion, a, b)
    inliers = distance <= threshold
    if inliers.sum() < 3:
        raise _unexplained("motion", "three", len(a), f"{threshold} m")
    return motion, inliers, _rms(distance[inliers])


def _pnp_consensus(
    points: Float[Tensor, "n 3"], ideal: Float[Tensor, "n 2"], focal: float, threshold: float
) -> Bool[Tensor, " n"]:
    """The inliers of OpenCV's best hypothesis; none where it has found no pose."""
    chosen = torch.zeros(len(points), dtype=torch.bool)
    found, _, _, rows = cv2.solvePnPRansac(
        points.numpy(),
        ideal.numpy(),
        np.diag((focal, focal, 1.0)),
        NO_LENS,
        iterationsCount=PNP_HYPOTHESES,
        reprojectionError=threshold,
        confidence=0.999,
        flags=cv2.SOLVEPNP_AP3P,
    )
    if found and rows is not None:
        chosen[torch.from_numpy(rows[:, 0]).long()] = True
    return chosen


def _pnp(points: Float[Tensor, "n 3"], ideal: Float[Tensor, "n 2"], focal: float) -> Float[Tensor, "4 4"]:
    """The pose with the least squared error in pixels, all points taken as right. DataError near a line."""
    camera, xyz, uv = np.diag((focal, focal, 1.0)), points.numpy(), ideal.numpy()
    try:
        _, turn, shift = cv2.solvePnP(xyz, uv, camera, NO_LENS, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:  # it asserts that the equations leave no more than six solutions open
        raise _line("object points") from None
    turn, shift = cv2.solvePnPRefineLM(xyz, uv, camera, NO_LENS, turn, shift)
    return rigid(torch.from_numpy(cv2.Rodrigues(turn)[0]), torch.from_numpy(shift[:, 0]))


def _off_line(points: Float[Tensor, "n 3"]) -> float:
    """Root mean square distance of points from their best line; 0 where that is below `STRAIGHT`."""
    spread = torch.linalg.svdvals(points - points.mean(0)) / len(points) ** 0.5
    off = float(torch.linalg.vector_norm(spread[1:]))
    return off if off > STRAIGHT * float(spread[0]) else 0.0


def _finite(values: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    return values.isfinite().all(-1)


def _rms(values: Float[Tensor, " n"]) -> float:
    return float(values.square().mean().sqrt())


def _scatter(usable: Bool[Tensor, " n"], inliers: Bool[Tensor, " m"]) -> Bool[Tensor, " n"]:
    return usable.clone().masked_scatter_(usable, inliers)


def _positive(name: str, value: float | int, unit: str) -> None:
    if not value > 0:
        raise DataError(f"{name} is {value}", mend=f"give {unit} above 0")


def _unexplained(what: str, number: str, total: int, threshold: str) -> NoFitError:
    line = f"no {what} brings {number} of {total} points within {threshold} of their partners"
    return NoFitError(line, mend="raise the threshold or the number of hypotheses, or give better points")


def _line(what: str) -> NoFitError:
    line = f"the {what} that agree lie on a line (or in one place), so the rotation about it is free"
    return NoFitError(line, mend="give points off the line")
